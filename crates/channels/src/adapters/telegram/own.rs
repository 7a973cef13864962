//! The bot as it appears in messages: whether one of a group is meant for it, and whether it wrote one itself.
//!
//! Its id is part of its token. Its name has to be asked for, once, and only when something in a group may be it.

use teloxide_core::types::{Message, MessageEntity, MessageEntityKind, User};

/// The bot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// Its id.
    pub(super) id: u64,
    /// Its @name without the @; `None` as long as it is not known.
    pub(super) name: Option<&'a str>,
}

impl Own<'_> {
    /// Whether this is the bot.
    pub(super) fn is(&self, user: &User) -> bool {
        user.id.0 == self.id
    }

    /// Whether a message of a group addresses it; `None` when that depends on its name, which is not known.
    pub(super) fn addressed(&self, message: &Message) -> Option<bool> {
        if answered(message).and_then(|reply| reply.from.as_ref()).is_some_and(|user| self.is(user)) {
            return Some(true);
        }
        let text = message.text().or(message.caption()).unwrap_or_default();
        let entities = message.entities().or(message.caption_entities()).unwrap_or_default();
        let judged: Vec<_> = entities.iter().map(|entity| self.named_by(text, entity)).collect();
        if judged.contains(&Some(true)) {
            return Some(true);
        }
        if judged.contains(&None) { None } else { Some(false) }
    }

    fn named_by(&self, text: &str, entity: &MessageEntity) -> Option<bool> {
        match &entity.kind {
            MessageEntityKind::TextMention { user } => Some(self.is(user)),
            MessageEntityKind::Mention => self.is_name(covered(text, entity).trim_start_matches('@')),
            // Elsewhere it is a path, or talk of a command.
            MessageEntityKind::BotCommand if entity.offset == 0 => {
                covered(text, entity).split_once('@').map_or(Some(true), |(_, bot)| self.is_name(bot))
            }
            _ => Some(false),
        }
    }

    fn is_name(&self, given: &str) -> Option<bool> {
        self.name.map(|name| name.eq_ignore_ascii_case(given))
    }
}

/// The message that one replies to. In a topic, whatever replies to nothing replies to the topic's making.
pub(super) fn answered(message: &Message) -> Option<&Message> {
    message.reply_to_message().filter(|reply| reply.forum_topic_created().is_none())
}

/// What an entity covers; it counts in UTF-16 code units. One that does not fit its text covers less.
fn covered(text: &str, entity: &MessageEntity) -> String {
    let units: Vec<u16> = text.encode_utf16().skip(entity.offset).take(entity.length).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn addressed(name: Option<&str>, extra: &Value) -> Option<bool> {
        let mut message = json!({
            "message_id": 5, "date": 1_700_000_000, "chat": {"id": -100_123, "type": "supergroup", "title": "research"},
            "from": {"id": 42, "is_bot": false, "first_name": "Ada"},
        });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Own { id: 7, name }.addressed(&serde_json::from_value(message).unwrap())
    }

    fn entity(kind: &str, offset: usize, length: usize) -> Value {
        json!([{"type": kind, "offset": offset, "length": length}])
    }

    fn from(id: u64, extra: &Value) -> Value {
        let mut message = json!({
            "message_id": 4, "date": 1_700_000_000, "chat": {"id": -100_123, "type": "supergroup", "title": "research"},
            "from": {"id": id, "is_bot": true, "first_name": "Bot"},
        });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"text": "so", "reply_to_message": message})
    }

    #[test]
    fn its_name_a_command_and_a_reply_address_the_bot() {
        let bot = Some("helper_bot");
        // The emoji is two units.
        let named = json!({"text": "🦀 @Helper_Bot hi", "entities": entity("mention", 3, 11)});
        assert_eq!(addressed(bot, &named), Some(true));
        assert_eq!(addressed(Some("other_bot"), &named), Some(false));
        assert_eq!(addressed(None, &named), None);
        let caption =
            json!({"photo": [], "caption": "@helper_bot", "caption_entities": entity("mention", 0, 11)});
        assert_eq!(addressed(bot, &caption), Some(true));
        let command = json!({"text": "/start", "entities": entity("bot_command", 0, 6)});
        assert_eq!(addressed(None, &command), Some(true));
        let command = json!({"text": "/start@other_bot", "entities": entity("bot_command", 0, 16)});
        assert_eq!(addressed(bot, &command), Some(false));
        let path = json!({"text": "in /etc", "entities": entity("bot_command", 3, 4)});
        assert_eq!(addressed(bot, &path), Some(false));
        assert_eq!(addressed(None, &from(7, &json!({"text": "hello"}))), Some(true));
        assert_eq!(addressed(None, &from(8, &json!({"text": "hello"}))), Some(false));
        assert_eq!(addressed(None, &json!({"text": "hello"})), Some(false));
    }

    #[test]
    fn a_topic_that_the_bot_made_is_no_reply_to_it() {
        let made = json!({"forum_topic_created": {"name": "t", "icon_color": 7_322_096}});
        assert_eq!(addressed(None, &from(7, &made)), Some(false));
    }

    #[test]
    fn an_entity_beyond_its_text_is_nothing() {
        let odd = json!({"text": "hi", "entities": entity("mention", 1, 500)});
        assert_eq!(addressed(Some("helper_bot"), &odd), Some(false));
    }
}
