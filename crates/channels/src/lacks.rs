//! What an adapter does not carry, and why: its platform has no such thing, or nobody built it yet. Each adapter says so once, beside its
//! [`Caps`]; the exam, the pages of the documentation and the command line show it, so that a gap of ours is never blamed on a platform.

use claw_types::MediaKind;

use crate::Caps;

/// Something that a message, or what is done to one, may need; or that a platform may tell or offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Attachments of a kind.
    Media(MediaKind),
    /// Several attachments as one message.
    Albums,
    /// Buttons that send something back.
    DataButtons,
    /// Buttons that open an address.
    UrlButtons,
    /// Places.
    Location,
    /// Polls.
    Polls,
    /// A message that points to the one that it answers.
    ReplyTo,
    /// Threads of a chat.
    Threads,
    /// Another text for a sent message.
    Edit,
    /// A sent message taken back.
    Delete,
    /// Reactions of ours.
    Reactions,
    /// The sign that an answer is being written.
    Typing,
    /// That people changed messages of theirs.
    Edits,
    /// That people deleted messages of theirs.
    Deletions,
    /// People's reactions.
    PeoplesReactions,
    /// Which message a person's message replies to.
    Replies,
    /// What became of a message of ours that the platform has.
    Receipts,
    /// Commands that people are offered.
    Commands,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Media(MediaKind::Image),
        Self::Media(MediaKind::Video),
        Self::Media(MediaKind::Audio),
        Self::Media(MediaKind::Voice),
        Self::Media(MediaKind::File),
        Self::Albums,
        Self::DataButtons,
        Self::UrlButtons,
        Self::Location,
        Self::Polls,
        Self::ReplyTo,
        Self::Threads,
        Self::Edit,
        Self::Delete,
        Self::Reactions,
        Self::Typing,
        Self::Edits,
        Self::Deletions,
        Self::PeoplesReactions,
        Self::Replies,
        Self::Receipts,
        Self::Commands,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Media(MediaKind::Image) => "pictures",
            Self::Media(MediaKind::Video) => "videos",
            Self::Media(MediaKind::Audio) => "sound",
            Self::Media(MediaKind::Voice) => "voice notes",
            Self::Media(MediaKind::File) => "files",
            Self::Albums => "several attachments as one message",
            Self::DataButtons => "buttons with `data`",
            Self::UrlButtons => "buttons with `url`",
            Self::Location => "location",
            Self::Polls => "poll",
            Self::ReplyTo => "`reply_to`",
            Self::Threads => "`thread_id`",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Reactions => "react",
            Self::Typing => "typing",
            Self::Edits => "people's edits",
            Self::Deletions => "people's deletions",
            Self::PeoplesReactions => "people's reactions",
            Self::Replies => "people's replies",
            Self::Receipts => "receipts",
            Self::Commands => "commands that people are offered",
        }
    }

    /// Whether a platform's declaration has it.
    fn is_of(self, caps: &Caps) -> bool {
        match self {
            Self::Media(kind) => caps.media.contains(&kind),
            Self::Albums => caps.albums.is_some(),
            Self::DataButtons => caps.buttons.data,
            Self::UrlButtons => caps.buttons.url,
            Self::Location => caps.location,
            Self::Polls => caps.polls,
            Self::ReplyTo => caps.reply_to,
            Self::Threads => caps.threads,
            Self::Edit => caps.edit,
            Self::Delete => caps.delete,
            Self::Reactions => caps.reactions,
            Self::Typing => caps.typing,
            Self::Edits => caps.reports.edits,
            Self::Deletions => caps.reports.deletions,
            Self::PeoplesReactions => caps.reports.reactions,
            Self::Replies => caps.reports.replies,
            Self::Receipts => caps.reports.receipts,
            Self::Commands => caps.commands,
        }
    }
}

/// Whose it is that something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The platform's: it has no such thing, or not for programs.
    Platform,
    /// Ours: the platform has it, and it is not built.
    Ours,
}

/// Why something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub features: &'static [Feature],
    /// Whose it is.
    pub whose: Whose,
    /// Why, in a sentence without its full stop.
    pub why: &'static str,
    /// The platform's page on which that is to be seen, ours where we are the platform; empty for what we did not build there.
    pub source: &'static str,
}

impl Lack {
    /// What the platform does not have.
    pub const fn cant(features: &'static [Feature], why: &'static str, source: &'static str) -> Self {
        Self { features, whose: Whose::Platform, why, source }
    }

    /// What is not built.
    pub const fn not_built(features: &'static [Feature], why: &'static str, source: &'static str) -> Self {
        Self { features, whose: Whose::Ours, why, source }
    }

    /// Why, with the source.
    pub fn told(&self) -> String {
        let Self { why, source, .. } = self;
        if source.is_empty() { (*why).to_owned() } else { format!("{why} (<{source}>)") }
    }
}

impl Caps {
    /// Whether it is declared.
    pub fn has(&self, feature: Feature) -> bool {
        feature.is_of(self)
    }

    /// Why a feature is missing, if the adapter says so.
    pub fn lack(&self, feature: Feature) -> Option<&'static Lack> {
        self.lacks.iter().find(|lack| lack.features.contains(&feature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ALL;

    /// What is wrong with an adapter's reasons, in words.
    fn wrong(caps: &Caps) -> Vec<String> {
        let of = |feature: Feature| {
            let reasons = caps.lacks.iter().filter(|lack| lack.features.contains(&feature)).count();
            match (caps.has(feature), reasons) {
                (true, 0) | (false, 1) => None,
                (true, _) => {
                    Some(format!("{} is there and has a reason for not being there", feature.name()))
                }
                (false, 0) => Some(format!("{} is missing without a reason", feature.name())),
                (false, _) => Some(format!("{} is missing for two reasons", feature.name())),
            }
        };
        let sentence = |lack: &Lack| {
            let ends = !lack.why.is_empty() && !lack.why.ends_with('.');
            let known =
                lack.source.is_empty() && lack.whose == Whose::Ours || lack.source.starts_with("https://");
            (!(ends && known))
                .then(|| format!("{:?} needs a page of the platform's and no full stop", lack.why))
        };
        Feature::ALL.into_iter().filter_map(of).chain(caps.lacks.iter().filter_map(sentence)).collect()
    }

    #[test]
    fn what_is_missing_has_a_reason_and_what_is_there_has_none() {
        for entry in ALL {
            assert_eq!(wrong(entry.caps), Vec::<String>::new(), "{}", entry.name);
        }
    }

    #[test]
    fn a_reason_that_is_missing_or_out_of_date_is_found() {
        const POLLS: Lack = Lack::cant(&[Feature::Polls], "there are none", "https://example.org");
        const NOWHERE: Lack = Lack { source: "", ..POLLS };
        assert_eq!(wrong(&Caps::TEXT_ONLY).len(), Feature::ALL.len());
        assert_eq!(wrong(&Caps { lacks: &[POLLS], ..Caps::TEXT_ONLY }).len(), Feature::ALL.len() - 1);
        assert_eq!(wrong(&Caps { lacks: &[POLLS, POLLS], ..Caps::TEXT_ONLY }).len(), Feature::ALL.len());
        assert_eq!(
            wrong(&Caps { lacks: &[POLLS], polls: true, ..Caps::TEXT_ONLY }).len(),
            Feature::ALL.len()
        );
        assert_eq!(wrong(&Caps { lacks: &[NOWHERE], ..Caps::TEXT_ONLY }).len(), Feature::ALL.len());
        assert_eq!(POLLS.told(), "there are none (<https://example.org>)");
    }
}
