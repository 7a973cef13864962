//! Sending a part: what it needs is fetched and uploaded, its event put into the room, what is taken back found and redacted.

use claw_types::Media;

use super::Matrix;
use super::calls::{self, Call, Stored};
use super::crypto::file;
use super::sync::Event;
use crate::kit::fetch::{Fetched, essence};
use crate::kit::file::File;
use crate::kit::plan::Content;
use crate::{ChannelError, Part, Receipt};

/// Bytes of an attachment. Homeservers have limits of their own (Synapse 50 MB, if nobody changed it), and say so.
const MAX_BYTES: usize = 50_000_000;
/// What says nothing of its content.
const UNKNOWN: &str = "application/octet-stream";

impl Matrix {
    pub(super) async fn send_part(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let room = calls::room_id(part.recipient)?;
        match &part.piece.content {
            Content::Media { media, .. } => {
                // Their place is theirs until the homeserver has them.
                let held =
                    self.uploads.fetch(std::slice::from_ref(media), part.accepted_at, MAX_BYTES).await?;
                let fetched = held.files.first();
                let fetched = fetched
                    .ok_or_else(|| ChannelError::Retryable("the attachment was not fetched".to_owned()))?;
                let stored = self.store(room, media, fetched).await?;
                self.put(part, room, Some(&stored)).await
            }
            Content::Delete { message_id } => {
                let id = calls::event_id("message_id", message_id)?;
                let done = self.api.redact(room, id, &calls::act_id(part, &id.into())).await;
                done.or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
                Ok(Receipt { platform_message_id: id.to_owned() })
            }
            Content::React { message_id, emoji: None } => {
                let id = calls::event_id("message_id", message_id)?;
                self.take_reactions(part, room, id).await?;
                Ok(Receipt { platform_message_id: id.to_owned() })
            }
            _ => self.put(part, room, None).await,
        }
    }

    /// Puts a part's event into the room. What something is done to keeps its id.
    async fn put(
        &self,
        part: &Part<'_>,
        room: &str,
        stored: Option<&Stored>,
    ) -> Result<Receipt, ChannelError> {
        let most = if self.is_encrypted(room).await? { calls::MAX_SEALED } else { calls::MAX_CONTENT };
        let sent = self.put_event(room, &calls::of_part(part, stored, most)?).await;
        let target = part.piece.content.target();
        let platform_message_id = match (target, sent) {
            (Some(target), Ok(_)) => target.to_owned(),
            (Some(target), Err(error)) if is_there(&error) => target.to_owned(),
            (_, sent) => sent?,
        };
        Ok(Receipt { platform_message_id })
    }

    /// Puts an event into a room, encrypted where the room is; its id.
    pub(super) async fn put_event(&self, room: &str, call: &Call) -> Result<String, ChannelError> {
        let Call { kind, transaction, content } = call;
        let sealed = match &self.crypto {
            Some(crypto) => crypto.write(&self.api, room, kind, content).await?,
            None => None,
        };
        match sealed {
            Some(sealed) => self.api.put(room, "m.room.encrypted", transaction, &sealed).await,
            None => self.api.put(room, kind, transaction, content).await,
        }
    }

    async fn is_encrypted(&self, room: &str) -> Result<bool, ChannelError> {
        match &self.crypto {
            Some(crypto) => crypto.is_encrypted(&self.api, room).await,
            None => Ok(false),
        }
    }

    async fn store(&self, room: &str, media: &Media, fetched: &Fetched) -> Result<Stored, ChannelError> {
        let told = essence(&fetched.content_type).to_ascii_lowercase();
        let found = infer::get(&fetched.bytes);
        let is_told = told.contains('/') && told != UNKNOWN;
        let content_type =
            if is_told { told } else { found.map_or(UNKNOWN, |found| found.mime_type()).to_owned() };
        let File { name, .. } = File::new(media, fetched);
        let size = fetched.bytes.len();
        if self.is_encrypted(room).await? {
            let (sealed, secret) = file::seal(&fetched.bytes, &*self.deps.random);
            let mxc = self.api.upload(None, UNKNOWN, &sealed).await?;
            return Ok(Stored { mxc, name, content_type, size, secret: Some(secret) });
        }
        let mxc = self.api.upload(Some(&name), &content_type, &fetched.bytes).await?;
        Ok(Stored { mxc, name, content_type, size, secret: None })
    }

    /// Takes our reactions off a message: they are events, which the homeserver finds by the message.
    async fn take_reactions(&self, part: &Part<'_>, room: &str, id: &str) -> Result<(), ChannelError> {
        let page = self.api.reactions(room, id).await?;
        for reaction in Event::all(&page.chunk) {
            if reaction.sender == self.account && !reaction.id.is_empty() {
                let transaction = calls::act_id(part, &reaction.id.as_str().into());
                self.api.redact(room, &reaction.id, &transaction).await?;
            }
        }
        Ok(())
    }
}

/// Whether what was to be taken back is not there.
fn is_gone(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Permanent(why) if why.contains("M_NOT_FOUND"))
}

/// Whether what was to be put there is there: our reaction with the same emoji
/// (<https://spec.matrix.org/latest/client-server-api/#avoiding-duplicate-annotations>).
fn is_there(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Permanent(why) if why.contains("M_DUPLICATE_ANNOTATION"))
}
