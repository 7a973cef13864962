//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[Feature::Albums],
        "a message has one attachment",
        "https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api",
    ),
    Lack::cant(
        &[Feature::Polls],
        "the API has no messages that are polls",
        "https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api",
    ),
    Lack::cant(
        &[Feature::Threads],
        "a chat has no threads",
        "https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api",
    ),
    Lack::cant(
        &[Feature::Edit, Feature::Delete],
        "the API changes no message that was sent and takes none back",
        "https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api",
    ),
];
