//! One delivery of several messages: what a person wrote in a burst, as one webhook.
//!
//! It is the delivery of the burst's last message, under that one's id, with the texts of those before it put in front of its own, and with
//! the attachments of all where they are an album ([`attached`]). Which messages it has is written down before the first attempt and not
//! changed afterwards (`shard/queue/burst.rs` says why); what becomes of it becomes of all of them, in one statement.

use claw_types::{MessageId, WebhookBody, Work};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::attached;

/// Between two texts.
const BREAK: &str = "\n";
/// The key of `metadata` with a list that is kept of each message. Of all else, the last one's counts.
const CONTEXT: &str = "context";

/// What is attempted as one.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The message or, of a burst, the last one with the texts of all.
    pub(super) work: Work,
    /// Of a burst, the messages before it.
    pub(super) before: Option<Vec<MessageId>>,
    /// Why it can't be attempted: a version that writes bodies differently stored one of them.
    pub(super) unreadable: Option<String>,
}

impl Delivery {
    /// Of a message that is alone.
    pub(super) fn single(work: Work) -> Self {
        Self { work, before: None, unreadable: None }
    }

    /// Of the messages of a burst, in order; `None` of none.
    pub(super) fn burst(mut works: Vec<Work>) -> Option<Self> {
        let joined = if works.len() > 1 { joined(&works).map(Some) } else { Ok(None) };
        let last = works.pop()?;
        let before = works.into_iter().map(|work| work.id).collect();
        let burst = Some(last.id);
        let (work, unreadable) = match joined {
            Ok(Some(Joined { payload, media })) => (Work { burst, payload, media, ..last }, None),
            Ok(None) => (Work { burst, ..last }, None),
            Err(error) => (Work { burst, ..last }, Some(format!("unreadable: {error}"))),
        };
        Some(Self { work, before: Some(before), unreadable })
    }
}

/// Whether these are marked as what goes together.
pub(super) fn is_sealed(works: &[Work]) -> bool {
    works.last().is_some_and(|last| works.iter().all(|work| work.burst == Some(last.id)))
}

/// What several messages are as one.
struct Joined {
    /// The body of the webhook.
    payload: Box<RawValue>,
    /// As [`attached::joined`] has it.
    media: Option<Box<RawValue>>,
}

fn joined(works: &[Work]) -> serde_json::Result<Joined> {
    let read = |work: &Work| serde_json::from_str::<WebhookBody>(work.payload.get());
    let mut bodies = works.iter().map(read).collect::<serde_json::Result<Vec<_>>>()?;
    let media = attached::joined(works, &bodies)?;
    let texts: Vec<&str> =
        bodies.iter().filter_map(|body| body.text.as_deref()).filter(|text| !text.is_empty()).collect();
    let text = (!texts.is_empty()).then(|| texts.join(BREAK));
    let merged = works.iter().zip(&bodies).map(|(work, body)| part(work.id, body)).collect();
    let mut metadata = Map::new();
    for body in &mut bodies {
        add(&mut metadata, std::mem::take(&mut body.metadata));
    }
    metadata.insert("merged".to_owned(), merged);
    let payload = match bodies.pop() {
        Some(last) => to_raw_value(&WebhookBody { text, metadata, ..last }),
        None => to_raw_value(&Value::Null),
    };
    Ok(Joined { payload: payload?, media })
}

fn part(id: MessageId, body: &WebhookBody) -> Value {
    match &body.platform_message_id {
        Some(platform) => json!({"id": id, "platform_message_id": platform}),
        None => json!({ "id": id }),
    }
}

/// Adds what a later message tells.
fn add(metadata: &mut Map<String, Value>, later: Map<String, Value>) {
    for (key, value) in later {
        match (metadata.get_mut(&key), value) {
            (Some(Value::Array(context)), Value::Array(more)) if key == CONTEXT => context.extend(more),
            (_, value) => drop(metadata.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use claw_types::{ChannelId, Direction, ShardId};
    use uuid::Uuid;

    use super::*;

    fn work(n: u128, body: &Value) -> Work {
        let mut whole = json!({"user_id": "ada", "channel": "c", "instance_name": "c_1", "content_type": "text",
            "is_group": false, "timestamp": "2026-01-01T00:00:00Z", "metadata": {"chat_id": "9"},
            "sender": {"platform_id": "42", "display_name": "Ada"}});
        let changed = body.as_object().unwrap().clone();
        whole.as_object_mut().unwrap().extend(changed);
        Work {
            id: MessageId(Uuid::from_u128(n)),
            seq: i64::try_from(n).unwrap(),
            shard: ShardId(0),
            user_id: "ada".parse().unwrap(),
            channel_id: ChannelId(Uuid::nil()),
            direction: Direction::In,
            conversation: "9".to_owned(),
            payload: to_raw_value(&whole).unwrap(),
            media: None,
            attempts: 0,
            platform_message_ids: Vec::new(),
            accepted_at_ms: 0,
            retries: 0,
            retried_at_ms: 0,
            ahead: Vec::new(),
            debounce_ms: 1_000,
            burst: None,
            scheduled: false,
        }
    }

    #[test]
    fn a_burst_is_its_last_message_with_what_was_said_before() {
        let works = vec![
            work(
                1,
                &json!({"text": "Hi", "platform_message_id": "p1", "metadata":
                {"chat_id": "9", "reply_to": "p0", "context": [1, 2]}}),
            ),
            work(2, &json!({"text": ""})),
            work(3, &json!({"text": "one more thing", "metadata": {"chat_id": "9", "context": [3]}})),
            work(
                4,
                &json!({"content_type": "image", "platform_message_id": "p4", "timestamp": "2026-01-01T00:00:09Z"}),
            ),
        ];
        assert!(!is_sealed(&works));
        let id = |n| MessageId(Uuid::from_u128(n));
        let delivery = Delivery::burst(works).unwrap();
        assert_eq!(delivery.work.id, id(4));
        assert_eq!(delivery.work.burst, Some(id(4)));
        assert_eq!(delivery.before, Some(vec![id(1), id(2), id(3)]));
        assert!(delivery.unreadable.is_none());
        let body: Value = serde_json::from_str(delivery.work.payload.get()).unwrap();
        assert_eq!(body["text"], "Hi\none more thing");
        assert_eq!((&body["content_type"], &body["platform_message_id"]), (&json!("image"), &json!("p4")));
        assert_eq!(body["timestamp"], "2026-01-01T00:00:09Z");
        assert_eq!(
            body["metadata"],
            json!({"chat_id": "9", "reply_to": "p0", "context": [1, 2, 3], "merged": [
                {"id": id(1), "platform_message_id": "p1"}, {"id": id(2)}, {"id": id(3)},
                {"id": id(4), "platform_message_id": "p4"}]})
        );
    }

    #[test]
    fn a_burst_of_one_is_that_message_to_the_byte() {
        let alone = work(1, &json!({"text": "Hi"}));
        let delivery = Delivery::burst(vec![alone.clone()]).unwrap();
        assert_eq!(delivery.work.payload.get(), alone.payload.get());
        assert_eq!(delivery.before, Some(Vec::new()));
        assert!(is_sealed(&[delivery.work]));
    }

    #[test]
    fn an_album_is_one_delivery_with_what_was_written_to_any_of_its_parts() {
        let media = |handle: &str| Some(to_raw_value(&json!({"kind": "image", "handle": handle})).unwrap());
        let part = |n: u128, text: Value| Work {
            media: media(&n.to_string()),
            ..work(
                n,
                &json!({"text": text, "content_type": "image", "metadata": {"chat_id": "9", "album": "7"}}),
            )
        };
        let (first, last) = (part(1, json!("look")), part(2, Value::Null));
        let delivery = Delivery::burst(vec![first, last.clone()]).unwrap();
        let body = attached::body(&delivery.work, |_, media| format!("/{}", media.handle)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["text"], &body["media_url"]), (&json!("look"), &json!("/2")));
        let attached = body["metadata"]["attachments"].as_array().unwrap();
        assert_eq!(attached.iter().map(|one| &one["media_url"]).collect::<Vec<_>>(), ["/1", "/2"]);
        assert_eq!((&body["metadata"]["album"], &attached[1]["id"]), (&json!("7"), &json!(last.id)));
        let alone = Delivery::burst(vec![last.clone()]).unwrap();
        assert_eq!(alone.work.media.unwrap().get(), last.media.unwrap().get(), "one that nothing followed");
    }

    #[test]
    fn what_can_not_be_read_is_not_sent_in_part() {
        let odd = Work { payload: to_raw_value("odd").unwrap(), ..work(1, &json!({})) };
        let delivery = Delivery::burst(vec![odd, work(2, &json!({"text": "Hi"}))]).unwrap();
        assert!(delivery.unreadable.unwrap().starts_with("unreadable: "));
    }
}
