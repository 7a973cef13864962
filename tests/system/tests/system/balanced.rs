//! The web chat through a plain round robin: sockets at both gateways hear what is sent through either.

use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use futures::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(api: &Api, channel: &str, visitor: &str) -> Socket {
    let url = format!("{}/webchat/{channel}/ws?visitor={visitor}&after=0", api.base.replace("http", "ws"));
    connect_async(url).await.unwrap().0
}

/// Waits for the agent to say this.
async fn hear(socket: &mut Socket, text: &str) {
    let heard = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(frame) = socket.next().await {
            let Message::Text(frame) = frame.unwrap() else { continue };
            let frame: Value = serde_json::from_str(&frame).unwrap();
            if frame["from"] == "agent" && frame["text"] == text {
                return;
            }
        }
        panic!("the socket closed");
    });
    heard.await.unwrap_or_else(|_| panic!("nobody said {text:?} within 20 s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_visitors_pages_at_both_gateways_hear_every_answer() {
    let cluster = Cluster::prepare().await;
    let (_gateways, balancer, api) = cluster.gateways().await;
    let _worker = cluster.worker("one", &api.base).await;
    let channel = api.configure("ada", "webchat_1", "webchat", json!({})).await;
    let visitor = token(16);
    let mut pages = [open(&api, &channel, &visitor).await, open(&api, &channel, &visitor).await];
    let said = json!({"type": "message", "client_id": token(8), "text": "hello"});
    pages[0].send(Message::text(said.to_string())).await.unwrap();
    let body = cluster.receiver.wait_for(1).await[0].json();
    let recipient = body["reply_to"]["recipient"].as_str().unwrap();
    for answer in ["by one gateway", "by the other"] {
        let (status, sent) = api.send("ada", "webchat_1", recipient, answer).await;
        assert_eq!(status, StatusCode::OK, "{sent}");
        for page in &mut pages {
            hear(page, answer).await;
        }
    }
    for page in &mut pages {
        page.close(None).await.unwrap();
        while page.next().await.is_some() {}
    }
    // The two sockets were opened one after the other, so each is at a gateway of its own.
    let served = balancer.served();
    assert!(served.len() == 2, "{served:?}\n{}", balancer.complaints());
}
