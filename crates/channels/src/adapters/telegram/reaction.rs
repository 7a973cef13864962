//! A person's reaction (<https://core.telegram.org/bots/api#messagereactionupdated>), and how many reactions a message has where
//! nobody is told whose they are (<https://core.telegram.org/bots/api#messagereactioncountupdated>).
//!
//! Telegram sends these only to bots that ask for them, and in groups and channels only to administrators; never for reactions
//! of bots. Which thread the message is in, it does not say.

use std::collections::BTreeMap;

use chrono::DateTime;
use claw_types::limits::is_emoji;
use claw_types::{Deed, Inbound, Reaction};
use serde::Deserialize;
use serde_json::json;

use super::api::RawUpdate;
use super::who::{Chat, User};
use crate::kit::session;

#[derive(Deserialize)]
struct Update {
    message_reaction: Option<Changed>,
    message_reaction_count: Option<Counted>,
}

/// Somebody's reactions to a message are others now.
#[derive(Deserialize)]
struct Changed {
    chat: Chat,
    message_id: i64,
    /// Nobody, when they reacted in a chat's name.
    user: Option<User>,
    date: i64,
    old_reaction: Vec<Kind>,
    new_reaction: Vec<Kind>,
}

/// So many of each are on a message now.
#[derive(Deserialize)]
struct Counted {
    chat: Chat,
    message_id: i64,
    date: i64,
    reactions: Vec<Count>,
}

#[derive(Deserialize)]
struct Count {
    r#type: Kind,
    total_count: u64,
}

/// A type of reaction; those that came later have none of the keys.
#[derive(Deserialize)]
struct Kind {
    r#type: String,
    emoji: Option<String>,
    custom_emoji_id: Option<String>,
}

impl Kind {
    /// The emoji; a picture of somebody's own is known by its number only, and a paid one is a star.
    fn name(&self) -> Option<String> {
        let name = match (self.r#type.as_str(), &self.emoji, &self.custom_emoji_id) {
            ("emoji", Some(emoji), _) => emoji.clone(),
            ("custom_emoji", _, Some(id)) => format!("custom:{id}"),
            ("paid", _, _) => "⭐".to_owned(),
            _ => return None,
        };
        Some(name).filter(|name| is_emoji(name))
    }
}

/// The reaction in an update; `None` for an update that is none, or that changes nothing that we can name.
pub(super) fn inbound(update: &RawUpdate, own: u64) -> Option<Inbound> {
    let json: Update = serde_json::from_str(update.json.get()).ok()?;
    let message = match (json.message_reaction, json.message_reaction_count) {
        (Some(changed), _) => changed.inbound(own),
        (None, Some(counted)) => counted.inbound(),
        (None, None) => return None,
    };
    let key = Some(format!("reaction:{}", update.update_id));
    message.map(|message| Inbound { dedup_key: key, ..message })
}

impl Changed {
    fn inbound(self, own: u64) -> Option<Inbound> {
        let names = |kinds: &[Kind]| kinds.iter().filter_map(Kind::name).collect::<Vec<_>>();
        let (old, new) = (names(&self.old_reaction), names(&self.new_reaction));
        let without = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|name| !those.contains(name)).cloned().collect()
        };
        let reaction = Reaction {
            to: self.message_id.to_string(),
            added: without(&new, &old),
            removed: without(&old, &new),
            counts: BTreeMap::new(),
        };
        let mut message = self.chat.inbound(reaction, self.date)?;
        if let Some(user) = self.user {
            message.is_own = user.id == own;
            message.sender_is_bot = user.is_bot;
            if let Some(name) = &user.username {
                message.metadata.insert("username".to_owned(), json!(name));
            }
            message.sender = Some(user.sender());
        }
        Some(message)
    }
}

impl Counted {
    fn inbound(self) -> Option<Inbound> {
        let counts = self.reactions.iter().filter_map(|one| Some((one.r#type.name()?, one.total_count)));
        let (to, counts) = (self.message_id.to_string(), counts.collect());
        self.chat.inbound(Reaction { to, counts, ..Reaction::default() }, self.date)
    }
}

impl Chat {
    fn inbound(self, reaction: Reaction, date: i64) -> Option<Inbound> {
        if reaction.is_empty() {
            return None;
        }
        let (chat, is_group) = (self.id.to_string(), self.is_group());
        let mut metadata = session::keys(&chat, None);
        if let Some(title) = self.title {
            metadata.insert("chat_title".to_owned(), json!(title));
        }
        Some(Inbound {
            deed: Deed::Reacted(reaction),
            is_group,
            // It is there to an answer of the bot's, or is not looked at.
            mentioned: Some(true),
            recipient: chat,
            timestamp: DateTime::from_timestamp(date, 0),
            metadata,
            ..Inbound::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(update: &Value) -> Option<Inbound> {
        let json = serde_json::value::to_raw_value(update).unwrap();
        inbound(&RawUpdate { update_id: 812, json }, 7)
    }

    fn emoji(emoji: &str) -> Value {
        json!({"type": "emoji", "emoji": emoji})
    }

    fn changed(old: &Value, new: &Value) -> Value {
        json!({"update_id": 812, "message_reaction": {
            "chat": {"id": -100_123, "type": "supergroup", "title": "research", "is_forum": true}, "message_id": 5,
            "user": {"id": 42, "is_bot": false, "first_name": "Ada", "last_name": "L", "username": "ada"},
            "date": 1_700_000_000, "old_reaction": old, "new_reaction": new,
        }})
    }

    fn reaction(message: &Inbound) -> &Reaction {
        let Deed::Reacted(reaction) = &message.deed else { panic!("a reaction") };
        reaction
    }

    #[test]
    fn what_was_put_on_and_taken_off_is_told_of_the_person_in_the_chat() {
        let new = json!([emoji("👍"), emoji("🔥"), {"type": "custom_emoji", "custom_emoji_id": "5368"}, {"type": "paid"}]);
        let message = read(&changed(&json!([emoji("👎"), emoji("🔥")]), &new)).unwrap();
        let Reaction { to, added, removed, counts } = reaction(&message);
        assert_eq!((to.as_str(), counts.is_empty()), ("5", true));
        assert_eq!(added, &["👍", "custom:5368", "⭐"]);
        assert_eq!(removed, &["👎"]);
        let sender = message.sender.as_ref().unwrap();
        assert_eq!((sender.platform_id.as_str(), sender.display_name.as_str()), ("42", "Ada L"));
        assert_eq!((message.recipient.as_str(), message.is_group), ("-100123", true));
        assert_eq!(message.dedup_key.as_deref(), Some("reaction:812"));
        assert_eq!(message.metadata["username"], "ada");
    }

    #[test]
    fn anonymous_reactions_are_numbers() {
        let message = read(&json!({"update_id": 812, "message_reaction_count": {
            "chat": {"id": -100_123, "type": "channel", "title": "news"}, "message_id": 5, "date": 1_700_000_000,
            "reactions": [{"type": emoji("👍"), "total_count": 3}, {"type": emoji("💩"), "total_count": 1}],
        }}))
        .unwrap();
        assert_eq!(reaction(&message).counts, BTreeMap::from([("👍".into(), 3), ("💩".into(), 1)]));
        assert_eq!((message.sender, message.is_group), (None, true));
    }

    #[test]
    fn a_reaction_in_a_chats_name_has_no_sender_and_the_bots_own_is_its_own() {
        let mut update = changed(&json!([]), &json!([emoji("👍")]));
        let user = update["message_reaction"]["user"].take();
        update["message_reaction"]["actor_chat"] = json!({"id": -100_123, "type": "supergroup"});
        assert_eq!(read(&update).unwrap().sender, None);
        update["message_reaction"]["user"] = user;
        update["message_reaction"]["user"]["id"] = json!(7);
        assert!(read(&update).unwrap().is_own);
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        let thumb = json!([emoji("👍")]);
        for update in [
            changed(&thumb, &thumb),
            changed(&json!([]), &json!([])),
            changed(&json!([]), &json!([{"type": "of the future"}])),
            changed(&json!([]), &json!([emoji("")])),
            changed(&json!([]), &json!([emoji("a\u{0}b")])),
            changed(&json!([]), &json!([emoji(&"x".repeat(65))])),
            changed(&json!([]), &json!("👍")),
            json!({"update_id": 812, "message_reaction": {}}),
            json!({"update_id": 812, "message": {"message_id": 5}}),
        ] {
            assert_eq!(read(&update), None, "{update}");
        }
    }
}
