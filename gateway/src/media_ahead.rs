//! Fetches people's attachments as soon as their messages are accepted, so that they are there when a platform's link has
//! expired or the channel is gone.
//!
//! Whoever accepts a message with an attachment says so on NATS, after the commit and without waiting; one of the gateways
//! hears of it and fetches. The bucket or the folder where it puts it should be every gateway's. Nothing depends on it: what
//! was not heard, or could not be fetched just then, is fetched when the link is opened.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::{Bus, media_message};
use claw_types::MessageId;
use futures::{StreamExt as _, future, stream};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::app::Shared;
use crate::routes::media::fetched;

/// Attachments on their way at the same time.
const AT_ONCE: usize = 16;
/// Messages whose attachments wait for that. What NATS has to keep for a slow subscriber counts as a loss for all of them.
const WAITING: usize = 1_000;

/// Runs until the gateway stops.
pub async fn run(app: Shared) {
    let soft = app.lifecycle.soft();
    let (waiting, ids) = mpsc::channel(WAITING);
    let ids = stream::unfold(ids, |mut ids| async move { Some((ids.recv().await?, ids)) });
    let fetching = ids.for_each_concurrent(AT_ONCE, |id| ahead(Arc::clone(&app), id));
    soft.run_until_cancelled(future::join(listen(&app.bus, waiting), fetching)).await;
}

async fn listen(bus: &Bus, waiting: mpsc::Sender<MessageId>) {
    loop {
        match bus.subscribe_media().await {
            Ok(mut frames) => {
                while let Some(frame) = frames.next().await {
                    let kept = media_message(&frame).is_some_and(|id| waiting.try_send(id).is_ok());
                    if !kept {
                        debug!("an attachment is fetched when it is asked for: too many are waiting");
                    }
                }
            }
            Err(error) => warn!(%error, "attachments are fetched when they are asked for: {error}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn ahead(app: Shared, id: MessageId) {
    if let Err(problem) = fetched(&app, id).await {
        debug!(message.id = %id, "an attachment could not be fetched ahead: {}", problem.detail());
    }
}
