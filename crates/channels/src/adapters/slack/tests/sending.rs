//! Sending, with Slack's answers played.

use chrono::DateTime;
use claw_types::{MessageId, Outbound};
use futures::StreamExt as _;
use uuid::Uuid;

use super::fake::{Answers, Call, Fake, well};
use super::*;
use crate::kit::plan::plan;

async fn send(fake: &Fake, extra: &Value) -> Vec<Result<Receipt, ChannelError>> {
    let slack = slack(&json!({"api_url": fake.url})).unwrap();
    let mut message = json!({"recipient": "C1"});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    send_to(&slack, &message).await
}

/// Sends a message, part by part.
pub(super) async fn send_to(slack: &Slack, message: &Value) -> Vec<Result<Receipt, ChannelError>> {
    let message: Outbound = serde_json::from_value(message.clone()).unwrap();
    message.validate().unwrap();
    let mut sent = Vec::new();
    for (index, piece) in plan(&message, &CAPS).unwrap().parts.iter().enumerate() {
        let part = Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index,
            recipient: &message.recipient,
            thread_id: message.thread_id.as_deref(),
            piece,
            accepted_at: DateTime::from_timestamp(NOW, 0).unwrap(),
            replaces: None,
        };
        sent.push(slack.send(&part).await);
    }
    sent
}

async fn calls_of(answers: Answers, extra: &Value) -> (Vec<Result<String, ChannelError>>, Vec<Call>) {
    let fake = Fake::start(answers).await;
    let sent = send(&fake, extra).await;
    let ids = sent.into_iter().map(|receipt| receipt.map(|receipt| receipt.platform_message_id)).collect();
    (ids, fake.calls())
}

fn methods(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(Call::method).collect()
}

fn refused(error: &str) -> (u16, Value) {
    (200, json!({"ok": false, "error": error}))
}

#[tokio::test]
async fn a_text_is_mrkdwn_and_its_buttons_are_blocks() {
    let (ids, calls) = calls_of(well, &json!({"text": "**sure** & <ok>?"})).await;
    assert_eq!(ids, [Ok("1700000000.000100".to_owned())]);
    assert_eq!(calls[0].json(), json!({"channel": "C1", "text": "*sure* &amp; &lt;ok&gt;?"}));
    assert_eq!(calls[0].token.as_deref(), Some("Bearer xoxb-1-2-bot"));
    let buttons = json!([[{"text": "Yes", "data": "y"}, {"text": "Site", "url": "https://example.org"}]]);
    let (_, calls) = calls_of(well, &json!({"text": "**sure**", "buttons": buttons})).await;
    let label = |text: &str| json!({"type": "plain_text", "text": text, "emoji": true});
    let blocks = json!([
        {"type": "section", "text": {"type": "mrkdwn", "text": "*sure*"}},
        {"type": "actions", "elements": [
            {"type": "button", "action_id": "0-0", "text": label("Yes"), "value": "y"},
            {"type": "button", "action_id": "0-1", "text": label("Site"), "url": "https://example.org"},
        ]},
    ]);
    assert_eq!(calls[0].json(), json!({"channel": "C1", "text": "*sure*", "blocks": blocks}));
}

#[tokio::test]
async fn an_answer_goes_into_the_thread_of_its_question() {
    let thread = async |extra: Value| calls_of(well, &extra).await.1[0].json()["thread_ts"].clone();
    assert_eq!(
        thread(json!({"text": "x", "thread_id": "1.000001", "reply_to": "2.000002"})).await,
        "1.000001"
    );
    assert_eq!(thread(json!({"text": "x", "reply_to": "2.000002"})).await, "2.000002");
    let shown = "F0FILE,F0MORE,3.000003";
    assert_eq!(
        thread(json!({"text": "x", "reply_to": shown})).await,
        "3.000003",
        "files have their message's"
    );
    for wrong in
        [json!({"text": "x", "thread_id": "C1:1.000001"}), json!({"text": "x", "reply_to": "F0FILE"})]
    {
        let (ids, calls) = calls_of(well, &wrong).await;
        assert!(matches!(&ids[0], Err(ChannelError::Permanent(_))) && calls.is_empty(), "{wrong}: {ids:?}");
    }
}

#[tokio::test]
async fn to_a_person_goes_what_is_sent_to_their_id() {
    let (_, calls) = calls_of(well, &json!({"recipient": "U0ADA", "text": "hi"})).await;
    assert_eq!(methods(&calls), ["conversations.open", "chat.postMessage"]);
    assert_eq!((&calls[0].json()["users"], &calls[1].json()["channel"]), (&json!("U0ADA"), &json!("D0ADA")));
}

#[tokio::test]
async fn an_edit_takes_the_buttons_away_that_it_does_not_have() {
    let edit = json!({"act": {"type": "edit", "message_id": "1.000001"}, "text": "done"});
    let (ids, calls) = calls_of(well, &edit).await;
    assert_eq!(ids, [Ok("1.000001".to_owned())]);
    assert_eq!(calls[0].json(), json!({"channel": "C1", "ts": "1.000001", "text": "done", "blocks": []}));
    let buttons_alone =
        json!({"act": {"type": "edit", "message_id": "1.000001"}, "buttons": [[{"text": "Y", "data": "y"}]]});
    let (ids, _) = calls_of(well, &buttons_alone).await;
    assert!(matches!(&ids[0], Err(ChannelError::Permanent(why)) if why.contains("send the text")), "{ids:?}");
}

#[tokio::test]
async fn what_is_so_already_counts_as_done() {
    let react = json!({"act": {"type": "react", "message_id": "1.000001", "emoji": "👍"}});
    let (ids, calls) = calls_of(|_, _, _| refused("already_reacted"), &react).await;
    assert_eq!(ids, [Ok("1.000001".to_owned())]);
    assert_eq!(calls[0].json(), json!({"channel": "C1", "timestamp": "1.000001", "name": "+1"}));
    let delete = json!({"act": {"type": "delete", "message_ids": ["F1,2.000002"]}});
    let (ids, calls) = calls_of(
        |method, _, _| refused(if method == "chat.delete" { "message_not_found" } else { "file_deleted" }),
        &delete,
    )
    .await;
    assert_eq!(ids, [Ok("F1,2.000002".to_owned())]);
    assert_eq!(methods(&calls), ["files.delete", "chat.delete"]);
    let (ids, _) = calls_of(|_, _, _| refused("cant_delete_message"), &delete).await;
    assert!(matches!(&ids[0], Err(ChannelError::Permanent(why)) if why.contains("its own")), "{ids:?}");
}

#[tokio::test]
async fn only_our_own_reactions_are_taken_back() {
    let answers: Answers = |method, host, count| match method {
        "reactions.get" => {
            let reaction =
                |name: &str, users: &[&str]| json!({"name": name, "users": users, "count": users.len()});
            let reactions =
                [reaction("+1", &["U1", "U0BOT"]), reaction("tada", &["U1"]), reaction("eyes", &["U0BOT"])];
            (200, json!({"ok": true, "type": "message", "message": {"reactions": reactions}}))
        }
        "reactions.remove" => refused("no_reaction"),
        _ => well(method, host, count),
    };
    let (ids, calls) =
        calls_of(answers, &json!({"act": {"type": "react", "message_id": "1.000001", "emoji": null}})).await;
    assert_eq!(ids, [Ok("1.000001".to_owned())]);
    let removed = calls.iter().filter(|call| call.method() == "reactions.remove");
    assert_eq!(removed.map(|call| call.json()["name"].clone()).collect::<Vec<_>>(), ["+1", "eyes"]);
}

/// A picture at the fake itself.
fn picture(fake: &Fake) -> Value {
    json!([{"kind": "file", "url": format!("{}/cat", fake.url), "filename": "cat.json"}])
}

#[tokio::test]
async fn a_file_is_uploaded_without_the_token_and_then_shown_with_its_text() {
    let fake = Fake::start(well).await;
    let sent =
        send(&fake, &json!({"text": "look & see", "thread_id": "1.000001", "media": picture(&fake)})).await;
    assert_eq!(sent, [Ok(Receipt { platform_message_id: "F0FILE,1700000000.000050".to_owned() })]);
    let calls = fake.calls();
    let order = ["cat", "files.getUploadURLExternal", "ABC", "files.completeUploadExternal", "files.info"];
    assert_eq!(methods(&calls), order);
    assert_eq!(&calls[4].body[..], b"file=F0FILE");
    let asked = String::from_utf8_lossy(&calls[1].body).into_owned();
    assert!(asked.contains("filename=cat.json") && asked.contains("&length="), "{asked}");
    assert_eq!((&calls[0].token, &calls[2].token), (&None, &None), "only Slack's methods are told the token");
    let shown = json!({"channel_id": "C1", "thread_ts": "1.000001", "initial_comment": "look &amp; see",
        "files": [{"id": "F0FILE", "title": "cat.json"}]});
    assert_eq!(calls[3].json(), shown);
}

/// What a file is known by, with these answers to the question as which message it is shown, and how often that was asked.
async fn known_by(answers: Answers, recipient: &str) -> (String, usize) {
    let fake = Fake::start(answers).await;
    let sent = send(&fake, &json!({"recipient": recipient, "media": picture(&fake)})).await.remove(0);
    let asked = fake.calls().iter().filter(|call| call.method() == "files.info").count();
    (sent.unwrap().platform_message_id, asked)
}

#[tokio::test]
async fn slack_is_asked_for_a_files_message_until_it_has_one() {
    // The fifth call of all is the first that asks; what is empty may be a list there.
    let late: Answers = |method, host, count| match (method, count) {
        ("files.info", ..6) => (200, json!({"ok": true, "file": {"shares": []}})),
        ("files.info", 6) => (503, json!({})),
        _ => well(method, host, count),
    };
    assert_eq!(known_by(late, "C1").await, ("F0FILE,1700000000.000050".to_owned(), 3));
    let private: Answers = |method, host, count| match method {
        "files.info" => {
            let shares =
                json!({"public": {"C1": [{"ts": "1.000001"}]}, "private": {"D0ADA": [{"ts": "2.000002"}]}});
            (200, json!({"ok": true, "file": {"shares": shares}}))
        }
        _ => well(method, host, count),
    };
    assert_eq!(
        known_by(private, "U0ADA").await,
        ("F0FILE,2.000002".to_owned(), 1),
        "of its own conversation"
    );
}

#[tokio::test]
async fn a_file_whose_message_slack_does_not_tell_was_sent_all_the_same() {
    let never: Answers = |method, host, count| match method {
        "files.info" => (200, json!({"ok": true, "file": {}})),
        _ => well(method, host, count),
    };
    assert_eq!(known_by(never, "C1").await, ("F0FILE".to_owned(), 5));
    let may_not: Answers = |method, host, count| match method {
        "files.info" => refused("missing_scope"),
        _ => well(method, host, count),
    };
    assert_eq!(known_by(may_not, "C1").await, ("F0FILE".to_owned(), 1), "asking again does not help");
}

#[tokio::test]
async fn what_was_sent_as_files_is_edited_reacted_to_and_deleted_by_the_id_that_was_told() {
    let told = "F0FILE,1.000001";
    let edit = json!({"act": {"type": "edit", "message_id": told}, "text": "done"});
    let (ids, calls) = calls_of(well, &edit).await;
    assert_eq!((ids, &calls[0].json()["ts"]), (vec![Ok(told.to_owned())], &json!("1.000001")));
    let react = json!({"act": {"type": "react", "message_id": told, "emoji": "👍"}});
    let (ids, calls) = calls_of(well, &react).await;
    assert_eq!((ids, &calls[0].json()["timestamp"]), (vec![Ok(told.to_owned())], &json!("1.000001")));
    let (ids, calls) = calls_of(well, &json!({"act": {"type": "delete", "message_ids": [told]}})).await;
    assert_eq!((ids, methods(&calls)), (vec![Ok(told.to_owned())], vec!["files.delete", "chat.delete"]));
    let unknown = json!({"act": {"type": "react", "message_id": "F0FILE", "emoji": "👍"}});
    let (ids, _) = calls_of(well, &unknown).await;
    assert!(
        matches!(&ids[0], Err(ChannelError::Permanent(why)) if why.contains("only be deleted")),
        "{ids:?}"
    );
}

#[tokio::test]
async fn a_file_with_buttons_is_two_messages_and_not_sent_again_when_the_second_fails() {
    let message = |fake: &Fake| json!({"text": "sure?", "media": picture(fake), "buttons": [[{"text": "Y", "data": "y"}]]});
    let fake = Fake::start(well).await;
    let sent = send(&fake, &message(&fake)).await;
    assert_eq!(
        sent,
        [Ok(Receipt { platform_message_id: "F0FILE,1700000000.000050,1700000000.000100".to_owned() })]
    );
    let calls = fake.calls();
    assert_eq!(calls[3].json().get("initial_comment"), None);
    assert_eq!(calls[4].json()["text"], "sure?");
    let fails: Answers = |method, host, count| match method {
        "chat.postMessage" => (503, json!({})),
        _ => well(method, host, count),
    };
    let fake = Fake::start(fails).await;
    let sent = send(&fake, &message(&fake)).await;
    assert!(
        matches!(&sent[0], Err(ChannelError::Uncertain(why)) if why.contains("attachment was sent")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn nobody_saw_a_file_whose_upload_failed_so_it_is_tried_again() {
    let fails: Answers = |method, host, count| match method {
        "ABC" => (500, json!({})),
        _ => well(method, host, count),
    };
    let fake = Fake::start(fails).await;
    let sent = send(&fake, &json!({"media": picture(&fake)})).await;
    assert!(matches!(&sent[0], Err(ChannelError::Retryable(_))), "{sent:?}");
}

#[tokio::test]
async fn a_refusal_for_pace_may_be_the_chats() {
    let slow: Answers = |_, _, _| refused("rate_limited");
    let (ids, _) = calls_of(slow, &json!({"text": "x"})).await;
    assert!(matches!(ids[0], Err(ChannelError::ChatLimited { told: false, .. })), "{ids:?}");
}

#[tokio::test]
async fn typing_is_shown_in_threads_only() {
    let fake = Fake::start(well).await;
    let slack = slack(&json!({"api_url": fake.url})).unwrap();
    assert!(matches!(slack.typing("C1", None).await, Err(ChannelError::Unsupported(_))));
    slack.typing("C1", Some("1.000001")).await.unwrap();
    let call = fake.calls().remove(0);
    assert_eq!(call.json(), json!({"channel_id": "C1", "thread_ts": "1.000001", "status": "is typing..."}));
}

async fn opened(answers: Answers) -> (Fake, Result<MediaStream, ChannelError>) {
    let fake = Fake::start(answers).await;
    let slack = slack(&json!({"api_url": fake.url})).unwrap();
    let media = MediaRef { kind: MediaKind::Image, handle: "F1".to_owned(), filename: None, mime: None };
    let opened = slack.open_media(&media).await;
    (fake, opened)
}

#[tokio::test]
async fn a_file_is_fetched_with_the_token() {
    let answers: Answers = |method, host, count| match method {
        "files.info" => {
            let url = format!("http://{host}/files-pri/T1-F1/cat.json");
            (200, json!({"ok": true, "file": {"mimetype": "image/png", "url_private_download": url}}))
        }
        _ => well(method, host, count),
    };
    let (fake, opened) = opened(answers).await;
    let mut opened = opened.unwrap();
    assert_eq!(opened.content_type.as_deref(), Some("image/png"));
    assert!(opened.bytes.next().await.unwrap().is_ok());
    let calls = fake.calls();
    assert_eq!(calls[1].path, "/files-pri/T1-F1/cat.json");
    assert_eq!(calls[1].token.as_deref(), Some("Bearer xoxb-1-2-bot"));
}

#[tokio::test]
async fn the_token_goes_to_no_other_server() {
    // The same server by another name is another server.
    let answers: Answers = |method, host, count| match method {
        "files.info" => {
            let elsewhere = host.replace("127.0.0.1", "localhost");
            (
                200,
                json!({"ok": true, "file": {"url_private": format!("http://{elsewhere}/files-pri/F1/cat")}}),
            )
        }
        _ => well(method, host, count),
    };
    let (fake, opened) = opened(answers).await;
    assert!(matches!(opened.err(), Some(ChannelError::Permanent(_))));
    assert_eq!(methods(&fake.calls()), ["files.info"]);
}

#[tokio::test]
async fn what_is_wrong_with_the_app_token_is_told_of_it() {
    let answers: Answers = |method, host, count| match method {
        "apps.connections.open" => refused("invalid_auth"),
        _ => well(method, host, count),
    };
    let fake = Fake::start(answers).await;
    let slack = slack(&json!({"api_url": fake.url, "app_token_env": "xapp-1-A1-2-3"})).unwrap();
    let told = slack.probe().await;
    assert!(
        matches!(&told, Err(ChannelError::BadCredentials(why)) if why.contains("app_token_env")),
        "{told:?}"
    );
}
