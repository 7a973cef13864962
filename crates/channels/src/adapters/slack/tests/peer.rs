//! A conversation with an emulator of Slack that others wrote, which `make peer-slack` starts (tests/peers/emulate).

use futures::TryStreamExt as _;

use super::api::Call;
use super::sending::send_to;
use super::*;

/// Set by tests/peers/emulate/run.sh: where it is.
const PEER: &str = "II_CLAW_SLACK_PEER";
/// The channel that the emulator begins with.
const GENERAL: &str = "C000000001";

/// What the emulator shows people of a channel, or of a thread in it: the newest first.
async fn shown(slack: &Slack, thread: Option<&str>) -> Vec<Value> {
    let call = match thread {
        Some(thread) => Call::form("conversations.replies").with("ts", thread),
        None => Call::form("conversations.history"),
    };
    let answer: Value = slack.api.call(&call.with("channel", GENERAL)).await.unwrap();
    answer["messages"].as_array().unwrap().clone()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a conversation that is not had must be seen")]
async fn a_conversation_with_an_emulator() {
    let Ok(peer) = std::env::var(PEER) else {
        println!("SKIPPED: {PEER} is not set; `make peer-slack` starts the emulator");
        return;
    };
    // It has no Socket Mode.
    let fields = json!({"bot_token_env": "xoxb-1-2-peer", "app_token_env": "", "signing_secret": SECRET, "api_url": peer});
    let slack = slack(&fields).unwrap();
    assert_eq!(slack.probe().await.unwrap().account.as_deref(), Some("@ada"));
    let say = async |extra: Value| {
        let mut message = json!({"recipient": GENERAL});
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let mut sent = send_to(&slack, &message).await;
        assert_eq!(sent.len(), 1);
        sent.remove(0).map(|receipt| receipt.platform_message_id)
    };

    let first = say(json!({"text": "**1 & 1** is"})).await.unwrap();
    assert_eq!(shown(&slack, None).await[0]["text"], "*1 &amp; 1* is");
    let edit = say(json!({"act": {"type": "edit", "message_id": first}, "text": "**1 & 1** is 2"})).await;
    assert_eq!(edit, Ok(first.clone()));
    assert_eq!(shown(&slack, None).await[0]["text"], "*1 &amp; 1* is 2");

    let react = |emoji: Value| json!({"act": {"type": "react", "message_id": first, "emoji": emoji}});
    for _ in 0..2 {
        assert_eq!(say(react(json!("👍"))).await, Ok(first.clone()), "also when it is there already");
    }
    assert_eq!(shown(&slack, None).await[0]["reactions"][0]["name"], "+1");
    assert_eq!(say(react(Value::Null)).await, Ok(first.clone()));
    let left = shown(&slack, None).await[0]["reactions"].as_array().map_or(0, Vec::len);
    assert_eq!(left, 0, "none of ours");

    let reply = say(json!({"text": "sure", "thread_id": first, "buttons": [[{"text": "Y", "data": "y"}]]}))
        .await
        .unwrap();
    let thread = shown(&slack, Some(&first)).await;
    let reply = thread.iter().find(|message| message["ts"] == json!(reply)).expect("it is in the thread");
    assert_eq!(reply["blocks"][1]["elements"][0]["value"], "y");

    // The emulator's own page is as good a file as any.
    let media = json!([{"kind": "file", "url": format!("{peer}/"), "filename": "page.html"}]);
    let file = say(json!({"text": "a file", "media": media})).await.unwrap();
    let handle = file.split(',').next().unwrap().to_owned();
    assert_eq!(shown(&slack, None).await[0]["files"][0]["id"], json!(handle));
    let reference = MediaRef { kind: MediaKind::File, handle, filename: None, mime: None };
    let opened = slack.open_media(&reference).await.unwrap();
    let bytes: Vec<_> = opened.bytes.try_collect().await.unwrap();
    assert!(!bytes.concat().is_empty());

    for id in [file, first] {
        for _ in 0..2 {
            let delete = json!({"act": {"type": "delete", "message_ids": [id]}});
            assert_eq!(say(delete).await, Ok(id.clone()), "also when it is gone already");
        }
    }
    let told = say(json!({"recipient": "C0NOWHERE", "text": "hi"})).await;
    assert!(
        matches!(&told, Err(ChannelError::Permanent(why)) if why.contains("channel_not_found")),
        "{told:?}"
    );
}
