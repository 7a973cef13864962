//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// What a message may be.
const MESSAGES: &str = "https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/conversation-messages";

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(&[Feature::Polls], "bots can't post Teams' own polls, which are an app", MESSAGES),
    Lack::cant(&[Feature::Location], "a bot's message has no places", MESSAGES),
    Lack::cant(
        &[Feature::Commands],
        "a bot's commands are in its app's manifest, which no call of a bot changes",
        "https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/create-a-bot-commands-menu",
    ),
];
