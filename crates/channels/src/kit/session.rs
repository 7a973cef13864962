//! In which conversation a message is, and who wrote it, as the backend is told both. It tells conversations apart by the metadata of
//! their messages, of which it takes the first of `thread_id` and `chat_id` that there is.

use claw_types::Sender;
use serde_json::{Map, Value, json};

/// The metadata of a chat, or of a thread in it: a thread's id may be the same in every chat, so the chat's goes with it. By itself it
/// stands in `message_thread_id`.
pub fn keys(chat: &str, thread: Option<&str>) -> Map<String, Value> {
    let mut metadata = Map::from_iter([("chat_id".to_owned(), json!(chat))]);
    if let Some(thread) = thread {
        metadata.insert("thread_id".to_owned(), json!(format!("{chat}:{thread}")));
        metadata.insert("message_thread_id".to_owned(), json!(thread));
    }
    metadata
}

/// Somebody by the name that came with the message; by the id where that says nothing.
pub fn sender(id: &str, name: Option<&str>) -> Sender {
    let name = name.filter(|name| !name.trim().is_empty());
    Sender { platform_id: id.to_owned(), display_name: name.unwrap_or(id).to_owned(), internal_user: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_known_by_its_chat_too() {
        assert_eq!(Value::Object(keys("5", None)), json!({"chat_id": "5"}));
        let thread = json!({"chat_id": "5", "thread_id": "5:9", "message_thread_id": "9"});
        assert_eq!(Value::Object(keys("5", Some("9"))), thread);
    }

    #[test]
    fn who_tells_no_name_is_called_by_the_id() {
        for (name, called) in [(Some("Ada"), "Ada"), (Some(" "), "7"), (None, "7")] {
            assert_eq!(sender("7", name).display_name, called, "{name:?}");
        }
    }
}
