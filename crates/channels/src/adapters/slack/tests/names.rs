//! The names of those who write.

use super::fake::{Answers, Fake, well};
use super::*;

fn event(user: &str) -> String {
    let event = json!({"type": "message", "channel": "D1", "channel_type": "im", "user": user, "text": "hi", "ts": "1700000000.000100"});
    json!({"type": "event_callback", "event": event, "event_id": "Ev1", "authorizations": []}).to_string()
}

/// What the one who wrote is called, by way of a gateway.
async fn called(slack: &Slack, request: &RawRequest) -> Result<String, ChannelError> {
    let mut messages = slack.decode(request)?;
    slack.complete(&mut messages).await;
    Ok(messages.remove(0).sender.unwrap().display_name)
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
