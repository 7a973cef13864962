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

/// As receiving ends or goes on: what was not committed is not confirmed to the platform and comes again, but a channel that is
/// somebody else's is no more of this process's business.
///
/// Not for sending: there, [`ChannelError::Config`] is the end of the message.
impl From<SinkError> for ChannelError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::NotCommitted(why) => Self::Retryable(why),
            SinkError::LostOwnership => Self::Config(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_committed_is_tried_again_and_what_is_not_ours_is_not() {
        let passing = ChannelError::from(SinkError::NotCommitted("away".to_owned()));
        assert_eq!(passing, ChannelError::Retryable("away".to_owned()));
        assert!(matches!(ChannelError::from(SinkError::LostOwnership), ChannelError::Config(_)));
    }
}
