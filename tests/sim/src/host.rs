//! A worker's process: the real placement and pipeline, on a runtime of its own whose clock we move.
//!
//! - A step lets it live for a tick of simulated time.
//! - A crash drops the runtime: every task ends where it stands.
//! - A freeze is that there is no step; afterwards its clock is moved by the time it missed, as a monotonic clock is.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_runtime::{Clock, Lifecycle, SeededRandom};
use claw_shard_worker::pipeline::Pipeline;
use claw_shard_worker::{placement, sweep};
use claw_types::ShardCount;
use tokio::runtime::{Builder, Runtime};

use crate::ports::Ports;
use crate::world::{HostId, Net};

/// The world's time of day, which begins in 1970: clocks that differ are left to other tests.
struct WorldClock(Net);

impl Clock for WorldClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.0.world().now
    }
}

/// A running worker.
pub struct Host {
    /// Its number.
    pub id: HostId,
    /// Its name in the cluster.
    pub name: String,
    runtime: Runtime,
    pipeline: Arc<Pipeline>,
    /// Time it has not lived through yet.
    missed: Duration,
}

impl Host {
    /// Starts it.
    ///
    /// # Errors
    /// When the runtime can't be made.
    pub fn start(net: &Net, id: HostId, name: &str, shards: ShardCount, seed: u64) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let ports = Arc::new(Ports::new(net.clone(), id, name.to_owned()));
        let lifecycle = Lifecycle::new();
        let random = Arc::new(SeededRandom::new(seed));
        let (log, road, acts) = (Arc::clone(&ports), Arc::clone(&ports), Arc::clone(&ports));
        let clock = Arc::new(WorldClock(net.clone()));
        let pipeline = Arc::new(Pipeline::new(name.to_owned(), log, road, acts, clock, random, &lifecycle));
        runtime.block_on(async {
            lifecycle.spawn("placement", placement::run(Arc::clone(&pipeline), ports, shards));
            lifecycle.spawn("sweep", sweep::run(Arc::clone(&pipeline)));
        });
        Ok(Self { id, name: name.to_owned(), runtime, pipeline, missed: Duration::ZERO })
    }

    /// Lives for a tick.
    pub fn step(&mut self, tick: Duration) {
        let missed = std::mem::take(&mut self.missed);
        self.runtime.block_on(async {
            if !missed.is_zero() {
                tokio::time::advance(missed).await;
            }
            tokio::time::sleep(tick).await;
        });
    }

    /// Time goes by without it.
    pub fn miss(&mut self, tick: Duration) {
        self.missed += tick;
    }

    /// What SIGTERM does.
    pub fn terminate(&self) {
        self.pipeline.lifecycle.shutdown();
    }

    /// What an operator's drain does.
    pub fn drain(&self, wanted: bool) {
        self.pipeline.drain_wanted.send_replace(wanted);
    }

    /// How many shards it holds.
    pub fn shards(&self) -> usize {
        self.pipeline.shards().len()
    }
}
