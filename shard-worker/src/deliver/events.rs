//! Events to one destination: what is behind its cursor, in order, each posted until it is taken.
//!
//! At least once: the cursor is saved after a page, or a second, or a failure; a crash in between posts again what came
//! since, under the same `webhook-id`. In order: an event that is refused holds back those behind it, of this
//! destination alone. One that keeps refusing is switched off, and its owner is told.

use std::sync::Arc;
use std::time::Duration;

use claw_channels::kit::signed_post::{Posted, SignedPost};
use claw_runtime::Backoff;
use claw_store::{Actor, Destination, Error, Place, Refusal, chain};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::core::Core;
use crate::shard::Shard;

/// Events read at once.
const PAGE: i64 = 500;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);
/// The cursor is saved at least this often: what came since is posted again after a crash.
const SAVE: Duration = Duration::from_secs(1);
/// After so long without a success a destination is switched off.
const PATIENCE_DAYS: i32 = 3;
/// 410 Gone: it wants no more.
const GONE: u16 = 410;
/// 1 s, 2 s, 4 s ... capped at a quarter of an hour; [`PATIENCE_DAYS`] end it.
const SCHEDULE: Backoff =
    Backoff { first: Duration::from_secs(1), factor: 2.0, cap: Duration::from_secs(900), attempts: u32::MAX };

/// Why a runner ends before it is through.
enum Ended {
    /// The shard is not ours any more, or stops.
    NotOurs,
    /// It did not take an event.
    Refused(Refused),
    /// The database.
    Store(Error),
}

struct Refused {
    error: String,
    gone: bool,
    retry_after: Option<Duration>,
}

/// Delivers until nothing is left, it is refused, or the shard goes. Starting again goes on where this ended.
pub(crate) async fn deliver(core: &Arc<Core>, shard: &Arc<Shard>, id: Uuid) {
    loop {
        let (destination, secret) = match core.store.destination_load(&core.vault, id).await {
            Ok(Some(found)) => found,
            // Deleted or switched off meanwhile.
            Ok(None) => return,
            Err(error) => return failed(id, &error),
        };
        let runner = Runner { core, shard, destination: &destination };
        let secret = match secret {
            Ok(secret) => secret,
            // Sealed with another key: its owner can give it a new secret.
            Err(error) => {
                let error = chain(&error);
                return runner.refused(Refused { error, gone: false, retry_after: None }).await;
            }
        };
        match runner.page(&secret).await {
            Ok(true) => {}
            Ok(false) | Err(Ended::NotOurs) => return,
            Err(Ended::Store(error)) => return failed(id, &error),
            Err(Ended::Refused(refused)) => return runner.refused(refused).await,
        }
    }
}

fn failed(id: Uuid, error: &Error) {
    warn!(destination = %id, "posting events to destination {id} stops for now: {}", chain(error));
}

struct Runner<'a> {
    core: &'a Core,
    shard: &'a Shard,
    destination: &'a Destination,
}

impl Runner<'_> {
    /// Posts a page of events; tells whether there may be more.
    async fn page(&self, secret: &str) -> Result<bool, Ended> {
        let Destination { user_id, cursor, filter, .. } = self.destination;
        let page =
            self.core.store.events_after(user_id.as_ref(), *cursor, PAGE).await.map_err(Ended::Store)?;
        let mut progress = Progress { upto: *cursor, taken: false, saved: Instant::now() };
        if page.gap {
            let oldest = page.events.first().map_or(page.upto, |event| event.place);
            self.in_order(self.post_gap(secret, oldest).await, &mut progress).await?;
        }
        for event in page.events {
            if filter.wants(&event.kind, event.slug()) {
                let posted = match event.json() {
                    Ok(body) => self.post(secret, &event.place.to_string(), body).await,
                    Err(error) => Err(Ended::Store(error)),
                };
                self.in_order(posted, &mut progress).await?;
            }
            progress.upto = event.place;
            if progress.saved.elapsed() >= SAVE {
                self.save(&mut progress).await?;
            }
        }
        progress.upto = page.upto;
        self.save(&mut progress).await?;
        Ok(page.more)
    }

    /// What was posted before is kept, whatever came of the last one.
    async fn in_order(&self, posted: Result<(), Ended>, progress: &mut Progress) -> Result<(), Ended> {
        match posted {
            Ok(()) => progress.taken = true,
            Err(ended) => {
                if progress.taken {
                    self.save(progress).await?;
                }
                return Err(ended);
            }
        }
        Ok(())
    }

    async fn save(&self, progress: &mut Progress) -> Result<(), Ended> {
        let Runner { core, shard, destination, .. } = self;
        let saved = core
            .store
            .destination_advance(destination.id, shard.id, shard.epoch, progress.upto, progress.taken)
            .await;
        *progress = Progress { upto: progress.upto, taken: false, saved: Instant::now() };
        if saved.map_err(Ended::Store)? { Ok(()) } else { Err(Ended::NotOurs) }
    }

    async fn post_gap(&self, secret: &str, oldest: Place) -> Result<(), Ended> {
        let after = self.destination.cursor;
        let (id, at) = (format!("gap-{after}"), self.core.clock.now());
        let body = json!({"id": id, "type": "gap", "at": at, "user_id": self.destination.user_id,
                          "channel": Value::Null, "message_id": Value::Null,
                          "data": {"after": after.to_string(), "oldest": oldest.to_string()}});
        self.post(secret, &id, body.to_string()).await
    }

    async fn post(&self, secret: &str, id: &str, body: String) -> Result<(), Ended> {
        if self.shard.stopping().is_cancelled() || !self.core.lease.holds() {
            return Err(Ended::NotOurs);
        }
        let post = SignedPost {
            url: &self.destination.url,
            secret,
            id,
            timestamp: self.core.clock.now().timestamp(),
            body: body.into(),
            limit: LIMIT,
        };
        match post.send(&self.core.deps.http).await {
            Ok(posted) if posted.taken() => Ok(()),
            Ok(Posted { status, retry_after }) => {
                let error = format!("it answered {status}");
                Err(Ended::Refused(Refused { error, gone: status == GONE, retry_after }))
            }
            Err(error) => {
                let error = error.to_string();
                Err(Ended::Refused(Refused { error, gone: false, retry_after: None }))
            }
        }
    }

    /// Notes the failure and when to try again; whoever asks for what is due finds it then.
    async fn refused(&self, refused: Refused) {
        let Destination { id, revision, .. } = *self.destination;
        // A success on the way here began a new count.
        let before = match self.core.store.destination_load(&self.core.vault, id).await {
            Ok(Some((destination, _))) => destination.attempts,
            Ok(None) => return,
            Err(error) => return failed(id, &error),
        };
        let scheduled = SCHEDULE.wait(before + 1, &*self.core.random).unwrap_or(SCHEDULE.cap);
        let wait = refused.retry_after.map_or(scheduled, |asked| asked.max(scheduled));
        let refusal = Refusal {
            id,
            revision,
            shard: self.shard.id,
            epoch: self.shard.epoch,
            error: refused.error,
            due_in: wait.as_secs_f64(),
            gone: refused.gone,
            patience_days: PATIENCE_DAYS,
        };
        match self.core.store.destination_refused(&refusal, &Actor::named(&self.core.name)).await {
            Ok(Some(true)) => warn!(destination = %id, "destination {id} is switched off: {}", refusal.error),
            Ok(Some(false)) => info!(destination = %id, ?wait,
                "destination {id} did not take an event ({}); trying again in {wait:?}", refusal.error),
            // Changed meanwhile, or not ours any more: the next runner knows better.
            Ok(None) => {}
            Err(error) => failed(id, &error),
        }
    }
}

struct Progress {
    upto: Place,
    taken: bool,
    saved: Instant,
}
