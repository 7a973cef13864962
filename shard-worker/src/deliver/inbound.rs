//! A person's message to the backend.

use std::sync::Arc;

use bytes::Bytes;
use claw_channels::kit::media_link;
use claw_store::chain;
use claw_types::{ChannelId, MediaRef, MessageState, WebhookBody, Work};

use super::{Attempt, answer, backend};
use crate::channels::observe;
use crate::core::Core;
use crate::erased::Erased;
use crate::shard::Shard;

/// A link to an attachment is good for this long after the webhook that carries it.
const LINK_SECONDS: i64 = 6 * 3600;

pub(crate) async fn attempt(core: &Arc<Core>, shard: &Arc<Shard>, work: &Work) -> Attempt {
    let body = match body(core, work) {
        Ok(body) => body,
        Err(error) => {
            // Stored by a version that wrote it differently: kept for people to look at.
            return Attempt::Over {
                state: MessageState::Failed,
                error: Some(format!("unreadable: {error}")),
            };
        }
    };
    if work.channel_id != ChannelId::NONE {
        observe::inbound(core, shard, work.channel_id);
    }
    // Waited for before the lease is asked: it may take as long as another message's answer.
    let turn = tokio::select! {
        biased;
        turn = core.backend.turn(&work.user_id) => turn,
        () = shard.stopping().cancelled() => return Attempt::NotOurs,
    };
    if core.erased.has(work) {
        return Erased::over();
    }
    if !core.lease.holds() {
        return Attempt::NotOurs;
    }
    let answered = match core.backend.post(&work.id.to_string(), body).await {
        Ok(response) => answer::read(response).await.map_err(|error| backend::broken(&error)),
        Err(refused) => Err(refused),
    };
    drop(turn);
    match answered {
        Ok(answer) => match answer::commit(core, shard, work, answer).await {
            Ok(error) => Attempt::Over { state: MessageState::Done, error },
            // The backend gets it again under the same id, and the person still sees one answer.
            Err(error) => Attempt::Again { after: None, error: chain(&error) },
        },
        Err(refused) => Attempt::Again { after: refused.retry_after, error: refused.reason },
    }
}

/// The stored bytes; with an attachment, a fresh link to it put in.
fn body(core: &Core, work: &Work) -> serde_json::Result<Bytes> {
    let Some(media) = &work.media else { return Ok(Bytes::copy_from_slice(work.payload.get().as_bytes())) };
    let media: MediaRef = serde_json::from_str(media.get())?;
    let mut body: WebhookBody = serde_json::from_str(work.payload.get())?;
    let name = file_name(&media);
    let expires = core.clock.now().timestamp() + LINK_SECONDS;
    let path = media_link::path(&core.media_key, work.id, &name, expires);
    body.media_url = Some(format!("{}{path}", core.public_url));
    serde_json::to_vec(&body).map(Bytes::from)
}

/// The platform's name for it or, where there is none, one whose ending tells the type: some readers go by that.
fn file_name(media: &MediaRef) -> String {
    let ending = match media.mime.as_deref() {
        Some("image/jpeg") => ".jpg",
        Some("image/png") => ".png",
        Some("audio/ogg") => ".ogg",
        Some("audio/mpeg") => ".mp3",
        Some("video/mp4") => ".mp4",
        _ => "",
    };
    media.filename.clone().unwrap_or_else(|| format!("{}{ending}", media.kind.as_str()))
}
