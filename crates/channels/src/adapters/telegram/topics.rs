//! What forum topics are called, by which a backend may choose its agent.
//!
//! A bot can't ask for it. It is told when a topic is made (<https://core.telegram.org/bots/api#forumtopiccreated>) and when it is renamed
//! (<https://core.telegram.org/bots/api#forumtopicedited>); and whatever is written in a topic and answers nothing answers its making, by
//! which the first name is told again and again. So names are remembered as they are seen, for what does answer something.
//!
//! A topic that was renamed goes by its first name again in a process that did not see it: after a restart, and, by webhook, in gateways
//! to which another update was posted.
//!
//! Must hold: the first name never takes the place of a later one.

use std::sync::{Mutex, PoisonError};

use claw_types::Inbound;
use serde::Deserialize;
use serde_json::json;

use super::api::RawUpdate;
use super::who::Chat;
use crate::kit::newest::Newest;

/// Topics whose names are remembered, of one bot.
const MOST: usize = 1000;
/// What stands in each update of a topic, and in few others.
const SIGN: &str = "\"is_topic_message\"";

/// Names by chat and topic.
pub(super) struct Topics(Mutex<Newest<String>>);

impl Default for Topics {
    fn default() -> Self {
        Self(Mutex::new(Newest::of(MOST)))
    }
}

#[derive(Deserialize)]
struct Update {
    message: Option<Message>,
    edited_message: Option<Message>,
    callback_query: Option<Query>,
}

#[derive(Deserialize)]
struct Query {
    /// Below which the button stands.
    message: Option<Message>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "Telegram's names")]
struct Message {
    chat: Chat,
    message_thread_id: Option<i64>,
    #[serde(default)]
    is_topic_message: bool,
    forum_topic_created: Option<Named>,
    forum_topic_edited: Option<Named>,
    reply_to_message: Option<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    forum_topic_created: Option<Named>,
}

/// Without a name where only the topic's icon was changed.
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

impl Named {
    fn name(self) -> Option<String> {
        self.name.filter(|name| !name.is_empty())
    }
}

impl Topics {
    /// Remembers what an update tells of a topic's name, and tells its message that name, if it is known.
    pub(super) fn complete(&self, update: &RawUpdate, message: &mut Inbound) {
        if let Some(name) = self.name(update) {
            message.metadata.insert("thread_name".to_owned(), json!(name));
        }
    }

    fn name(&self, update: &RawUpdate) -> Option<String> {
        let json = update.json.get();
        if !json.contains(SIGN) {
            return None;
        }
        let Update { message, edited_message, callback_query } = serde_json::from_str(json).ok()?;
        let pressed = callback_query.and_then(|query| query.message);
        let message = message.or(edited_message).or(pressed).filter(|message| message.is_topic_message)?;
        let key = format!("{}:{}", message.chat.id, message.message_thread_id?);
        let renamed = message.forum_topic_edited.and_then(Named::name);
        let answered = message.reply_to_message.and_then(|answered| answered.forum_topic_created);
        let first = message.forum_topic_created.or(answered).and_then(Named::name);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = renamed.or_else(|| first.filter(|_| known.get(&key).is_none()));
        if let Some(name) = new {
            known.insert(key.clone(), name);
        }
        known.get(&key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The name that a message of a topic gets.
    fn named(topics: &Topics, topic: i64, extra: &Value) -> Option<String> {
        let mut message = json!({"message_id": 5, "date": 1_700_000_000, "text": "hi", "message_thread_id": topic,
            "is_topic_message": true, "chat": {"id": -100_123, "type": "supergroup", "title": "research"}});
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        of(topics, &json!({"update_id": 7, "message": message}))
    }

    fn of(topics: &Topics, update: &Value) -> Option<String> {
        let json = serde_json::value::to_raw_value(update).unwrap();
        let mut message = Inbound::default();
        topics.complete(&RawUpdate { update_id: 7, json }, &mut message);
        message.metadata.get("thread_name").and_then(Value::as_str).map(str::to_owned)
    }

    fn made(name: &str) -> Value {
        json!({"reply_to_message": {"message_id": 9, "forum_topic_created": {"name": name, "icon_color": 7_322_096}}})
    }

    #[test]
    fn a_name_is_remembered_for_what_answers_something_else() {
        let topics = Topics::default();
        let answer = json!({"reply_to_message": {"message_id": 4, "text": "so"}});
        assert_eq!(named(&topics, 9, &answer), None, "nobody told it yet");
        assert_eq!(named(&topics, 9, &made("fast_research")).as_deref(), Some("fast_research"));
        assert_eq!(named(&topics, 9, &answer).as_deref(), Some("fast_research"));
        assert_eq!(named(&topics, 10, &answer), None, "another topic");
        let pressed = json!({"update_id": 7, "callback_query": {"id": "1", "message": {"message_id": 5,
            "message_thread_id": 9, "is_topic_message": true, "chat": {"id": -100_123, "type": "supergroup"}}}});
        assert_eq!(of(&topics, &pressed).as_deref(), Some("fast_research"));
    }

    #[test]
    fn a_topic_that_was_renamed_keeps_its_new_name() {
        let topics = Topics::default();
        assert_eq!(named(&topics, 9, &json!({"forum_topic_created": {"name": "a"}})).as_deref(), Some("a"));
        let mut renamed = made("a");
        renamed["forum_topic_edited"] = json!({"name": "b"});
        assert_eq!(named(&topics, 9, &renamed).as_deref(), Some("b"));
        assert_eq!(
            named(&topics, 9, &made("a")).as_deref(),
            Some("b"),
            "its making has the first name for ever"
        );
        let icon = json!({"forum_topic_edited": {"icon_custom_emoji_id": "5368"}});
        assert_eq!(named(&topics, 9, &icon).as_deref(), Some("b"));
    }

    #[test]
    fn what_is_in_no_topic_has_no_topics_name() {
        let topics = Topics::default();
        let mut thread = made("a");
        thread["is_topic_message"] = json!(false);
        assert_eq!(named(&topics, 9, &thread), None);
        assert_eq!(
            named(&topics, 9, &json!({"reply_to_message": 7})),
            None,
            "what can't be read does no harm"
        );
    }
}
