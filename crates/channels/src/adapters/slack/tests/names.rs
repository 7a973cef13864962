//! The names of those who write.

use super::fake::{Answers, Fake, well};
use super::*;

fn event(user: &str) -> String {
    event_in("D1", user)
}

fn event_in(channel: &str, user: &str) -> String {
    let kind = if channel.starts_with('D') { "im" } else { "channel" };
    let event = json!({"type": "message", "channel": channel, "channel_type": kind, "user": user, "text": "hi", "ts": "1700000000.000100"});
    json!({"type": "event_callback", "event": event, "event_id": "Ev1", "authorizations": []}).to_string()
}

/// What the one who wrote is called, by way of a gateway.
async fn called(slack: &Slack, request: &RawRequest) -> Result<String, ChannelError> {
    let mut messages = slack.decode(request)?;
    slack.complete(&mut messages).await;
    Ok(messages.remove(0).sender.unwrap().display_name)
}

/// What the conversation is called in which somebody wrote.
async fn channel_name(slack: &Slack, channel: &str) -> Option<String> {
    let mut messages = slack.decode(&posted(&event_in(channel, "U0ADA"), "application/json")).unwrap();
    slack.complete(&mut messages).await;
    messages.remove(0).metadata.get("channel_name").map(|name| name.as_str().unwrap().to_owned())
}

/// For which conversations Slack was asked since the last time.
fn asked_for(fake: &Fake) -> Vec<String> {
    let calls = fake.calls().into_iter().filter(|call| call.method() == "conversations.info");
    calls.map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect()
}

fn at(fake: &Fake) -> Slack {
    slack(&json!({"api_url": fake.url, "signing_secret": SECRET})).unwrap()
}

#[tokio::test]
async fn a_name_is_asked_for_only_where_slack_posted() {
    let fake = Fake::start(well).await;
    let slack = at(&fake);
    let genuine = posted(&event("U0ADA"), "application/json");
    let forged = RawRequest { headers: HeaderMap::new(), ..genuine.clone() };
    assert!(matches!(called(&slack, &forged).await, Err(ChannelError::BadSignature(_))));
    assert!(fake.calls().is_empty(), "a stranger has Slack asked for nothing");
    assert_eq!(called(&slack, &genuine).await.unwrap(), "Ada");
    let asked = fake.calls().remove(0);
    assert_eq!((asked.method(), &asked.body[..]), ("users.info", b"user=U0ADA".as_slice()));
    assert_eq!(called(&slack, &genuine).await.unwrap(), "Ada");
    assert!(fake.calls().is_empty(), "it is known");
}

#[tokio::test]
async fn without_the_scope_people_have_their_ids_and_the_probe_says_so() {
    let refuses: Answers = |method, host, count| match method {
        "users.info" => (200, json!({"ok": false, "error": "missing_scope", "needed": "users:read"})),
        _ => well(method, host, count),
    };
    let fake = Fake::start(refuses).await;
    let slack = at(&fake);
    assert_eq!(slack.probe().await.unwrap().details["shows_names"], json!(false));
    fake.calls();
    for user in ["U0ADA", "U0BOB"] {
        assert_eq!(called(&slack, &posted(&event(user), "application/json")).await.unwrap(), user);
    }
    assert_eq!(fake.calls().len(), 1, "Slack is not asked again and again");
}

#[tokio::test]
async fn with_the_scope_the_probe_says_that_names_are_shown() {
    let fake = Fake::start(well).await;
    assert_eq!(at(&fake).probe().await.unwrap().details["shows_names"], json!(true));
}

#[tokio::test]
async fn a_channels_name_is_asked_for_once_and_direct_messages_have_none() {
    let fake = Fake::start(well).await;
    let slack = at(&fake);
    for _ in 0..2 {
        assert_eq!(channel_name(&slack, "C1").await.as_deref(), Some("research"));
    }
    assert_eq!(channel_name(&slack, "D1").await, None);
    assert_eq!(asked_for(&fake), ["channel=C1"]);
}

#[tokio::test]
async fn without_the_scope_a_conversation_has_no_name_and_is_not_asked_for_again_and_again() {
    let refuses: Answers = |method, host, count| match method {
        "conversations.info" => {
            (200, json!({"ok": false, "error": "missing_scope", "needed": "groups:read"}))
        }
        _ => well(method, host, count),
    };
    let fake = Fake::start(refuses).await;
    let slack = at(&fake);
    for _ in 0..2 {
        assert_eq!(channel_name(&slack, "G1").await, None);
    }
    assert_eq!(asked_for(&fake), ["channel=G1"]);
    // That one may be public, for which the app may have the scope.
    assert_eq!(channel_name(&slack, "C1").await, None);
    assert_eq!(asked_for(&fake), ["channel=C1"]);
    assert_eq!(called(&slack, &posted(&event("U0ADA"), "application/json")).await.unwrap(), "Ada");
}

#[tokio::test]
async fn the_name_that_slack_makes_for_direct_messages_of_several_people_is_none() {
    let made: Answers = |method, host, count| match method {
        "conversations.info" => {
            (200, json!({"ok": true, "channel": {"name": "mpdm-ada--bob-1", "is_mpim": true}}))
        }
        _ => well(method, host, count),
    };
    let fake = Fake::start(made).await;
    assert_eq!(channel_name(&at(&fake), "G1").await, None);
    assert_eq!(asked_for(&fake), ["channel=G1"]);
}
