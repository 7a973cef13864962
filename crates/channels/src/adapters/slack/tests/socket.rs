//! Socket Mode, with a server in Slack's place that a test leads by the hand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures::FutureExt as _;
use tokio::sync::{Notify, mpsc};

use super::fake::{Answers, Fake, well};
use super::*;
use crate::SinkError;

mod broken;

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// Takes what comes in, and commits when it is told to.
struct Committer {
    taken: mpsc::UnboundedSender<Inbound>,
    commit: Notify,
    /// How many are refused before one is committed.
    refused: AtomicUsize,
    troubles: Mutex<Vec<Option<String>>>,
}

#[async_trait]
impl Sink for Committer {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        for message in messages {
            self.taken.send(message).unwrap();
        }
        self.commit.notified().await;
        let refuse = |left: usize| left.checked_sub(1);
        match self.refused.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse) {
            Ok(_) => Err(SinkError::NotCommitted("the database is away".to_owned())),
            Err(_) => Ok(()),
        }
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        Ok(())
    }

    async fn trouble(&self, error: Option<&str>) {
        self.troubles.lock().unwrap().push(error.map(str::to_owned));
    }
}

/// A channel that listens, for as long as `led` leads it; what listening came to, if it ended by itself.
async fn listening<F: Future<Output = ()>>(
    answers: Answers,
    refused: usize,
    led: impl FnOnce(Fake, mpsc::UnboundedReceiver<Inbound>, Arc<Committer>) -> F,
) -> Option<Result<(), ChannelError>> {
    listening_for(SOON, answers, refused, led).await
}

/// The same, for so long at most.
async fn listening_for<F: Future<Output = ()>>(
    limit: Duration,
    answers: Answers,
    refused: usize,
    led: impl FnOnce(Fake, mpsc::UnboundedReceiver<Inbound>, Arc<Committer>) -> F,
) -> Option<Result<(), ChannelError>> {
    let fake = Fake::start(answers).await;
    let slack = slack(&json!({"api_url": fake.url, "app_token_env": "xapp-1-A1-2-3"})).unwrap();
    let (taken, receiver) = mpsc::unbounded_channel();
    let (commit, refused) = (Notify::new(), AtomicUsize::new(refused));
    let sink = Arc::new(Committer { taken, commit, refused, troubles: Mutex::default() });
    let both = async {
        tokio::select! {
            ended = slack.listen(&*sink, CancellationToken::new()) => Some(ended),
            () = led(fake, receiver, Arc::clone(&sink)) => None,
        }
    };
    tokio::time::timeout(limit, both).await.expect("it takes too long")
}

fn envelope(id: &str, ts: &str) -> Value {
    let event = json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "hi", "ts": ts});
    json!({"envelope_id": id, "type": "events_api", "accepts_response_payload": false, "retry_attempt": 0, "retry_reason": "",
        "payload": {"type": "event_callback", "event_id": "Ev1", "api_app_id": "A1", "event": event}})
}

async fn say(link: &mut WebSocket, what: &Value) {
    link.send(Message::text(what.to_string())).await.unwrap();
}

/// What the channel says next; pongs are not counted.
async fn heard(link: &mut WebSocket) -> Value {
    loop {
        if let Message::Text(text) = link.recv().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

fn acknowledged(id: &str) -> Value {
    json!({"envelope_id": id})
}

/// Nothing may have been said until now.
fn says_nothing(link: &mut WebSocket) {
    assert!(link.recv().now_or_never().is_none(), "it is acknowledged and not committed");
}

#[tokio::test]
async fn an_envelope_is_acknowledged_once_it_is_committed() {
    let ended = listening(well, 0, async |mut fake, mut taken, sink| {
        let mut link = fake.link().await;
        say(&mut link, &json!({"type": "hello", "num_connections": 1})).await;
        say(&mut link, &envelope("e-1", "1.000001")).await;
        let message = taken.recv().await.unwrap();
        assert_eq!(message.text.as_deref(), Some("hi"));
        says_nothing(&mut link);
        sink.commit.notify_one();
        assert_eq!(heard(&mut link).await, acknowledged("e-1"));
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn what_was_not_committed_is_not_acknowledged_and_counts_once_when_it_comes_again() {
    let ended = listening(well, 1, async |mut fake, mut taken, sink| {
        let mut link = fake.link().await;
        say(&mut link, &envelope("e-1", "1.000001")).await;
        let first = taken.recv().await.unwrap();
        sink.commit.notify_one();
        // Slack sends it again; it does so minutes later, and over any socket.
        say(&mut link, &envelope("e-2", "1.000001")).await;
        let again = taken.recv().await.unwrap();
        assert_eq!(first.dedup_key, again.dedup_key);
        sink.commit.notify_one();
        assert_eq!(heard(&mut link).await, acknowledged("e-2"), "the first was never acknowledged");
        let troubles = sink.troubles.lock().unwrap().clone();
        assert_eq!(troubles, [Some("the database is away".to_owned()), None]);
    });
    assert_eq!(ended.await, None);
}

/// Slack may not hear an acknowledgement, and sends the event again minutes later.
#[tokio::test]
async fn what_was_committed_and_comes_again_is_known_by_the_same_key_and_acknowledged() {
    let ended = listening(well, 0, async |mut fake, mut taken, sink| {
        let mut link = fake.link().await;
        say(&mut link, &envelope("e-1", "1.000001")).await;
        let first = taken.recv().await.unwrap();
        assert!(first.dedup_key.is_some());
        sink.commit.notify_one();
        assert_eq!(heard(&mut link).await, acknowledged("e-1"));
        // Under the same envelope's id, or in a new envelope.
        for id in ["e-1", "e-2"] {
            let mut again = envelope(id, "1.000001");
            again["retry_attempt"] = json!(1);
            again["retry_reason"] = json!("timeout");
            say(&mut link, &again).await;
            assert_eq!(taken.recv().await.unwrap().dedup_key, first.dedup_key, "{id}");
            sink.commit.notify_one();
            assert_eq!(heard(&mut link).await, acknowledged(id));
        }
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn the_next_socket_is_open_before_the_old_one_closes() {
    let ended = listening(well, 0, async |mut fake, mut taken, sink| {
        for reason in ["warning", "refresh_requested"] {
            let mut old = fake.link().await;
            say(&mut old, &json!({"type": "disconnect", "reason": reason})).await;
            let mut next = fake.link().await;
            for link in [&mut old, &mut next] {
                say(link, &envelope(reason, "1.000001")).await;
                taken.recv().await.unwrap();
                sink.commit.notify_one();
                assert_eq!(heard(link).await, acknowledged(reason));
            }
            say(&mut next, &json!({"type": "disconnect", "reason": "refresh_requested"})).await;
        }
        assert!(sink.troubles.lock().unwrap().is_empty(), "all is well meanwhile");
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn commands_and_buttons_come_over_the_socket_too_and_nothing_is_said_to_them() {
    let ended = listening(well, 0, async |mut fake, mut taken, sink| {
        let mut link = fake.link().await;
        for (kind, name) in [("slash_commands", "command"), ("interactive", "button")] {
            let payload = exam::Exam.payloads().iter().find(|payload| payload.name == name).unwrap();
            let payload: Value = serde_json::from_str(payload.sent).unwrap();
            let accepts = kind == "slash_commands";
            let envelope = json!({"envelope_id": name, "type": kind, "accepts_response_payload": accepts, "payload": payload});
            say(&mut link, &envelope).await;
            assert!(taken.recv().await.unwrap().text.is_some());
            sink.commit.notify_one();
            assert_eq!(heard(&mut link).await, acknowledged(name));
        }
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn what_is_none_of_ours_is_acknowledged_and_what_is_no_envelope_ignored() {
    let ended = listening(well, 0, async |mut fake, _, _| {
        let mut link = fake.link().await;
        link.send(Message::text("no json")).await.unwrap();
        link.send(Message::binary(vec![0, 1])).await.unwrap();
        say(&mut link, &json!({"type": "of the future"})).await;
        for (id, kind, payload) in [
            ("e-1", "of the future", json!({})),
            ("e-2", "events_api", json!("not an event")),
            ("e-3", "events_api", json!({"type": "event_callback", "event": {"type": "team_join"}})),
            ("e-4", "slash_commands", json!(null)),
        ] {
            say(&mut link, &json!({"envelope_id": id, "type": kind, "payload": payload})).await;
            assert_eq!(heard(&mut link).await, acknowledged(id));
        }
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn a_channel_that_is_not_listened_to_is_acknowledged() {
    let fake = Fake::start(well).await;
    let slack =
        slack(&json!({"api_url": fake.url, "app_token_env": "xapp-1-A1-2-3", "allowed_channels": ["C1"]}))
            .unwrap();
    let read =
        incoming::enveloped("slash_commands", r#"{"command": "/a", "channel_id": "C2", "user_id": "U1"}"#)
            .unwrap();
    assert_eq!((read.len(), slack.admitted(read).len()), (1, 0));
}

#[tokio::test]
async fn who_switches_socket_mode_off_is_told() {
    let ended = listening(well, 0, async |mut fake, _, _| {
        let mut link = fake.link().await;
        say(&mut link, &json!({"type": "disconnect", "reason": "link_disabled"})).await;
        std::future::pending::<()>().await;
    });
    let ended = ended.await;
    assert!(
        matches!(&ended, Some(Err(ChannelError::Config(why))) if why.contains("Socket Mode")),
        "{ended:?}"
    );
}

#[tokio::test]
async fn an_app_without_a_socket_left_tries_again_and_says_why() {
    let ended = listening(well, 0, async |mut fake, _, sink| {
        let mut link = fake.link().await;
        say(&mut link, &json!({"type": "disconnect", "reason": "too_many_websockets"})).await;
        drop(fake.link().await);
        let told = sink.troubles.lock().unwrap()[0].clone().unwrap();
        assert!(told.contains("another program"), "{told}");
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn a_revoked_app_token_ends_receiving() {
    let answers: Answers = |_, _, _| (200, json!({"ok": false, "error": "token_revoked"}));
    let ended = listening(answers, 0, async |_, _, _| std::future::pending().await).await;
    assert!(
        matches!(&ended, Some(Err(ChannelError::BadCredentials(why))) if why.contains("app_token_env")),
        "{ended:?}"
    );
}

#[tokio::test]
async fn slack_is_left_alone_for_as_long_as_it_asks() {
    let answers: Answers = |method, host, count| match count {
        1 => (429, json!({"ok": false, "error": "ratelimited"})),
        _ => well(method, host, count),
    };
    let ended = listening(answers, 0, async |mut fake, _, sink| {
        drop(fake.link().await);
        assert!(sink.troubles.lock().unwrap()[0].as_ref().unwrap().contains("wait"));
    });
    assert_eq!(ended.await, None);
}
