//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[Feature::Polls, Feature::Location, Feature::Threads],
        "messages of accounts have none",
        "https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message",
    ),
    Lack::cant(
        &[Feature::Edit, Feature::Delete],
        "there is no call for it",
        "https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message",
    ),
    Lack::cant(
        &[Feature::Edits],
        "Meta tells of edits in conversations of Messenger only",
        "https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events",
    ),
];
