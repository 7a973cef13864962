//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[Feature::DataButtons, Feature::UrlButtons, Feature::Polls, Feature::Location],
        "text messages have no such things",
        "https://www.twilio.com/docs/messaging/api/message-resource",
    ),
    Lack::cant(
        &[Feature::ReplyTo, Feature::Threads],
        "text messages point to no other",
        "https://www.twilio.com/docs/messaging/api/message-resource",
    ),
    Lack::cant(
        &[Feature::Edit, Feature::Delete, Feature::Reactions],
        "what was sent is on people's phones, out of reach",
        "https://www.twilio.com/docs/messaging/api/message-resource",
    ),
    Lack::cant(
        &[Feature::Typing],
        "text messages have no such sign",
        "https://www.twilio.com/docs/messaging/api/message-resource",
    ),
    Lack::cant(
        &[Feature::Edits, Feature::Deletions, Feature::PeoplesReactions, Feature::Replies],
        "text messages have no such things; what a phone makes of them comes as a text",
        "https://www.twilio.com/docs/messaging/guides/webhook-request",
    ),
    Lack::cant(
        &[Feature::Commands],
        "text messages have no such things",
        "https://www.twilio.com/docs/messaging/api/message-resource",
    ),
];
