//! The tokens that LINE gives with each message, by which alone it can be answered for nothing, quoted and marked as read.
//!
//! They come to a gateway and are used by the channel's owner, so they travel in the message's metadata (`tokens`), and the owner notes
//! those of each message that it hands to the backend. Only in memory, and only of the newest: what is forgotten, as after a restart,
//! costs a push, or a quote that is not shown, and no message.
//!
//! Must hold: a reply token is given out once, and not when it may have ended.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use claw_types::ReplyTo;
use serde::{Deserialize, Serialize};

use crate::kit::newest::Newest;

/// The key of `metadata` that has them.
pub(super) const KEY: &str = "tokens";
/// A reply token is good for a minute after the webhook came
/// (<https://developers.line.biz/en/reference/messaging-api/#send-reply-message>); the call has to arrive within it, too.
const LIFE: TimeDelta = TimeDelta::seconds(50);
/// Messages whose tokens are known, of one channel; also chats that can be replied to.
const MOST: usize = 1000;

/// As LINE gives them with a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    /// For one reply within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<String>,
    /// To quote the message; does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quote: Option<String>,
    /// To mark it as read; does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read: Option<String>,
}

/// What is read of a message as it is stored.
#[derive(Deserialize)]
struct Asked {
    platform_message_id: Option<String>,
    timestamp: DateTime<Utc>,
    reply_to: Option<ReplyTo>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    tokens: Given,
}

/// Those of one channel.
pub(super) struct Tokens(Mutex<Known>);

struct Known {
    /// Of messages, by LINE's id.
    messages: Newest<Given>,
    /// By chat: the newest, and until when it is good.
    replies: Newest<(String, DateTime<Utc>)>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self(Mutex::new(Known { messages: Newest::of(MOST), replies: Newest::of(MOST) }))
    }
}

impl Tokens {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes those of a message that is about to be answered, as it is stored.
    pub(super) fn note(&self, message: &str) {
        let Ok(asked) = serde_json::from_str::<Asked>(message) else { return };
        let Given { reply, quote, read } = asked.metadata.tokens;
        let mut known = self.known();
        if let (Some(token), Some(to)) = (reply, asked.reply_to) {
            known.replies.insert(to.recipient, (token, asked.timestamp + LIFE));
        }
        if let Some(id) = asked.platform_message_id.filter(|_| quote.is_some() || read.is_some()) {
            known.messages.insert(id, Given { reply: None, quote, read });
        }
    }

    /// Notes by what a message of ours is quoted.
    pub(super) fn sent(&self, id: String, quote: String) {
        self.known().messages.insert(id, Given { quote: Some(quote), ..Given::default() });
    }

    /// The chat's reply token, if it is still good; never again afterwards.
    pub(super) fn take_reply(&self, chat: &str, now: DateTime<Utc>) -> Option<String> {
        let (token, until) = self.known().replies.remove(chat)?;
        (now < until).then_some(token)
    }

    /// By what this message is quoted.
    pub(super) fn quote(&self, id: &str) -> Option<String> {
        self.known().messages.get(id)?.quote.clone()
    }

    /// By what this message is marked as read; never again afterwards.
    pub(super) fn take_read(&self, id: &str) -> Option<String> {
        self.known().messages.get_mut(id)?.read.take()
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(serde_json::from_slice::<Asked>(data));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As it is stored.
    fn message(id: &str, chat: &str, tokens: &serde_json::Value) -> String {
        let message = json!({
            "platform_message_id": id, "timestamp": "2023-11-14T22:13:20Z", "text": "hi",
            "metadata": {"chat_id": chat, "tokens": tokens}, "reply_to": {"channel": "line", "recipient": chat},
        });
        message.to_string()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_reply_token_is_given_out_once_and_in_time_only() {
        let tokens = Tokens::default();
        let asked = |reply: &str| tokens.note(&message("5", "U1", &json!({"reply": reply})));
        asked("a");
        assert_eq!(tokens.take_reply("U2", at(1)), None, "another chat's");
        assert_eq!(tokens.take_reply("U1", at(1)).as_deref(), Some("a"));
        assert_eq!(tokens.take_reply("U1", at(1)), None, "used");
        asked("b");
        asked("c");
        assert_eq!(tokens.take_reply("U1", at(49)).as_deref(), Some("c"), "the newest");
        asked("d");
        assert_eq!(tokens.take_reply("U1", at(50)), None, "too late");
        assert_eq!(tokens.take_reply("U1", at(0)), None, "and gone");
    }

    #[test]
    fn messages_are_quoted_as_often_as_wanted_and_marked_as_read_once() {
        let tokens = Tokens::default();
        tokens.note(&message("5", "U1", &json!({"quote": "q", "read": "r"})));
        tokens.sent("6".to_owned(), "ours".to_owned());
        for _ in 0..2 {
            assert_eq!(tokens.quote("5").as_deref(), Some("q"));
            assert_eq!(tokens.quote("6").as_deref(), Some("ours"));
        }
        assert_eq!(tokens.take_read("5").as_deref(), Some("r"));
        assert_eq!((tokens.take_read("5"), tokens.take_read("6"), tokens.quote("7")), (None, None, None));
    }

    #[test]
    fn what_has_no_tokens_or_can_not_be_read_is_nothing() {
        let tokens = Tokens::default();
        for odd in ["", "{}", r#"{"metadata": {"tokens": 7}}"#, &message("5", "U1", &json!({}))] {
            tokens.note(odd);
        }
        assert_eq!((tokens.take_reply("U1", at(0)), tokens.quote("5")), (None, None));
    }
}
