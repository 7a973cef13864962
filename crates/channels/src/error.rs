//! What can go wrong on a platform, by what the caller can do about it.

use std::time::Duration;

/// A platform call or a channel that failed.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ChannelError {
    /// The platform asks to wait this long; then the same call may work. It means the bot, or says nothing from which more
    /// could be known.
    #[error("the platform asks to wait {0:?}")]
    RateLimited(Duration),
    /// The same for a call into one chat, where it may be that chat alone.
    #[error("the platform asks to wait {wait:?}")]
    ChatLimited {
        /// How long.
        wait: Duration,
        /// Whether the platform says that it means this chat only. Where not, a second chat that gets such an answer
        /// meanwhile tells that the bot is meant.
        told: bool,
    },
    /// It did not happen; trying again later may work.
    #[error("{0}")]
    Retryable(String),
    /// It was handed over, but the answer never came: it may or may not have happened.
    #[error("{0}")]
    Uncertain(String),
    /// The platform refused; trying again would not help.
    #[error("{0}")]
    Permanent(String),
    /// The platform does not know the credential (any more).
    #[error("{0}")]
    BadCredentials(String),
    /// A request that claims to be the platform's is not signed by it.
    #[error("{0}")]
    BadSignature(String),
    /// A request of the platform's that can't be understood.
    #[error("{0}")]
    BadRequest(String),
    /// The platform does not have what was asked for.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The channel's fields do not make sense.
    #[error("{0}")]
    Config(String),
}

/// Why a person's message was not accepted; the adapter must not tell the platform that it was.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SinkError {
    /// Not committed; try again.
    #[error("not committed: {0}")]
    NotCommitted(String),
    /// This process owns the channel no longer; stop at once.
    #[error("this worker does not own the channel any more")]
    LostOwnership,
}
