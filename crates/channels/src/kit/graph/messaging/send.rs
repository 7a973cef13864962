//! Sending a part: its attachments are uploaded first, where the platform takes uploads, so that a call that is repeated after a
//! failure shows nothing twice.

use claw_types::Media;
use serde::Deserialize;

use super::calls::{self, Handed, Kind};
use crate::kit::file::File;
use crate::kit::graph::api::{Api, Twice};
use crate::kit::plan::Content;
use crate::kit::upload::Uploads;
use crate::{ChannelError, Part, Receipt};

#[derive(Deserialize)]
struct Uploaded {
    attachment_id: String,
}

/// An action answers without an id.
#[derive(Deserialize)]
struct Sent {
    message_id: Option<String>,
}

pub(super) async fn send(
    api: &Api,
    uploads: &Uploads,
    kind: &Kind,
    part: &Part<'_>,
) -> Result<Receipt, ChannelError> {
    let handed = handed(api, uploads, kind, part).await?;
    let body = calls::of_part(part, &handed, kind)?;
    let target = part.piece.content.target();
    let twice = if target.is_some() { Twice::Harmless } else { Twice::Seen };
    let sent: Sent = api.post(&calls::MESSAGES, &body, twice).await?;
    let id = target.map(str::to_owned).or(sent.message_id);
    let unnamed = || ChannelError::Uncertain(format!("{}'s answer names no message", kind.platform.name));
    Ok(Receipt { platform_message_id: id.ok_or_else(unnamed)? })
}

async fn handed(api: &Api, uploads: &Uploads, kind: &Kind, part: &Part<'_>) -> Result<Handed, ChannelError> {
    let attachments = match &part.piece.content {
        Content::Media { media, .. } if kind.uploads => std::slice::from_ref(media),
        Content::Album { media, .. } if kind.uploads => media.as_slice(),
        _ => return Ok(Handed::Linked),
    };
    // Each has the room of one: together they would have no more than one has alone.
    let mut ids = Vec::with_capacity(attachments.len());
    for media in attachments {
        ids.push(upload(api, uploads, media, part).await?);
    }
    Ok(Handed::Uploaded(ids))
}

/// Fetches an attachment and uploads it; its id.
async fn upload(
    api: &Api,
    uploads: &Uploads,
    media: &Media,
    part: &Part<'_>,
) -> Result<String, ChannelError> {
    let held = uploads.fetch(std::slice::from_ref(media), part.accepted_at, calls::MAX_BYTES).await?;
    let nothing = || ChannelError::Retryable("nothing was fetched of the attachment".to_owned());
    let fetched = held.files.first().ok_or_else(nothing)?;
    let message = calls::upload(media).to_string();
    let file = File::new(media, fetched);
    let uploaded: Uploaded =
        api.upload(&calls::ATTACHMENTS, &[("message", message)], "filedata", &file).await?;
    Ok(uploaded.attachment_id)
}
