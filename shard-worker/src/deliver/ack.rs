//! The emoji that people see on a message of theirs when it is handed to the backend, where the channel's `ack_reaction` names one.
//!
//! A task of its own for each, a few of a channel at once: it waits for the platform's pace behind answers, for some seconds, and is left
//! out after that. Nothing of it is stored, so after a crash before the first attempt is written down it is given again; a reaction that is
//! there already is no second one. It stays when the answer comes.
//!
//! Must hold: no message waits for it and none fails with it; without the field a message costs a look at its channel; what is done again,
//! what no person wrote and what only tells of another message gets none.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use claw_channels::kit::plan::{Content, Piece};
use claw_channels::{Caps, Part};
use claw_types::{WebhookBody, Work};
use tokio::time::timeout;
use tracing::debug;

use crate::channels::active::Active;
use crate::channels::limiter::Priority;
use crate::core::Core;
use crate::shard::Shard;

/// Later than this after the message was handed over it would tell people nothing.
const WITHIN: Duration = Duration::from_secs(10);
/// A call that takes longer is not waited for.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// A reaction that is to be given.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    recipient: String,
    thread_id: Option<String>,
    /// The platform's id of the person's message.
    message_id: String,
}

/// The backend is about to be told of this message.
pub(super) fn begin(core: &Arc<Core>, shard: &Arc<Shard>, active: Arc<Active>, work: &Work) {
    let Some(emoji) = active.manners().ack.clone() else { return };
    let Some(ack) = ack(work).filter(|ack| shows(active.caps_in(&ack.recipient))) else { return };
    let Some(room) = active.ack_room() else { return };
    let (core, stopping, work) = (Arc::clone(core), shard.stopping().clone(), work.clone());
    shard.spawn(async move {
        stopping.run_until_cancelled(give(&core, &active, &work, ack, &emoji)).await;
        drop(room);
    });
}

/// Whether reactions of ours can be seen. A page that reads what we store would show one until it is loaded again.
fn shows(caps: &Caps) -> bool {
    caps.reactions && !caps.drafts
}

/// What is to be reacted to, at the first attempt at what a person wrote.
fn ack(work: &Work) -> Option<Ack> {
    if work.attempts > 0 || work.retries > 0 {
        return None;
    }
    let body: WebhookBody = serde_json::from_str(work.payload.get()).ok()?;
    // The id of a pressed button is that of no message.
    if body.content_type == "button" || body.metadata.contains_key("event") || body.sender.is_none() {
        return None;
    }
    let to = body.reply_to?;
    Some(Ack { recipient: to.recipient, thread_id: to.thread_id, message_id: body.platform_message_id? })
}

async fn give(core: &Core, active: &Active, work: &Work, ack: Ack, emoji: &str) {
    let waiting = active.turn(Priority::Preview, &ack.recipient, 1);
    let Ok(turn) = timeout(WITHIN, waiting).await else {
        debug!(message.id = %work.id, "not acknowledged: the platform's pace had no room for it");
        return;
    };
    if !core.lease.holds() || core.erased.has(work) {
        return;
    }
    let content = Content::React { message_id: ack.message_id, emoji: Some(emoji.to_owned()) };
    let part = Part {
        message_id: work.id,
        seq: work.seq,
        index: 0,
        recipient: &ack.recipient,
        thread_id: ack.thread_id.as_deref(),
        piece: &Piece { content, reply_to: None, buttons: Vec::new() },
        accepted_at: DateTime::from_timestamp_millis(work.accepted_at_ms).unwrap_or_default(),
        replaces: None,
    };
    match timeout(CALL_LIMIT, active.send(turn, &part)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => debug!(message.id = %work.id, "not acknowledged: {error}"),
        Err(_) => debug!(message.id = %work.id, "not acknowledged: the platform did not answer"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    /// A person's message that is not changed but for these keys.
    fn work(changed: Value) -> Work {
        let mut body = json!({
            "user_id": "ada", "channel": "kind", "instance_name": "one", "platform_message_id": "7",
            "sender": {"platform_id": "42", "display_name": "Bob"}, "content_type": "text", "text": "hi", "is_group": true,
            "timestamp": "2026-11-23T01:47:54Z", "metadata": {},
            "reply_to": {"channel": "kind", "recipient": "room", "thread_id": "t"},
        });
        let Value::Object(changed) = changed else { panic!("an object") };
        body.as_object_mut().unwrap().extend(changed);
        Work { payload: serde_json::value::to_raw_value(&body).unwrap(), ..testing::work() }
    }

    #[test]
    fn what_a_person_wrote_is_acknowledged_where_they_wrote_it() {
        let expected =
            Ack { recipient: "room".to_owned(), thread_id: Some("t".to_owned()), message_id: "7".to_owned() };
        assert_eq!(ack(&work(json!({}))), Some(expected));
    }

    #[test]
    fn what_no_person_wrote_and_what_tells_of_a_message_is_not() {
        for changed in [
            json!({"metadata": {"event": "message_edited"}}),
            json!({"content_type": "button"}),
            json!({"sender": null}),
            json!({"reply_to": null}),
            json!({"platform_message_id": null}),
        ] {
            assert_eq!(ack(&work(changed.clone())), None, "{changed}");
        }
        assert_eq!(ack(&testing::work()), None, "not readable");
    }

    #[test]
    fn what_is_attempted_again_was_acknowledged_before() {
        assert_eq!(ack(&Work { attempts: 1, ..work(json!({})) }), None);
        assert_eq!(ack(&Work { retries: 1, ..work(json!({})) }), None);
    }

    #[test]
    fn a_page_that_reads_what_is_stored_shows_none() {
        let of = |reactions, drafts| shows(&Caps { reactions, drafts, ..Caps::TEXT_ONLY });
        assert!(of(true, false));
        assert!(!of(true, true) && !of(false, false));
    }
}
