//! What a visitor did, as a platform would tell it.
//!
//! Must hold: every id of a visitor's begins with the conversation, which the page can't choose. So nobody names a message of
//! somebody else's, to change it or to have its own taken for a repetition of it.

use chrono::{DateTime, Utc};
use claw_types::{Answered, Deed, Inbound, Reaction, Sender};
use serde_json::{Map, Value};

use super::said::{Pressed, Said, What};

/// In the conversation of this name.
pub(super) fn of(Said { client_id, what }: Said, conversation: &str, now: DateTime<Utc>) -> Inbound {
    let id = |client_id: &str| format!("{conversation}:{client_id}");
    let metadata = Map::from_iter([("chat_id".to_owned(), Value::String(conversation.to_owned()))]);
    let mut inbound = Inbound {
        sender: Some(Sender {
            platform_id: conversation.to_owned(),
            display_name: "Visitor".to_owned(),
            internal_user: None,
        }),
        content_type: "text".to_owned(),
        timestamp: Some(now),
        metadata,
        // There is nobody else in the chat.
        mentioned: Some(true),
        recipient: conversation.to_owned(),
        ..Inbound::default()
    };
    // What is done to a message has a key apart from messages', whatever ids the page chooses.
    let deed = |name: &str| Some(format!("{name}:{}", id(&client_id)));
    match what {
        What::Message { text, pressed, reply_to } => {
            inbound.platform_message_id = Some(id(&client_id));
            // The page offers it below the agent's messages only; whose it is, is looked up.
            inbound.answers = reply_to.map(|message_id| Answered { message_id, is_own: None });
            said(&mut inbound, text, pressed);
        }
        What::File(media) => {
            inbound.platform_message_id = Some(id(&client_id));
            media.kind.as_str().clone_into(&mut inbound.content_type);
            inbound.media = Some(media);
        }
        What::Edit { message, text } => {
            inbound.dedup_key = deed("edit");
            inbound.platform_message_id = Some(id(&message));
            inbound.deed = Deed::Edited(id(&message));
            inbound.text = Some(text);
        }
        What::Delete { message } => {
            inbound.dedup_key = deed("delete");
            inbound.platform_message_id = Some(id(&message));
            inbound.deed = Deed::Deleted(id(&message));
        }
        What::React { message_id: to, added, removed } => {
            inbound.dedup_key = deed("reaction");
            let (added, removed) = (added.into_iter().collect(), removed.into_iter().collect());
            inbound.deed = Deed::Reacted(Reaction { to, added, removed, ..Reaction::default() });
        }
        What::Received(receipts) => inbound.deed = Deed::Received(receipts),
    }
    inbound
}

fn said(inbound: &mut Inbound, text: String, pressed: Option<Pressed>) {
    let Some(Pressed { data, message_id }) = pressed else {
        inbound.text = Some(text);
        return;
    };
    let metadata = &mut inbound.metadata;
    metadata.insert("callback_data".to_owned(), Value::String(data.clone()));
    metadata.insert("message_id".to_owned(), Value::String(message_id));
    metadata.insert("button_text".to_owned(), Value::String(text));
    "button".clone_into(&mut inbound.content_type);
    inbound.text = Some(data);
}
