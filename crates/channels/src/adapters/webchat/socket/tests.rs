//! The protocol over a real server and a real client, with a hub that lives in memory.

mod broken;
mod conversation;
mod files;
mod hub;
mod opening;
mod refused;

use std::sync::Mutex;

use claw_types::{Deed, MessageId, Outbound, WebhookBody};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::hub::Memory;
use super::super::frames::tests::stored;
use super::*;
use crate::adapters::webchat::Webchat;
use crate::adapters::webhook::testing::serve;
use crate::{Adapter as _, HistoryItem};

const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(7));
const VISITOR: &str = "0123456789abcdef";

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn say(&mut self, frame: Value) {
        self.0.send(WsMessage::text(frame.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                WsMessage::Text(frame) => return serde_json::from_str(&frame).unwrap(),
                WsMessage::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything up to "ready", as texts.
    async fn replay(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let frame = self.hear().await;
            if frame["type"] == "ready" {
                return texts;
            }
            texts.push(frame["text"].as_str().unwrap().to_owned());
        }
    }

    /// The code that the server closes with.
    async fn closed(mut self) -> u16 {
        loop {
            if let WsMessage::Close(frame) = self.0.next().await.unwrap().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }
}

async fn gateway() -> (Arc<Memory>, String) {
    let hub = Arc::new(Memory::default());
    let url = serve(Webchat::routes(hub.clone()).unwrap()).await;
    (hub, url)
}

async fn connect(url: &str, after: i64) -> Client {
    let url = url.replace("http", "ws");
    Client(
        connect_async(format!("{url}/webchat/{CHANNEL}/ws?visitor={VISITOR}&after={after}")).await.unwrap().0,
    )
}

/// The status that a socket is refused with.
async fn refused(url: &str, path: &str, origin: Option<&str>) -> u16 {
    let mut request = format!("{}{path}", url.replace("http", "ws")).into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    match connect_async(request).await {
        Err(WsError::Http(response)) => response.status().as_u16(),
        Ok(_) => 101,
        Err(other) => panic!("{other}"),
    }
}

fn message(client_id: &str, text: &str) -> Value {
    json!({"type": "message", "client_id": client_id, "text": text})
}

/// Something else than a message, as the backend does it.
fn outbound(seq: i64, extra: Value) -> HistoryItem {
    let mut json = json!({"recipient": conversation_id(CHANNEL, VISITOR)});
    let Value::Object(extra) = extra else { panic!("an object") };
    json.as_object_mut().unwrap().extend(extra);
    stored(seq, &serde_json::from_value::<Outbound>(json).unwrap())
}

#[test]
fn a_conversation_does_not_tell_its_visitor() {
    let id = conversation_id(CHANNEL, VISITOR);
    // Computed by Python's hashlib over the channel's 16 bytes and the visitor.
    assert_eq!(id, "1ff81f8e3d2aa5875738a112ed58a1b7");
    assert_ne!(id, conversation_id(ChannelId(Uuid::from_u128(8)), VISITOR));
    assert_ne!(id, conversation_id(CHANNEL, "0123456789abcdeg"));
}
