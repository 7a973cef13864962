//! What the pipeline needs of the world, as traits: the lease connection, the stored messages, NATS, and what is done to
//! the backend and the platforms. `live` is the real one; the simulation (`tests/sim`) has its own.

mod live;

use std::result::Result as StdResult;
use std::sync::Arc;

use async_trait::async_trait;
use claw_bus::Numbered;
use claw_runtime::Backoff;
use claw_store::{Claimed, Look, Peer, Pending, Result, Settlement};
use claw_types::{Direction, ShardId, UserId, Work};
use futures::stream::BoxStream;

pub(crate) use self::live::{Database, Postgres};
use crate::deliver::Attempt;
use crate::pipeline::Pipeline;
use crate::shard::Shard;
use crate::shard::queue::LaneKey;

/// Opens the lease connection.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Connects under this worker's name.
    ///
    /// # Errors
    /// [`claw_store::Error::NameTaken`] when a live process has the name; otherwise when the database fails.
    async fn open(&self) -> Result<Box<dyn LeaseConnection>>;
}

/// The lease connection; each call is described at [`claw_store::Lease`].
#[async_trait]
#[expect(missing_docs, reason = "as those of claw_store::Lease")]
pub trait LeaseConnection: Send {
    async fn heartbeat(&mut self) -> Result<Vec<Peer>>;
    async fn claim(&mut self, shards: &[ShardId]) -> Result<Vec<Claimed>>;
    async fn release(&mut self, shards: &[ShardId]) -> Result<()>;
    async fn break_frozen(&mut self, shards: &[ShardId]) -> Result<usize>;
    async fn set_draining(&mut self, draining: bool) -> Result<()>;
    async fn close(self: Box<Self>) -> Result<()>;
}

/// The stored messages.
#[async_trait]
pub trait Log: Send + Sync {
    /// The highest place that was given so far.
    ///
    /// # Errors
    /// When the database fails, as with the other calls.
    async fn high_water(&self) -> Result<i64>;

    /// The pending messages of each page, in order, at most `limit` of each, with the seconds until each is due.
    ///
    /// # Errors
    /// When the database fails.
    async fn pending(&self, looks: &[Look], limit: usize) -> Result<Vec<(Work, f64)>>;

    /// As `pending`, without what the messages say.
    ///
    /// # Errors
    /// When the database fails.
    async fn places(&self, looks: &[Look], limit: usize) -> Result<Vec<Pending>>;

    /// The pending messages of one conversation behind a place, in order.
    ///
    /// # Errors
    /// When the database fails.
    async fn pending_in(&self, lane: &LaneKey, after: i64, limit: usize) -> Result<Vec<Work>>;

    /// Writes what became of a message; `false` when the claim it carries is not the newest one.
    ///
    /// # Errors
    /// When it is not known to be written.
    async fn settle(&self, settlement: Settlement) -> Result<bool>;
}

/// NATS: it makes everything earlier, and nothing depends on it.
#[async_trait]
pub trait Road: Send + Sync {
    /// The accepted messages of a shard, from now on; it ends when the connection is closed for good.
    ///
    /// # Errors
    /// When it can't be listened to.
    async fn work(&self, shard: ShardId) -> StdResult<BoxStream<'static, Numbered>, claw_bus::Error>;

    /// Changes of the membership, from now on; it ends when some may have been lost.
    ///
    /// # Errors
    /// When it can't be listened to.
    async fn members(&self) -> StdResult<BoxStream<'static, ()>, claw_bus::Error>;

    /// Tells workers to look at the membership again.
    async fn tell_members(&self);

    /// Waits a moment until what was asked of it has been done: subscriptions stand after this.
    async fn flush(&self);
}

/// What is done to the outside for a shard that is ours.
#[async_trait]
pub trait Acts: Send + Sync {
    /// Runs the shard's channels until it is stopping.
    async fn attend(&self, pipeline: &Arc<Pipeline>, shard: Arc<Shard>);

    /// One attempt at a message; what it learned is put into `work`.
    async fn attempt(&self, pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, work: &mut Work) -> Attempt;

    /// Until what waits in this user's conversation need not wait on, because where it goes is well again, or somebody has to find
    /// out whether it is. Unless that is known of anything, what waits does so until its time.
    async fn recovered(&self, _user: &UserId, _lane: &LaneKey) {
        std::future::pending::<()>().await;
    }

    /// What becomes of a message that waits behind others, when nobody wants it any more; `None` when that is not known.
    fn outlived(&self, _shard: &Shard, _work: &Work) -> Option<Attempt> {
        None
    }

    /// When failed attempts are repeated: a send ends by its time to live, a webhook by the number of its attempts.
    fn schedule(&self, direction: Direction) -> Backoff {
        match direction {
            Direction::In => Backoff::MESSAGE,
            Direction::Out => Backoff::SEND,
        }
    }
}
