//! Erasures that were asked for go on here until nothing is left.
//!
//! It is gateways that do it, because only they reach attachments. Each looks every few seconds for what is unfinished; a
//! step locks its erasure, so several of them share the work without doing any of it twice, and a killed one's is taken
//! over at the next look.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use claw_media::{MediaKey, MediaStore};
use claw_store::{Next, Step, chain};
use claw_types::{MessageId, UserId};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::app::{App, Shared};

/// How often a gateway looks for what is unfinished.
const EVERY: Duration = Duration::from_secs(5);
/// How long nothing must have been found before the end is said. Longer than anybody can still write for a channel that was
/// stopped or a key that was removed: what NATS did not tell is known after 5 s, a statement ends within 10 s, and a bucket
/// keeps an upload that was begun waiting for at most 15 s.
const QUIET: Duration = Duration::from_secs(20);
/// How long one call, or one look, works on one erasure: others wait.
const TURN: Duration = Duration::from_secs(5);
/// Attachments removed at the same time.
const AT_ONCE: usize = 16;

/// Why a step was not taken; the next look tries again.
type Failure = Box<dyn StdError + Send + Sync>;

/// Runs until the gateway stops.
pub async fn run(app: Shared) {
    let soft = app.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = soft.cancelled() => return,
        }
        let unfinished = match app.store.erasures_unfinished().await {
            Ok(unfinished) => unfinished,
            Err(error) => {
                warn!("looking for erasures failed, trying again in {EVERY:?}: {}", chain(&error));
                continue;
            }
        };
        for user in unfinished {
            if soft.is_cancelled() {
                return;
            }
            if let Err(error) = advance(&app, &user).await {
                warn!("an erasure failed, trying again in {EVERY:?}: {}", chain(&*error));
            }
        }
    }
}

/// Takes steps until there is nothing to do for now, or for one turn.
///
/// # Errors
/// When the database or the store of attachments fails; the steps before stay taken.
pub async fn advance(app: &Shared, user: &UserId) -> Result<(), Failure> {
    let deadline = Instant::now() + TURN;
    while Instant::now() < deadline {
        let step = app.store.erasure_step(user, QUIET).await?;
        tell(app, &step).await;
        match step.next {
            Next::More => {}
            Next::Attachments(of) => {
                remove(app, &of).await?;
                app.store.erasure_attachments_gone(user, &of).await?;
            }
            Next::Finished => {
                info!("everything that was kept of a user is removed");
                return Ok(());
            }
            Next::Wait => return Ok(()),
        }
    }
    Ok(())
}

/// Who is not told finds out: gateways after 5 s, owners at their next look at what changed.
async fn tell(app: &Arc<App>, step: &Step) {
    for (channel, shard) in &step.stopped {
        app.channels.forget(*channel).await;
        app.bus.publish_channel_changed(*shard, *channel).await;
    }
    if step.keys_changed {
        app.bus.publish_keys_changed().await;
    }
}

async fn remove(app: &App, of: &[MessageId]) -> claw_media::Result<()> {
    let removals: Vec<_> = of.iter().map(|id| removal(app.media.clone(), MediaKey::new(id.0))).collect();
    stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await
}

async fn removal(media: MediaStore, key: MediaKey) -> claw_media::Result<()> {
    media.delete(&key).await
}
