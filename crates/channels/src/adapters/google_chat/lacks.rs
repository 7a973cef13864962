//! What the channel does not carry, and why.

use claw_types::MediaKind;

use crate::{Feature, Lack};

/// What an app may be told.
const EVENTS: &str = "https://developers.google.com/workspace/events/guides/events-chat";

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
    Lack::cant(&[Feature::Receipts], "Google Chat has no event for it", EVENTS),
    Lack::cant(
        &[Feature::Commands],
        "commands are made in the Google Cloud console (the one call for it is in beta); they are read",
        "https://docs.cloud.google.com/sdk/gcloud/reference/beta/workspace-add-ons/chat-app-config",
    ),
];
