//! A conversation with an emulator of Twilio that others wrote, which `make peer-twilio` starts (tests/peers/emulate).

use std::time::Duration;

use axum::body::Bytes as Body;
use axum::routing::post;
use tokio::sync::mpsc;

use super::*;

/// Set by tests/peers/emulate/run.sh: where it is.
const PEER: &str = "II_CLAW_TWILIO_PEER";
/// Where it posts to, as tests/peers/emulate/twilio.yaml says.
const OURS: &str = "127.0.0.1:21842";
const SOON: Duration = Duration::from_secs(20);

/// What is posted to the channel's address.
#[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
async fn webhooks() -> mpsc::UnboundedReceiver<RawRequest> {
    let (posted, requests) = mpsc::unbounded_channel();
    let taken = async move |headers: Headers, body: Body| {
        posted.send(RawRequest { headers, query: String::new(), body }).unwrap();
        ([("content-type", "text/xml")], "<Response/>")
    };
    let router = Router::new().route(&path(), post(taken));
    let listener = tokio::net::TcpListener::bind(OURS).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    requests
}

/// Has the emulator do what happens outside of Twilio.
async fn happens(peer: &str, what: &str, fields: &[(&str, &str)]) {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let http = crate::kit::http::Http::new(true).unwrap();
    let request = http.calls().post(format!("{peer}/_twilio/simulate/{what}"));
    let request = request.basic_auth(ACCOUNT, Some("peer_auth_token"));
    let answer =
        request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn next(posted: &mut mpsc::UnboundedReceiver<RawRequest>) -> RawRequest {
    tokio::time::timeout(SOON, posted.recv()).await.expect("it is posted soon").unwrap()
}

#[tokio::test]
async fn a_conversation_with_an_emulator() {
    let Ok(peer) = std::env::var(PEER) else {
        eprintln!("SKIPPED: {PEER} is not set; `make peer-twilio` starts the emulator");
        return;
    };
    let at = |token: &str| {
        let public_url = format!("http://{OURS}");
        made(&json!({"api_url": peer, "auth_token_env": token, "public_url": public_url})).unwrap()
    };
    let channel = at("peer_auth_token");
    assert_eq!(channel.probe().await.unwrap().details["name"], json!("Peer"));
    assert!(matches!(at("another").probe().await, Err(ChannelError::BadCredentials(_))));
    let mut posted = webhooks().await;
    let question = [("To", "+15017122661"), ("From", "+15558675310"), ("Body", "1 + 1 & grüße 👋?")];
    happens(&peer, "inbound-message", &question).await;
    let request = next(&mut posted).await;
    let asked = channel.decode(&request).unwrap().remove(0);
    assert_eq!(
        (asked.text.as_deref(), asked.recipient.as_str()),
        (Some("1 + 1 & grüße 👋?"), "+15558675310")
    );
    assert!(matches!(at("another").decode(&request), Err(ChannelError::BadSignature(_))));
    let answer = message(&json!({"recipient": asked.recipient, "text": "It is **2**."}));
    let sent = channel.send(&part(&answer, 0, &plan(&answer, &CAPS).unwrap().parts[0])).await.unwrap();
    happens(&peer, "message-status", &[("MessageSid", &sent.platform_message_id), ("Status", "delivered")])
        .await;
    let arrived = loop {
        if let Some(status) = channel.decode(&next(&mut posted).await).unwrap().pop() {
            break status;
        }
    };
    let Deed::Received(receipts) = arrived.deed else { panic!("{arrived:?}") };
    assert_eq!(receipts.messages, [claw_types::Named::Platform(sent.platform_message_id)]);
}
