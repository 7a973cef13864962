//! What is asked of every adapter.

use serde::Serialize;

use crate::{Lack, Whose};

/// What became of a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "why", rename_all = "snake_case")]
pub enum Outcome {
    /// It is met.
    Met,
    /// The platform leaves no way to meet it, for this reason.
    PlatformCant(String),
    /// The platform has a way, and it is not built, for this reason.
    NotBuilt(String),
    /// It is not met, and why.
    Failed(String),
}

impl Outcome {
    pub(super) fn cant(why: &str) -> Self {
        Self::PlatformCant(why.to_owned())
    }

    pub(super) fn lacking(lack: &Lack) -> Self {
        match lack.whose {
            Whose::Platform => Self::PlatformCant(lack.told()),
            Whose::Ours => Self::NotBuilt(lack.told()),
        }
    }
}

macro_rules! requirements {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:ident,)+) => {
        /// What is asked of every adapter. Names are those of the tests and of the rows of `CONTRACT.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Requirement {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Requirement {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)+
                }
            }
        }
    };
}

requirements! {
    /// The example of its fields goes through the form and comes back, and nothing secret lies in the open.
    Configuration configuration,
    /// Its page of the documentation says what the code says.
    Documentation documentation,
    /// What the platform sent is read as it was meant.
    Payloads payloads,
    /// Requests without the platform's signature, or with another's, are refused.
    Forged forged,
    /// A request that is posted again is refused, or carries the key by which it counts once.
    Replayed replayed,
    /// What the channel's own account wrote is told apart.
    OwnMessages own_messages,
    /// In a group, a message says whether it addresses the bot.
    Mention mention,
    /// Messages of one conversation have one session key, and those of two have two.
    SessionKey session_key,
    /// The credential is tried without anything that people could see.
    Probe probe,
    /// A text arrives, and the receipt is the platform's id of it.
    Text text,
    /// A long text arrives whole and in order, in parts that fit.
    LongText long_text,
    /// Pictures.
    Image image,
    /// Videos.
    Video video,
    /// Sound.
    Audio audio,
    /// Voice notes.
    Voice voice,
    /// Files of any kind.
    File file,
    /// Several attachments as one message.
    Albums albums,
    /// Buttons that send something back.
    DataButtons data_buttons,
    /// Buttons that open an address.
    UrlButtons url_buttons,
    /// Places.
    Location location,
    /// Polls.
    Poll poll,
    /// An answer names its question to the platform, and nothing else names one.
    ReplyTo reply_to,
    /// A thread of a chat.
    Threads threads,
    /// Another text for a sent message.
    Edit edit,
    /// A sent message taken back.
    Delete delete,
    /// Reactions of ours.
    Reaction reaction,
    /// The sign that an answer is being written.
    Typing typing,
    /// Each call fits the platform's own description.
    DescribedCalls described_calls,
    /// 429: the platform's wait is told.
    RateLimited rate_limited,
    /// 5xx: it is tried again.
    ServerError server_error,
    /// No answer: uncertain or, where the platform knows repeated calls, tried again.
    TimeOut time_out,
    /// A connection that breaks before the answer: the same.
    CutConnection cut_connection,
    /// No connection: nothing happened, so it is tried again.
    Unreachable unreachable,
    /// A token that is not known any more is told as that, by a send, a test and a poll.
    RevokedToken revoked_token,
    /// A send that is dropped midway leaves nothing behind, and receiving ends when it is asked to.
    Stop stop,
    /// No secret in an address, ours or the platform's.
    SecretFreeAddresses secret_free_addresses,
    /// No secret in what is logged and in what errors say, through all of this.
    Secrets secrets,
}
