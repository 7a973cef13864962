//! What was read of a payload, as JSON that people can compare.

use claw_types::{Answered, Deed, Inbound, Named};
use serde_json::{Map, Value, json};

/// Messages as they are written to `payloads/<name>.read.json`: what says nothing is left out.
pub(super) fn of(messages: &[Inbound]) -> Value {
    messages.iter().map(message).collect()
}

fn message(message: &Inbound) -> Value {
    // Taken apart, so that a new field can't be forgotten here.
    let Inbound {
        id,
        deed,
        answers,
        platform_message_id,
        dedup_key,
        album,
        sender,
        content_type,
        text,
        media,
        media_duration_seconds,
        is_group,
        mentioned,
        sender_is_bot,
        is_own,
        recipient,
        thread_id,
        timestamp,
        metadata,
    } = message;
    let all = [
        ("id", json!(id)),
        ("deed", self::deed(deed)),
        ("answers", answers.as_ref().map_or(Value::Null, answered)),
        ("platform_message_id", json!(platform_message_id)),
        ("dedup_key", json!(dedup_key)),
        ("album", json!(album)),
        ("sender", json!(sender)),
        ("content_type", json!(content_type)),
        ("text", json!(text)),
        ("media", json!(media)),
        ("media_duration_seconds", json!(media_duration_seconds)),
        ("is_group", json!(is_group)),
        ("mentioned", json!(mentioned)),
        ("sender_is_bot", json!(sender_is_bot)),
        ("is_own", json!(is_own)),
        ("recipient", json!(recipient)),
        ("thread_id", json!(thread_id)),
        ("timestamp", json!(timestamp)),
        ("metadata", json!(metadata)),
    ];
    // That a message addresses nobody says something, too.
    let says = |(key, value): &(&str, Value)| match value {
        Value::Null => false,
        Value::Bool(yes) => *yes || *key == "mentioned",
        _ => true,
    };
    let told = all.into_iter().filter(says);
    Value::Object(told.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn answered(answered: &Answered) -> Value {
    json!({"message_id": answered.message_id, "is_own": answered.is_own})
}

fn deed(deed: &Deed) -> Value {
    match deed {
        Deed::Wrote => Value::Null,
        Deed::Edited(key) => json!({"edited": key}),
        Deed::Deleted(key) => json!({"deleted": key}),
        Deed::Reacted(reaction) => json!({"reacted": {
            "to": reaction.to, "added": reaction.added, "removed": reaction.removed, "counts": reaction.counts,
        }}),
        Deed::Received(receipts) => {
            let messages = receipts.messages.iter().map(|named| match named {
                Named::Platform(id) => json!({"platform_id": id}),
                Named::Ours(id) => json!({"id": id}),
                Named::UpTo(time) => json!({"up_to": time}),
            });
            let mut received = json!({"received": messages.collect::<Vec<_>>(), "read": receipts.read});
            if let Some(why) = &receipts.failed {
                received["failed"] = json!(why);
            }
            received
        }
    }
}
