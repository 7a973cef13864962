//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// What a message may be.
const MESSAGES: &str = "https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api";

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(&[Feature::Albums], "a message has one attachment", MESSAGES),
    Lack::cant(&[Feature::Polls], "the API has no messages that are polls", MESSAGES),
    Lack::cant(&[Feature::Threads], "a chat has no threads", MESSAGES),
    Lack::cant(
        &[Feature::Edit, Feature::Delete],
        "the API changes no message that was sent and takes none back",
        MESSAGES,
    ),
];
