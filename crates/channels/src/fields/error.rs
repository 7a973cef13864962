//! What is wrong with what was given, in words for who gave it.

/// Why fields were refused; the sentence says what to change.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum FieldError {
    /// A key that the type does not have.
    #[error("the field {key:?} does not exist for {channel_type:?}; its fields are: {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The type.
        channel_type: &'static str,
        /// Its keys.
        known: String,
    },
    /// A key that is needed.
    #[error("the field {key:?} is required for {channel_type:?}: {help}")]
    Missing {
        /// The key.
        key: &'static str,
        /// The type.
        channel_type: &'static str,
        /// What it is.
        help: &'static str,
    },
    /// A value of the wrong type.
    #[error("the field {key:?} must be {expected}, not {given}")]
    Type {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it was.
        given: &'static str,
    },
    /// A value that is none of those that there are.
    #[error("the field {key:?} must be one of: {choices}")]
    Choice {
        /// The key.
        key: String,
        /// What it can be, comma-separated.
        choices: String,
    },
    /// A number that is too large.
    #[error("the field {key:?} can be at most {most}")]
    TooLarge {
        /// The key.
        key: String,
        /// The largest that it can be.
        most: u64,
    },
    /// A list with something that can't be in it.
    #[error("the field {key:?} may list only: {choices}")]
    Items {
        /// The key.
        key: String,
        /// What can be in it, comma-separated.
        choices: String,
    },
    /// A name where only an id tells for certain who somebody is.
    #[error(
        "the field {key:?} takes the platform's ids, not the name {name:?}: another person may have it tomorrow"
    )]
    Name {
        /// The key.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// What would be found in any message, or in none.
    #[error(
        "the field {key:?} takes words or phrases of at most {most} characters with a letter or a digit in each; \
         {word:?} is none"
    )]
    Word {
        /// The key.
        key: &'static str,
        /// How many characters each can have.
        most: usize,
        /// Its beginning.
        word: String,
    },
    /// A list with too many items.
    #[error("the field {key:?} can list at most {most}")]
    TooMany {
        /// The key.
        key: &'static str,
        /// How many it can list.
        most: usize,
    },
    /// A stored secret would go to another server.
    #[error(
        "the field {key:?} leads to another server, which would be sent the stored {secret:?}: send {secret:?} again with it"
    )]
    Elsewhere {
        /// The key of the address.
        key: &'static str,
        /// The key of the secret.
        secret: &'static str,
    },
}
