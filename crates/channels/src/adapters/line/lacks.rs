//! What the channel does not carry, and why.

use claw_types::MediaKind;

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[Feature::Media(MediaKind::File)],
        "accounts can't send files",
        "https://developers.line.biz/en/reference/messaging-api/#message-objects",
    ),
    Lack::cant(
        &[Feature::Albums],
        "an account's pictures are messages of their own",
        "https://developers.line.biz/en/reference/messaging-api/#image-message",
    ),
    Lack::cant(
        &[Feature::Polls, Feature::Threads],
        "LINE has none for accounts",
        "https://developers.line.biz/en/reference/messaging-api/#message-objects",
    ),
    Lack::cant(
        &[Feature::Edit, Feature::Delete, Feature::Reactions],
        "there is no call for it",
        "https://developers.line.biz/en/reference/messaging-api/",
    ),
    Lack::cant(
        &[Feature::PeoplesReactions, Feature::Receipts],
        "LINE has no event for it in chats",
        "https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects",
    ),
    Lack::cant(
        &[Feature::Commands],
        "an account can offer a menu of pictures, and no commands",
        "https://developers.line.biz/en/docs/messaging-api/using-rich-menus/",
    ),
];
