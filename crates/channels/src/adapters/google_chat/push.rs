//! What Pub/Sub posts (<https://cloud.google.com/pubsub/docs/push#receive_push>): an event of the Google Workspace Events API, whose attributes
//! stand beside its data (<https://developers.google.com/workspace/events#structure-events>). The data is that of one event or, where
//! much happens at once, of several (<https://developers.google.com/workspace/events/guides/events-chat>).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::event::{Message, User};

/// How the types of Google Chat's events begin. Those of a subscription itself begin otherwise
/// (<https://developers.google.com/workspace/events/guides/events-lifecycle>).
const OF_CHAT: &str = "google.workspace.chat.";

/// An event.
pub(super) struct Event {
    /// The same when it is told again.
    pub(super) id: String,
    /// When it happened.
    pub(super) time: String,
    pub(super) what: What,
}

/// What happened, with what is known of each message or reaction.
pub(super) enum What {
    Written(Vec<Message>),
    Edited(Vec<Message>),
    /// Of these little more than the names is told.
    Deleted(Vec<Message>),
    Reacted(Vec<Reaction>),
    Unreacted(Vec<Reaction>),
    /// Something that is done to the subscription, which whoever keeps it finds by himself, or that Google did not tell when this was
    /// written: it asks to ignore that.
    Other,
}

/// A reaction (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages.reactions>).
#[derive(Deserialize)]
pub(super) struct Reaction {
    pub(super) name: String,
    pub(super) user: Option<User>,
    pub(super) emoji: Option<Emoji>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Emoji {
    pub(super) unicode: Option<String>,
    pub(super) custom_emoji: Option<CustomEmoji>,
}

/// A picture of the organisation's own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomEmoji {
    /// As `:party:`.
    pub(super) emoji_name: Option<String>,
    pub(super) uid: Option<String>,
}

#[derive(Deserialize)]
struct Posted {
    message: Pushed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pushed {
    message_id: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
    #[serde(default)]
    data: String,
}

/// Reads a body that is known to be genuine.
pub(super) fn read(body: &[u8]) -> Result<Event, String> {
    let Posted { message: Pushed { message_id, attributes, data } } =
        serde_json::from_slice(body).map_err(|error| {
            format!("the body is no message of Pub/Sub, which must not be unwrapped: {error}")
        })?;
    let attribute = |name: &str| attributes.get(name).map_or("", String::as_str);
    let what = match attribute("ce-type").strip_prefix(OF_CHAT) {
        Some(kind) => happened(kind, &data)?,
        None => What::Other,
    };
    let id = attributes.get("ce-id").cloned().unwrap_or(message_id);
    Ok(Event { id, time: attribute("ce-time").to_owned(), what })
}

fn happened(kind: &str, data: &str) -> Result<What, String> {
    let json = STANDARD.decode(data).map_err(|_| "the data of the event is not base64".to_owned())?;
    let data: Value = serde_json::from_slice(&json)
        .map_err(|error| format!("the data of the event is no JSON: {error}"))?;
    Ok(match kind {
        "message.v1.created" | "message.v1.batchCreated" => What::Written(each(&data, "message")),
        "message.v1.updated" | "message.v1.batchUpdated" => What::Edited(each(&data, "message")),
        "message.v1.deleted" | "message.v1.batchDeleted" => What::Deleted(each(&data, "message")),
        "reaction.v1.created" | "reaction.v1.batchCreated" => What::Reacted(each(&data, "reaction")),
        "reaction.v1.deleted" | "reaction.v1.batchDeleted" => What::Unreacted(each(&data, "reaction")),
        _ => What::Other,
    })
}

/// The one, or each of several: `{"message": ...}` or `{"messages": [{"message": ...}]}`. What can't be read must not hide the others.
fn each<T: DeserializeOwned>(data: &Value, name: &str) -> Vec<T> {
    let several = data.get(format!("{name}s")).and_then(Value::as_array).into_iter().flatten();
    let all = data.get(name).into_iter().chain(several.filter_map(|item| item.get(name)));
    all.filter_map(|value| T::deserialize(value).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pushed(kind: &str, data: &str) -> Vec<u8> {
        let message = json!({"attributes": {"ce-type": kind}, "data": data, "messageId": "7"});
        json!({"message": message, "subscription": "s"}).to_string().into()
    }

    #[test]
    fn what_can_not_be_read_hides_nothing_else() {
        let two = json!({"messages": [{"message": {"text": "no name"}}, {}, 7, {"message": {"name": "spaces/A/messages/B"}}]});
        let body = pushed("google.workspace.chat.message.v1.batchCreated", &STANDARD.encode(two.to_string()));
        let What::Written(messages) = read(&body).unwrap().what else { panic!("messages") };
        assert_eq!(
            messages.iter().map(|message| message.name.as_str()).collect::<Vec<_>>(),
            ["spaces/A/messages/B"]
        );
    }

    #[test]
    fn what_is_new_is_ignored_and_what_is_no_event_is_refused() {
        let nothing = STANDARD.encode("{}");
        for kind in
            ["google.workspace.chat.space.v1.updated", "google.workspace.events.subscription.v1.expired", ""]
        {
            assert!(matches!(read(&pushed(kind, &nothing)).unwrap().what, What::Other), "{kind}");
        }
        let kind = "google.workspace.chat.message.v1.created";
        let posted = br#"{"type": "MESSAGE", "message": {"name": "spaces/A/messages/B"}}"#.to_vec();
        for body in
            [posted, pushed(kind, "{}"), pushed(kind, &STANDARD.encode("{")), b"{}".to_vec(), b"".to_vec()]
        {
            assert!(read(&body).is_err(), "{}", String::from_utf8_lossy(&body));
        }
    }
}
