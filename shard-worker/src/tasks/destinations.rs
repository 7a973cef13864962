//! Which event destinations of our shards have something to get: one question to the database for all of them, and a
//! runner for each that has. A destination without news costs nothing but its part of that question. A runner that waits
//! for its turn holds nothing but its name.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claw_store::{Due, chain};
use claw_types::Epoch;
use tokio::time::MissedTickBehavior;
use tracing::warn;
use uuid::Uuid;

use crate::core::Core;
use crate::deliver::events;

/// How often is asked.
const EVERY: Duration = Duration::from_millis(500);

/// A destination and under which claim it is served: a former claim's runner does not stand in the way of a new one.
type Served = (Uuid, Epoch);

/// What has a runner.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<HashSet<Served>>>);

/// Out of the set when the runner ends, however it ends.
struct Place(Running, Served);

impl Running {
    fn take(&self, served: Served) -> Option<Place> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(served);
        fresh.then(|| Place(self.clone(), served))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Runs until the worker stops.
pub(crate) async fn run(core: Arc<Core>) {
    let (soft, running) = (core.lifecycle.soft(), Running::default());
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = soft.cancelled() => return,
        }
        if let Err(error) = start(&core, &running).await {
            warn!("looking for events to post failed: {}", chain(&error));
        }
    }
}

async fn start(core: &Arc<Core>, running: &Running) -> claw_store::Result<()> {
    let shards: Vec<_> = core.shards().iter().map(|shard| shard.id).collect();
    if shards.is_empty() {
        return Ok(());
    }
    for Due { id, user_id, shard } in core.store.destinations_due(&shards).await? {
        let Some(shard) = core.shard(shard).filter(|shard| !shard.stopping().is_cancelled()) else {
            continue;
        };
        if let Some(place) = running.take((id, shard.epoch)) {
            let (core, owner) = (Arc::clone(core), Arc::clone(&shard));
            shard.spawn(async move {
                events::deliver(&core, &owner, id, user_id).await;
                drop(place);
            });
        }
    }
    Ok(())
}
