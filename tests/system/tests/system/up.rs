//! `ii-claw up` with nothing set: a newcomer opens the page, types a line and sees the answer.

use std::time::Duration;

use claw_system_tests::{address_in, client, token};
use claw_testkit::Claw;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

async fn start(folder: &std::path::Path) -> (Claw, std::net::SocketAddr) {
    let data = folder.join(".ii-claw");
    let data = data.to_str().unwrap();
    let mut up = Claw::start(&["up"], &[("II_CLAW_DATA", data), ("II_CLAW_LISTEN", "127.0.0.1:0")]);
    let address = address_in(&up.wait_for_line("the gateway listens on").await);
    up.wait_for_line("is up").await;
    (up, address)
}

/// Types a line on the page's socket and answers with what the agent said.
async fn chat(address: std::net::SocketAddr, visitor: &str, line: &str) -> (Vec<Value>, String) {
    let page = client().get(format!("http://{address}/")).send().await.unwrap().text().await.unwrap();
    let channel = page.split("data-channel=\"").nth(1).unwrap().split('"').next().unwrap();
    let url = format!("ws://{address}/webchat/{channel}/ws?visitor={visitor}&after=0");
    let (mut socket, _) = connect_async(url).await.unwrap();
    let said = json!({"type": "message", "client_id": token(8), "text": line});
    socket.send(Message::text(said.to_string())).await.unwrap();
    let mut history = Vec::new();
    let answer = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(frame) = socket.next().await {
            let Message::Text(text) = frame.unwrap() else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] != "message" {
                continue;
            }
            let text = frame["text"].as_str().unwrap_or_default().to_owned();
            if frame["from"] == "agent" && text.contains(line) {
                return text;
            }
            history.push(frame);
        }
        panic!("the socket closed");
    });
    let answer = answer.await.expect("an answer within 20 s");
    (history, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_an_answer_and_finds_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut up, address) = start(folder.path()).await;
    let visitor = token(16);
    let (_, answer) = chat(address, &visitor, "hello there").await;
    assert_eq!(answer, "You said: hello there");

    up.signal("TERM").await;
    assert_eq!(up.wait().await, Some(0), "{}", up.output());

    let (mut up, address) = start(folder.path()).await;
    let (history, answer) = chat(address, &visitor, "still there?").await;
    assert_eq!(answer, "You said: still there?");
    let texts: Vec<_> = history.iter().filter_map(|frame| frame["text"].as_str()).collect();
    assert!(texts.contains(&"hello there") && texts.contains(&"You said: hello there"), "{texts:?}");
    let (others, _) = chat(address, &token(16), "somebody else").await;
    let leaked = others.iter().filter_map(|frame| frame["text"].as_str()).any(|text| text.contains("hello"));
    assert!(!leaked, "another visitor sees {others:?}");
    up.signal("TERM").await;
    assert_eq!(up.wait().await, Some(0), "{}", up.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, _) = start(folder.path()).await;
    let data = folder.path().join(".ii-claw");
    let mut second =
        Claw::start(&["up"], &[("II_CLAW_DATA", data.to_str().unwrap()), ("II_CLAW_LISTEN", "127.0.0.1:0")]);
    assert_eq!(second.wait().await, Some(1));
    let output = second.all_output().await;
    assert!(output.contains("ii-claw: ") && output.contains("stop it first"), "{output}");
    first.signal("TERM").await;
    assert_eq!(first.wait().await, Some(0));
}
