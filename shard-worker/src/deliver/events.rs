//! Events to one destination: what is behind its cursor, in order, each posted until it is taken.
//!
//! At least once: the cursor is saved after a page, at the end of a turn, or after a failure; a crash in between posts
//! again what came since, under the same `webhook-id`. In order: an event that is refused holds back those behind it, of
//! this destination alone. One that keeps refusing is switched off, and its owner is told. What its owner changes counts
//! from the next turn on: until then, for about a second, events still go where they went.

use std::sync::Arc;
use std::time::Duration;

use claw_channels::kit::signed_post::{Posted, SignedPost};
use claw_runtime::Backoff;
use claw_store::{Actor, Destination, Error, Place, Refusal, Served, chain};
use claw_telemetry::metrics::Counter;
use claw_types::UserId;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::turns::Cause;
use crate::core::Core;
use crate::shard::Shard;

/// Events read at once.
const PAGE: i64 = 100;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);
/// No post is begun later in a turn.
const TURN: Duration = Duration::from_secs(1);
/// After so long without a success a destination is switched off.
const PATIENCE_DAYS: i32 = 3;
/// 410 Gone: it wants no more.
const GONE: u16 = 410;
/// 1 s, 2 s, 4 s ... capped at a quarter of an hour; [`PATIENCE_DAYS`] end it.
const SCHEDULE: Backoff =
    Backoff { first: Duration::from_secs(1), factor: 2.0, cap: Duration::from_secs(900), attempts: u32::MAX };

/// Why a turn ends before it is through.
enum Ended {
    /// The shard is not ours any more, or stops; or the destination was changed.
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
pub(crate) async fn deliver(core: &Arc<Core>, shard: &Arc<Shard>, id: Uuid, owner: Option<UserId>) {
    loop {
        let turn = tokio::select! {
            turn = core.turns.take(owner.as_ref(), Cause::Now) => turn,
            () = shard.stopping().cancelled() => return,
        };
        if !serve(core, shard, id).await {
            return;
        }
        drop(turn);
    }
}

/// One turn; tells whether there may be more to deliver.
async fn serve(core: &Core, shard: &Shard, id: Uuid) -> bool {
    let (destination, secret) = match core.store.destination_load(&core.vault, id).await {
        Ok(Some(found)) => found,
        // Deleted or switched off meanwhile.
        Ok(None) => return false,
        Err(error) => {
            failed(id, &error);
            return false;
        }
    };
    let upto = destination.cursor;
    let mut runner =
        Runner { core, shard, destination, began: Instant::now(), upto, taken: false, succeeded: false };
    let ended = match secret {
        Ok(secret) => match runner.page(&secret).await {
            Ok(more) => return more,
            Err(ended) => ended,
        },
        // Sealed with another key: its owner can give it a new secret.
        Err(error) => Ended::Refused(Refused { error: chain(&error), gone: false, retry_after: None }),
    };
    runner.end(ended).await;
    false
}

fn failed(id: Uuid, error: &Error) {
    warn!(destination.id = %id, "posting events to destination {id} stops for now: {}", chain(error));
}

struct Runner<'a> {
    core: &'a Core,
    shard: &'a Shard,
    destination: Destination,
    began: Instant,
    /// Everything up to here was taken, or was not wanted.
    upto: Place,
    /// Whether some was taken since that was saved.
    taken: bool,
    /// Whether some was taken in this turn.
    succeeded: bool,
}

impl Runner<'_> {
    /// Posts a page of events, as far as the turn goes; tells whether there may be more.
    async fn page(&mut self, secret: &str) -> Result<bool, Ended> {
        let user = self.destination.user_id.as_ref();
        let page = self.core.store.events_after(user, self.upto, PAGE).await.map_err(Ended::Store)?;
        if page.gap {
            let oldest = page.events.first().map_or(page.upto, |event| event.place);
            self.post_gap(secret, oldest).await?;
            // Told once. It is no success: who takes gaps only is switched off like who takes nothing.
            self.upto = page.events.first().map_or(page.upto, |event| event.place.before());
            self.save().await?;
        }
        for event in page.events {
            if self.destination.filter.wants(&event.kind, event.slug()) {
                if self.began.elapsed() >= TURN {
                    self.save().await?;
                    return Ok(true);
                }
                let body = event.json().map_err(Ended::Store)?;
                self.post(secret, &event.place.to_string(), body).await?;
                (self.taken, self.succeeded) = (true, true);
            }
            self.upto = event.place;
        }
        self.upto = page.upto;
        self.save().await?;
        Ok(page.more)
    }

    async fn save(&mut self) -> Result<(), Ended> {
        let Destination { id, revision, .. } = self.destination;
        let taken = std::mem::take(&mut self.taken);
        let (shard, store) = (self.shard, &self.core.store);
        let saved = store.destination_advance(id, revision, shard.id, shard.epoch, self.upto, taken).await;
        match saved.map_err(Ended::Store)? {
            Served::Written(()) => Ok(()),
            Served::Changed => Err(Ended::NotOurs),
            Served::NotOwner => {
                Counter::FencedWrites.add(&["events"]);
                Err(Ended::NotOurs)
            }
        }
    }

    async fn post_gap(&self, secret: &str, oldest: Place) -> Result<(), Ended> {
        let after = self.upto;
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
            by: secret.into(),
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

    async fn end(&mut self, ended: Ended) {
        // What was taken is kept, whatever came of the last one.
        if self.taken
            && let Err(Ended::Store(error)) = self.save().await
        {
            return failed(self.destination.id, &error);
        }
        match ended {
            Ended::NotOurs => {}
            Ended::Store(error) => failed(self.destination.id, &error),
            Ended::Refused(refused) => self.refused(refused).await,
        }
    }

    /// Notes the failure and when to try again; whoever asks for what is due finds it then.
    async fn refused(&self, refused: Refused) {
        let Destination { id, revision, attempts, .. } = self.destination;
        // A success on the way here began a new count.
        let before = if self.succeeded { 0 } else { attempts };
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
            Ok(Served::Written(true)) => {
                warn!(destination.id = %id, "destination {id} is switched off: {}", refusal.error);
            }
            Ok(Served::Written(false)) => info!(destination.id = %id, ?wait,
                "destination {id} did not take an event ({}); trying again in {wait:?}", refusal.error),
            // The next runner knows better.
            Ok(Served::Changed) => {}
            Ok(Served::NotOwner) => Counter::FencedWrites.add(&["events"]),
            Err(error) => failed(id, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use claw_store::{DestinationSettings, EventFilter, NewDestination};
    use claw_types::{Epoch, ShardId};

    use super::*;
    use crate::testing::{self, Bench};

    #[tokio::test]
    async fn what_a_former_owner_writes_is_counted_and_what_is_written_of_a_changed_destination_is_not() {
        let bench = Bench::new().await;
        let (core, actor) = (&bench.core, Actor::named("a test"));
        let settings = DestinationSettings {
            name: "statistics".to_owned(),
            url: "http://127.0.0.1:1/".to_owned(),
            filter: EventFilter::default(),
            enabled: true,
        };
        let new = NewDestination {
            id: core.ids.next(),
            user_id: None,
            shard: ShardId(3),
            settings: settings.clone(),
            secret: "whsec_AAAA".to_owned(),
        };
        let (made, _) = core.store.destination_create(&core.vault, &new, &actor, None).await.unwrap();
        let shard = bench.claimed(new.shard, Epoch(1)).await;
        let (upto, revision) = (made.cursor, made.revision);
        let mut runner = Runner {
            core,
            shard: &shard,
            destination: made,
            began: Instant::now(),
            upto,
            taken: false,
            succeeded: false,
        };
        let refused = || Refused { error: "it answered 500".to_owned(), gone: false, retry_after: None };

        assert!(runner.save().await.is_ok());
        core.store.destination_change(None, new.id, revision, &settings, &actor).await.unwrap();
        assert!(matches!(runner.save().await, Err(Ended::NotOurs)));
        runner.refused(refused()).await;
        assert_eq!(testing::fenced("events"), 0, "nobody else owns it");
        bench.claimed(new.shard, Epoch(2)).await;
        assert!(matches!(runner.save().await, Err(Ended::NotOurs)));
        assert_eq!(testing::fenced("events"), 1);
        runner.refused(refused()).await;
        assert_eq!(testing::fenced("events"), 2);
    }
}
