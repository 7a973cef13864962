//! Identifiers. Text ids are checked where they enter, so everything behind can trust them.
//!
//! PostgreSQL text can't hold NUL, and one such value would fail the whole batch it was committed with;
//! that is why every id type refuses control characters at the door.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id; the message says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// More bytes than the column and the logs should carry.
    #[error("{what} has {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// What kind of id.
        what: &'static str,
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Right characters, but not an id; the text says what to change.
    #[error("{0}")]
    Shape(&'static str),
    /// A character that the id may not have.
    #[error("{what} may not contain {character:?}; {allowed}")]
    Character {
        /// What kind of id.
        what: &'static str,
        /// The first offending character.
        character: char,
        /// Which are allowed.
        allowed: &'static str,
    },
}

fn check(
    what: &'static str,
    text: &str,
    limit: usize,
    allowed: &'static str,
    ok: impl Fn(char) -> bool,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty(what));
    }
    if text.len() > limit {
        return Err(IdError::TooLong { what, length: text.len(), limit });
    }
    match text.chars().find(|c| !ok(*c)) {
        Some(character) => Err(IdError::Character { what, character, allowed }),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::validate(&text)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }
    };
}

text_id! {
    /// A tenant: the id that II-Agent gives one of its users. 1 to 128 bytes, opaque to us.
    UserId
}

impl UserId {
    fn validate(text: &str) -> Result<(), IdError> {
        let allowed = "use printable characters other than '/' and space";
        check("the user id", text, 128, allowed, |c| !c.is_control() && !c.is_whitespace() && c != '/')
    }
}

text_id! {
    /// The slug of a channel in its user's paths, e.g. `support_a1b2c3d4`. Immutable, 1 to 64 bytes.
    InstanceId
}

impl InstanceId {
    /// Stands where a channel's slug would, in an event that no channel has to do with.
    pub fn hooks() -> Self {
        Self("hooks".to_owned())
    }

    fn validate(text: &str) -> Result<(), IdError> {
        let allowed = "use letters, digits, '_', '-' and '.'";
        check("the channel instance", text, 64, allowed, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
        })
    }
}

text_id! {
    /// The name of an inbound hook: a part of its address, so no two users have the same. 3 to 64 bytes.
    HookName
}

impl HookName {
    fn validate(text: &str) -> Result<(), IdError> {
        check("the hook's name", text, 64, "use a-z, 0-9, '_' and '-'", |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
        })?;
        if text.len() < 3 || text.starts_with(['_', '-']) {
            return Err(IdError::Shape(
                "the hook's name must have 3 to 64 characters and begin with a letter or a digit",
            ));
        }
        if matches!(text, "wake" | "agent") {
            return Err(IdError::Shape(
                "a hook can't be called \"wake\" or \"agent\": those are calls of their own",
            ));
        }
        Ok(())
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_id! {
    /// A channel: one user's connection to one platform.
    ChannelId
}

impl ChannelId {
    /// Of what no channel has to do with.
    pub const NONE: Self = Self(Uuid::nil());
}

uuid_id! {
    /// A message, in either direction. `UUIDv7`: sorts roughly by time of acceptance.
    MessageId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_poison_a_batch() {
        assert!("u\0".parse::<UserId>().is_err());
        assert!("".parse::<UserId>().is_err());
        assert!("a/b".parse::<UserId>().is_err());
        assert!("x".repeat(129).parse::<UserId>().is_err());
        assert!("jörg@example.org".parse::<UserId>().is_ok());
        assert_eq!(InstanceId::hooks().as_str().parse(), Ok(InstanceId::hooks()));
        for bad in ["", "ab", "_ab", "-ab", "aBc", "a b", "wake", "agent", "a.b", &"x".repeat(65)] {
            assert!(bad.parse::<HookName>().is_err(), "{bad}");
        }
        for good in ["abc", "0_-", "github", "agents", &"x".repeat(64)] {
            assert!(good.parse::<HookName>().is_ok(), "{good}");
        }
        let error = "my channel".parse::<InstanceId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the channel instance may not contain ' '; use letters, digits, '_', '-' and '.'"
        );
    }
}
