//! The types of channels as a console shows them: what each is, its fields, what it can carry. Made of what the adapters declare,
//! so that it can't drift from what they do.

use claw_types::MediaKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ButtonCaps, Caps, Dialect, Entry, Field, FieldKind, TextUnit};

/// What an adapter is, for people who choose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its name as its makers write it.
    pub display_name: &'static str,
    /// `chat`, `web` or `integration`.
    pub category: &'static str,
    /// One sentence on what it connects to.
    pub description: &'static str,
    /// What a person does to get what the fields ask for, step by step.
    pub setup: &'static [&'static str],
    /// Where the platform explains it.
    pub docs_url: &'static str,
}

/// A type of channels.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TypeInfo {
    /// The `channel_type` in the API.
    pub name: &'static str,
    /// Its name as its makers write it.
    pub display_name: &'static str,
    /// `chat`, `web` or `integration`.
    pub category: &'static str,
    /// One sentence on what it connects to.
    pub description: &'static str,
    /// What a person does to get what the fields ask for, step by step.
    pub setup: Vec<&'static str>,
    /// Where the platform explains it.
    pub docs_url: &'static str,
    /// The fields of its configuration.
    pub fields: Vec<FieldInfo>,
    /// What it can carry. What it can't is degraded or refused when it is sent.
    pub capabilities: Capabilities,
}

/// A field of a channel's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldInfo {
    /// Its key in `fields`.
    pub key: &'static str,
    /// Its name in a form.
    pub label: &'static str,
    /// `text`, `secret`, `url`, `number`, `boolean`, `list` or `choice`.
    pub r#type: &'static str,
    /// What a `choice` can be, or what can be in a `list` if that is not up to the user; of others empty.
    pub choices: &'static [&'static str],
    /// Whether a channel needs it.
    pub required: bool,
    /// Of what is required: the field that does as well.
    pub required_unless: Option<&'static str>,
    /// Whether it is sealed and never shown again.
    pub secret: bool,
    /// An example of what to put in.
    pub placeholder: Option<&'static str>,
    /// Of a number: the largest that it can be.
    pub maximum: Option<u64>,
    /// Whether most people can leave it alone.
    pub advanced: bool,
    /// Of an address: the secret fields that are sent to it. When its scheme, host or port changes, they have to be sent again.
    pub receives: &'static [&'static str],
    /// One sentence on what it is.
    pub help: &'static str,
}

/// What a type of channels can carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the API of its own")]
pub struct Capabilities {
    /// Longest text of one message; a longer one is cut into parts.
    pub max_text: usize,
    /// Longest caption of an attachment; a longer one is sent as a text of its own.
    pub max_caption: usize,
    /// How both are counted: `utf16`, `bytes` or `characters`.
    pub text_unit: &'static str,
    /// Whether Markdown is shown as formatting.
    pub markdown: bool,
    /// Attachments that it takes; others are sent as links.
    pub media: Vec<MediaKind>,
    /// Most attachments that it shows as one message.
    pub album: usize,
    /// Whether a chat has threads.
    pub threads: bool,
    /// Whether a message can point to the one that it answers.
    pub reply_to: bool,
    /// Whether it has buttons that send something back.
    pub data_buttons: bool,
    /// Whether it has buttons that open an address.
    pub url_buttons: bool,
    /// Whether it has polls.
    pub polls: bool,
    /// Whether it has places.
    pub location: bool,
    /// Whether a sent text can be changed.
    pub edit: bool,
    /// Whether a sent message can be taken back.
    pub delete: bool,
    /// Whether it has reactions.
    pub reactions: bool,
    /// Whether it can show that an answer is being written.
    pub typing: bool,
    /// Whether it tells that a person changed a message of theirs.
    pub reports_edits: bool,
    /// Whether it tells that a person deleted a message of theirs.
    pub reports_deletions: bool,
    /// Whether it tells of people's reactions to an answer.
    pub reports_reactions: bool,
    /// Whether it tells to which answer a person's message replies.
    pub reports_replies: bool,
    /// Whether it tells what became of a message to a person, as far as it knows: that it arrived, was read, or did not arrive after all.
    pub reports_receipts: bool,
    /// Whether people watch an answer grow while the backend writes it.
    pub shows_drafts: bool,
}

impl TypeInfo {
    /// Of an adapter.
    pub fn of(entry: &Entry) -> Self {
        let about = entry.about;
        Self {
            name: entry.name,
            display_name: about.display_name,
            category: about.category,
            description: about.description,
            setup: about.setup.to_vec(),
            docs_url: about.docs_url,
            fields: entry.fields().iter().map(FieldInfo::of).collect(),
            capabilities: Capabilities::of(entry.caps),
        }
    }
}

impl FieldInfo {
    fn of(field: &Field) -> Self {
        let Field { key, label, kind, required, unless, advanced, placeholder, most, receives, help } =
            *field;
        let r#type = match kind {
            FieldKind::Text | FieldKind::Emoji => "text",
            FieldKind::Secret => "secret",
            FieldKind::Url => "url",
            FieldKind::Number => "number",
            FieldKind::Bool => "boolean",
            FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_) => "list",
            FieldKind::Choice(_) => "choice",
        };
        let choices = match kind {
            FieldKind::Choice(choices) | FieldKind::Items(choices) => choices,
            _ => &[],
        };
        Self {
            key,
            label,
            r#type,
            choices,
            required,
            required_unless: unless,
            secret: kind == FieldKind::Secret,
            placeholder,
            maximum: most,
            advanced,
            receives,
            help,
        }
    }
}

impl Capabilities {
    fn of(caps: &Caps) -> Self {
        let ButtonCaps { url: url_buttons, data: data_buttons, room: _ } = caps.buttons;
        Self {
            max_text: caps.max_text,
            max_caption: caps.max_caption,
            text_unit: match caps.unit {
                TextUnit::Utf16 => "utf16",
                TextUnit::Bytes => "bytes",
                TextUnit::Chars => "characters",
                TextUnit::Graphemes => "graphemes",
            },
            markdown: caps.markdown != Dialect::Plain,
            media: caps.media.to_vec(),
            album: caps.albums.map_or(1, |albums| albums.max),
            threads: caps.threads,
            reply_to: caps.reply_to,
            data_buttons,
            url_buttons,
            polls: caps.polls,
            location: caps.location,
            edit: caps.edit,
            delete: caps.delete,
            reactions: caps.reactions,
            typing: caps.typing,
            reports_edits: caps.reports.edits,
            reports_deletions: caps.reports.deletions,
            reports_reactions: caps.reports.reactions,
            reports_replies: caps.reports.replies,
            reports_receipts: caps.reports.receipts,
            shows_drafts: caps.drafts || caps.placeholders && caps.edit,
        }
    }
}

/// The keys that a configuration's type reads, as its own derive lists them.
#[cfg(test)]
pub(crate) fn config_keys<C: serde::de::DeserializeOwned>() -> &'static [&'static str] {
    tests::keys::<C>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::value::Error;
    use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
    use serde::forward_to_deserialize_any;
    use serde_json::{Map, Value, json};

    use crate::common::COMMON;

    use crate::adapters::webhook::testing::{Recorder, deps};
    use crate::fields::{FieldError, Fields};
    use crate::registry::{ALL, catalogue};
    use crate::{Entry, Field, FieldKind};

    /// Asks a type which keys it reads, and gives it none.
    struct Keys<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Keys<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("not a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom("only asked"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    pub(super) fn keys<C: DeserializeOwned>() -> &'static [&'static str] {
        let mut keys: &'static [&'static str] = &[];
        assert!(C::deserialize(Keys(&mut keys)).is_err());
        keys
    }

    /// Something of the kind that a field asks for.
    fn sample(entry: &Entry) -> Map<String, Value> {
        let example = (entry.examinee)().fields("https://example.org");
        let value = |field: &Field| match field.kind {
            _ if !example[field.key].is_null() => example[field.key].clone(),
            FieldKind::Number => json!("5"),
            FieldKind::Bool => json!("true"),
            FieldKind::Choice(choices) | FieldKind::Items(choices) => json!(choices[0]),
            FieldKind::Text
            | FieldKind::Emoji
            | FieldKind::Secret
            | FieldKind::Url
            | FieldKind::List
            | FieldKind::Ids
            | FieldKind::Words => {
                json!(field.placeholder.unwrap_or("something"))
            }
        };
        entry.fields().iter().map(|field| (field.key.to_owned(), value(field))).collect()
    }

    #[test]
    fn every_field_is_in_the_configuration_and_the_other_way_round() {
        for entry in ALL {
            let fields = entry.fields();
            let listed: BTreeSet<_> = fields.iter().map(|field| field.key).collect();
            let common = COMMON.iter().map(|field| field.key);
            let read: BTreeSet<_> = (entry.config_keys)().iter().copied().chain(common).collect();
            assert_eq!(listed, read, "{}", entry.name);
            assert_eq!(listed.len(), fields.len(), "{} lists a field twice", entry.name);
        }
    }

    #[test]
    fn a_channel_can_be_made_of_the_examples() {
        for entry in ALL {
            let fields = Fields::default().merge(entry.name, &entry.fields(), sample(entry)).unwrap();
            let fields = fields.complete(entry.name, &entry.fields()).unwrap();
            let made =
                entry.make(&fields.config, &fields.secrets, deps(std::sync::Arc::new(Recorder::default())));
            let channel = made.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
            assert_eq!(channel.caps(), entry.caps, "{}", entry.name);
            for chat in [(entry.examinee)().chat().0, "19:group@thread.v2"] {
                assert_eq!(channel.caps_in(chat), (entry.caps_in)(chat), "{}", entry.name);
            }
        }
    }

    #[test]
    fn what_is_required_is_enough_and_each_of_it_is_needed() {
        let make = |entry: &Entry, fields: &Fields| {
            entry.make(&fields.config, &fields.secrets, deps(std::sync::Arc::new(Recorder::default())))
        };
        for entry in ALL {
            let all = entry.fields();
            let required: Vec<_> = all.iter().filter(|field| field.required).collect();
            let mut given = sample(entry);
            given.retain(|key, _| required.iter().any(|field| field.key == key));
            let of = |given: Map<String, Value>| Fields::default().merge(entry.name, &all, given).unwrap();
            let enough = of(given.clone()).complete(entry.name, &all).unwrap();
            let refused = make(entry, &enough).err();
            assert!(refused.is_none(), "{}: {refused:?}", entry.name);
            for field in required {
                let mut given = given.clone();
                given.remove(field.key);
                let lacking = of(given);
                // The adapter itself can't do without it.
                let told = make(entry, &lacking).err().map(|error| error.to_string());
                assert!(told.is_some_and(|told| told.contains(field.key)), "{} {}", entry.name, field.key);
                let refused = lacking.complete(entry.name, &all).unwrap_err();
                assert!(
                    matches!(refused, FieldError::Missing { key, .. } if key == field.key),
                    "{} {}: {refused}",
                    entry.name,
                    field.key
                );
            }
        }
    }

    #[test]
    fn what_is_shown_says_something() {
        for info in catalogue() {
            assert!(["chat", "web", "integration"].contains(&info.category), "{}", info.name);
            assert!(info.docs_url.starts_with("https://"), "{}", info.name);
            assert!(!info.setup.is_empty() && info.description.ends_with('.'), "{}", info.name);
            for field in &info.fields {
                assert!(!field.help.is_empty() && !field.label.is_empty(), "{} {}", info.name, field.key);
                assert!(!(field.required && field.advanced), "{} {}", info.name, field.key);
                assert_eq!(field.secret, field.r#type == "secret");
                let secret = |key: &&str| info.fields.iter().any(|field| field.secret && field.key == *key);
                assert!(field.receives.iter().all(secret), "{} {}", info.name, field.key);
                // A secret is sent to no secret, and to no list.
                let leads = ["url", "text", "number", "choice"].contains(&field.r#type);
                assert!(field.receives.is_empty() || leads, "{} {}", info.name, field.key);
            }
        }
    }

    #[test]
    fn albums_have_room_for_two() {
        let albums = ALL.iter().filter_map(|entry| entry.caps.albums);
        assert!(albums.into_iter().all(|albums| albums.max >= 2));
    }
}
