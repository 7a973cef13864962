//! The fields of a channel's configuration: what the API takes, what is secret, what is coerced.
//!
//! The client turns every value into a string (a list is `"a, b"`, a boolean `"true"`, a number its digits), others
//! send native JSON; both end up the same here, before an adapter sees them.

mod error;
mod given;
mod value;

pub use self::error::FieldError;
pub use self::given::Fields;

/// Items of a [`FieldKind::Words`] at most: each message is searched for all of them.
pub const MOST_WORDS: usize = 20;
/// Characters of each at most.
pub const WORD_LIMIT: usize = 64;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Text that is sealed and never shown.
    Secret,
    /// An http or https address that the gateway will call; private ones only where the operator allows them.
    Url,
    /// A whole number from 0.
    Number,
    /// Yes or no.
    Bool,
    /// Texts, comma-separated in a string.
    List,
    /// The platform's ids of people, as a list; no @names, which people can give up and others take.
    Ids,
    /// Words or phrases that are looked for in what people write, as a list of at most [`MOST_WORDS`].
    Words,
    /// One emoji, as a reaction is.
    Emoji,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// Some of these texts, comma-separated in a string.
    Items(&'static [&'static str]),
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub key: &'static str,
    /// Its name in a form.
    pub label: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether a channel needs it.
    pub required: bool,
    /// Of what is required: the field that does as well.
    pub unless: Option<&'static str>,
    /// Whether most people can leave it alone.
    pub advanced: bool,
    /// An example of what to put in.
    pub placeholder: Option<&'static str>,
    /// Of a number: the largest that it can be.
    pub most: Option<u64>,
    /// Of what leads to a server, as an address or a host does: the secret fields that are sent to it. When it leads elsewhere
    /// they must be given again, or whoever may change the address could have a stored secret sent to a server of their own.
    pub receives: &'static [&'static str],
    /// One sentence on what it is.
    pub help: &'static str,
}

impl Field {
    /// An optional field, with the sentence that tells what it is; what is not so is said behind it.
    pub const fn new(key: &'static str, label: &'static str, kind: FieldKind, help: &'static str) -> Self {
        Self {
            key,
            label,
            kind,
            required: false,
            unless: None,
            advanced: false,
            placeholder: None,
            most: None,
            receives: &[],
            help,
        }
    }

    /// A channel needs it.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// A channel needs it or this other one.
    #[must_use]
    pub const fn required_unless(self, other: &'static str) -> Self {
        Self { required: true, unless: Some(other), ..self }
    }

    /// Most people can leave it alone.
    #[must_use]
    pub const fn advanced(self) -> Self {
        Self { advanced: true, ..self }
    }

    /// The address is sent these secrets.
    #[must_use]
    pub const fn receives(self, secrets: &'static [&'static str]) -> Self {
        Self { receives: secrets, ..self }
    }

    /// The number can't be larger than this.
    #[must_use]
    pub const fn up_to(self, most: u64) -> Self {
        Self { most: Some(most), ..self }
    }

    /// What to put in looks like this.
    #[must_use]
    pub const fn like(self, example: &'static str) -> Self {
        Self { placeholder: Some(example), ..self }
    }
}

#[cfg(test)]
mod tests;
