//! What is asked of every adapter.

use claw_types::MediaKind;
use serde::Serialize;

use crate::{Feature, Lack, Whose};

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

impl Requirement {
    /// Whether it is tried on each road of a platform that has two ([`super::Examinee::other_road`]).
    pub(super) fn is_of_the_road(self) -> bool {
        matches!(
            self,
            Self::Payloads
                | Self::Forged
                | Self::Replayed
                | Self::OwnMessages
                | Self::RevokedToken
                | Self::Stop
                | Self::SecretFreeAddresses
        )
    }

    /// The feature that it is about, which an adapter declares or says why not; `None` for what every adapter must do.
    pub(super) fn feature(self) -> Option<Feature> {
        Some(match self {
            Self::Image => Feature::Media(MediaKind::Image),
            Self::Video => Feature::Media(MediaKind::Video),
            Self::Audio => Feature::Media(MediaKind::Audio),
            Self::Voice => Feature::Media(MediaKind::Voice),
            Self::File => Feature::Media(MediaKind::File),
            Self::Albums => Feature::Albums,
            Self::DataButtons => Feature::DataButtons,
            Self::UrlButtons => Feature::UrlButtons,
            Self::Location => Feature::Location,
            Self::Poll => Feature::Polls,
            Self::ReplyTo => Feature::ReplyTo,
            Self::Threads => Feature::Threads,
            Self::Edit => Feature::Edit,
            Self::Delete => Feature::Delete,
            Self::Reaction => Feature::Reactions,
            Self::Typing => Feature::Typing,
            Self::Edits => Feature::Edits,
            Self::Deletions => Feature::Deletions,
            Self::PeoplesReactions => Feature::PeoplesReactions,
            Self::Replies => Feature::Replies,
            Self::Receipts => Feature::Receipts,
            Self::Commands => Feature::Commands,
            _ => return None,
        })
    }

    /// What it comes to on two roads together: the worse of both. A platform that has a way on one of them can.
    pub(super) fn together(self, one: Outcome, other: Outcome) -> Outcome {
        // But what is in an address on one of them is where it can be read.
        let is_spoilt_by_one = self == Self::SecretFreeAddresses;
        match (one, other) {
            (failed @ Outcome::Failed(_), _) | (_, failed @ Outcome::Failed(_)) => failed,
            (missing @ Outcome::NotBuilt(_), _) | (_, missing @ Outcome::NotBuilt(_)) => missing,
            (Outcome::PlatformCant(one), Outcome::PlatformCant(other)) if one != other => {
                Outcome::PlatformCant(format!("on one of its roads, {one}; on the other, {other}"))
            }
            (cant @ Outcome::PlatformCant(_), Outcome::PlatformCant(_)) => cant,
            (cant @ Outcome::PlatformCant(_), Outcome::Met)
            | (Outcome::Met, cant @ Outcome::PlatformCant(_))
                if is_spoilt_by_one =>
            {
                cant
            }
            (Outcome::Met, _) | (_, Outcome::Met) => Outcome::Met,
        }
    }
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
    /// That people changed messages of theirs.
    Edits edits,
    /// That people deleted messages of theirs.
    Deletions deletions,
    /// People's reactions.
    PeoplesReactions peoples_reactions,
    /// Which message a person's message replies to.
    Replies replies,
    /// What became of messages of ours that the platform has.
    Receipts receipts,
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
    /// Commands that people are offered.
    Commands commands,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_roads_counts_and_a_platform_can_t_only_where_it_can_t_on_both() {
        let cant = || Outcome::cant("why");
        let missing = || Outcome::NotBuilt("why".to_owned());
        let failed = || Outcome::Failed("why".to_owned());
        let both = |one: Outcome, other: Outcome| {
            let found = Requirement::Forged.together(one.clone(), other.clone());
            assert_eq!(found, Requirement::Forged.together(other, one));
            found
        };
        assert_eq!(both(failed(), missing()), failed());
        assert_eq!(both(cant(), failed()), failed());
        assert_eq!(both(Outcome::Met, missing()), missing());
        assert_eq!(both(cant(), missing()), missing());
        assert_eq!(both(Outcome::Met, cant()), Outcome::Met);
        assert_eq!(both(cant(), cant()), cant());
        let said = Requirement::Forged.together(cant(), Outcome::cant("another"));
        assert_eq!(said, Outcome::cant("on one of its roads, why; on the other, another"));
        // What can be read on one road can be read.
        assert_eq!(Requirement::SecretFreeAddresses.together(Outcome::Met, cant()), cant());
    }
}
