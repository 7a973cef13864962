//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[Feature::Polls, Feature::Location, Feature::Threads],
        "messages of Pages have none",
        "https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference",
    ),
    Lack::cant(
        &[Feature::Edit, Feature::Delete],
        "there is no call for it",
        "https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference",
    ),
    Lack::cant(
        &[Feature::Deletions],
        "Meta tells Pages of no deletions",
        "https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events",
    ),
];
