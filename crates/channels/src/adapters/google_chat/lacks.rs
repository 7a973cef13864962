//! What the channel does not carry, and why.

use claw_types::MediaKind;

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[
            Feature::Media(MediaKind::Video),
            Feature::Media(MediaKind::Audio),
            Feature::Media(MediaKind::Voice),
            Feature::Media(MediaKind::File),
        ],
        "uploads are made in the name of a person, and an app has none",
        "https://developers.google.com/workspace/chat/upload-media-attachments",
    ),
    Lack::cant(
        &[Feature::Polls, Feature::Location],
        "messages and their cards have none",
        "https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages",
    ),
    Lack::cant(
        &[Feature::Reactions],
        "reactions are made in the name of a person, and an app has none",
        "https://developers.google.com/workspace/chat/create-reactions",
    ),
    Lack::cant(
        &[Feature::Typing],
        "there is no call for it",
        "https://developers.google.com/workspace/chat/api/reference/rest",
    ),
];
