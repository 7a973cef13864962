//! A message to a person, and what may be done to one that was sent.
//!
//! This is the JSON of the `messages.payload` column. Must hold: what an older version stored still reads, so every key that came
//! later has a default, and a key that is absent means what it meant when it did not exist. What a platform can't carry is
//! not decided here but by the channels' plan.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

use crate::{Media, MessageId, bodies};

/// A message to a person.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Outbound {
    /// The platform's id of the chat.
    pub recipient: String,
    /// The thread or topic in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The text; with media, its caption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How the text is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: Format,
    /// The attachments, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// The platform's id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Rows of buttons below the message, at most 8 of at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Vec<Button>>,
    /// A question with answers to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// A place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What is to be done; without it, the message is sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub act: Act,
    /// Seconds after which nobody wants it any more; the operator's default if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
    /// That it stands for an answer which is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<Placeholder>,
    /// Our message that showed what came of this answer while it was being written, or the question where a draft did: its place is this
    /// one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub replaces: Option<MessageId>,
    /// The span by which it was accepted, as W3C's `traceparent`, if that is recorded: what becomes of it is part of that trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub traceparent: Option<String>,
}

/// What is shown until the answer comes: "Processing...", or what has come of it so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Placeholder {
    /// The platform's id of the message that is to be answered, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Our id of the message that is to be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub question_id: Option<MessageId>,
    /// As `question_id`, when this is the beginning of the answer, which is still being written: it is that one's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub begins: Option<MessageId>,
    /// The platform's id of who asked, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub asker: Option<String>,
    /// The place among the messages up to which there was no answer when this was to be shown: one behind it makes it needless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub behind: Option<i64>,
}

impl Outbound {
    /// For how long after it was accepted it may be sent; `otherwise` when it does not say it.
    pub fn time_to_live(&self, otherwise: Duration) -> Duration {
        self.ttl_seconds.map_or(otherwise, |seconds| Duration::from_secs(seconds.into()))
    }

    /// The conversation it belongs to: one lane for each chat and thread.
    pub fn conversation(&self) -> String {
        bodies::conversation(&self.recipient, self.thread_id.as_deref())
    }

    /// The text, unless it is only white space.
    pub fn written(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.trim().is_empty())
    }
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Markdown, brought into the platform's own formatting.
    #[default]
    Markdown,
    /// Sent as it is, character by character.
    Plain,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Act {
    /// Send a new message.
    #[default]
    Post,
    /// Give a sent message this text and these buttons in place of its own.
    Edit {
        /// The platform's id of the message.
        message_id: String,
    },
    /// Take a sent message back.
    Delete {
        /// The platform's ids of its parts; a message that was sent in one piece has one.
        message_ids: Vec<String>,
    },
    /// React to a message, of whoever it is.
    React {
        /// The platform's id of the message.
        message_id: String,
        /// The reaction; without it, ours is taken away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        emoji: Option<String>,
    },
}

/// A button below a message: a text, and either an address or data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ButtonKeys", into = "ButtonKeys")]
pub struct Button {
    /// What is on it.
    pub text: String,
    /// What pressing it does.
    pub action: ButtonAction,
}

/// What pressing a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ButtonAction {
    /// Opens this address.
    Url(String),
    /// Sends this back as the person's message.
    Data(String),
}

/// A button below a message. It has either `url` or `data`.
#[derive(Serialize, Deserialize, ToSchema)]
struct ButtonKeys {
    /// What is on it, at most 64 characters.
    text: String,
    /// The http or https address that pressing it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// What pressing it sends back as the person's message, at most 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl TryFrom<ButtonKeys> for Button {
    type Error = &'static str;

    fn try_from(keys: ButtonKeys) -> Result<Self, Self::Error> {
        let action = match (keys.url, keys.data) {
            (Some(url), None) => ButtonAction::Url(url),
            (None, Some(data)) => ButtonAction::Data(data),
            _ => return Err("a button has either \"url\" or \"data\""),
        };
        Ok(Self { text: keys.text, action })
    }
}

impl From<Button> for ButtonKeys {
    fn from(button: Button) -> Self {
        let (url, data) = match button.action {
            ButtonAction::Url(url) => (Some(url), None),
            ButtonAction::Data(data) => (None, Some(data)),
        };
        Self { text: button.text, url, data }
    }
}

// The schema is that of the JSON, which has one key or the other instead of an action.
impl ToSchema for Button {}

impl PartialSchema for Button {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        ButtonKeys::schema()
    }
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Poll {
    /// The question, at most 300 characters.
    pub question: String,
    /// The answers: 2 to 10, each of at most 100 characters.
    pub options: Vec<String>,
    /// Whether a person may choose more than one; `false` if not given.
    #[serde(default)]
    pub multiple: bool,
    /// Whether nobody sees who chose what; `true` if not given.
    #[serde(default = "yes")]
    pub anonymous: bool,
}

fn yes() -> bool {
    true
}

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::MediaKind;

    #[test]
    fn what_the_first_version_stored_still_reads() {
        let old = r#"{"recipient":"-100123","thread_id":"7","text":"hi","media":[{"kind":"image","url":"https://x/y"}]}"#;
        let media = vec![Media { kind: MediaKind::Image, url: "https://x/y".into(), filename: None }];
        let expected = Outbound {
            recipient: "-100123".into(),
            thread_id: Some("7".into()),
            text: Some("hi".into()),
            media,
            ..Outbound::default()
        };
        assert_eq!(serde_json::from_str::<Outbound>(old).unwrap(), expected);
        // And what says nothing new is stored as it was.
        assert_eq!(serde_json::to_string(&expected).unwrap(), old);
        assert!(serde_json::from_str::<Outbound>(r#"{"recipient":"1"}"#).is_ok());
    }

    #[test]
    fn everything_comes_back_as_it_was_stored() {
        let json = json!({
            "recipient": "1", "text": "pick", "format": "plain", "reply_to": "5",
            "buttons": [[{"text": "site", "url": "https://example.org"}, {"text": "yes", "data": "y"}]],
            "poll": {"question": "q", "options": ["a", "b"], "multiple": true, "anonymous": false},
            "location": {"latitude": 1.5, "longitude": -2.25, "title": "here"},
            "act": {"type": "edit", "message_id": "5"}, "ttl_seconds": 60,
            "placeholder": {"question": "4", "question_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                "begins": "01890a5d-ac96-774b-bcce-b302099a8057", "asker": "7", "behind": 9},
            "replaces": "01890a5d-ac96-774b-bcce-b302099a8058",
            "traceparent": "00-01890a5dac96774bbcceb302099a8057-00f067aa0ba902b7-01",
        });
        let message: Outbound = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(message.act, Act::Edit { message_id: "5".into() });
        assert_eq!(message.buttons[0][1].action, ButtonAction::Data("y".into()));
        assert_eq!(serde_json::to_value(&message).unwrap(), json);
        let acts = [
            json!({"type": "delete", "message_ids": ["1", "2"]}),
            json!({"type": "react", "message_id": "1", "emoji": "👍"}),
            json!({"type": "react", "message_id": "1"}),
        ];
        for act in acts {
            assert_eq!(
                serde_json::to_value(serde_json::from_value::<Act>(act.clone()).unwrap()).unwrap(),
                act
            );
        }
    }

    #[test]
    fn a_button_does_one_thing() {
        for keys in [json!({"text": "x"}), json!({"text": "x", "url": "https://x", "data": "y"})] {
            let error = serde_json::from_value::<Button>(keys).unwrap_err().to_string();
            assert_eq!(error, "a button has either \"url\" or \"data\"");
        }
    }

    #[test]
    fn a_poll_is_single_and_anonymous_unless_it_says_otherwise() {
        let poll: Poll = serde_json::from_value(json!({"question": "q", "options": []})).unwrap();
        assert_eq!((poll.multiple, poll.anonymous), (false, true));
    }

    #[test]
    fn the_schema_of_a_button_is_that_of_its_json() {
        let schema = serde_json::to_value(Button::schema()).unwrap();
        let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["data", "text", "url"]);
        assert_eq!(schema["required"], json!(["text"]));
    }
}
