//! The real world: Postgres and NATS.

use std::result::Result as StdResult;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use claw_bus::{Bus, Numbered};
use claw_store::{Claimed, Lease, Look, Member, MessageWriter, Peer, Pending, Result, Settlement, Store};
use claw_types::{ShardId, Work};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::{LeaseConnection, Leases, Log, Road};
use crate::shard::queue::LaneKey;

/// Lease connections to Postgres.
pub(crate) struct Postgres {
    url: String,
    member: Member,
    /// Which of the server's processes served the last one.
    last: Mutex<Option<i32>>,
}

impl Postgres {
    pub(crate) fn new(url: String, member: Member) -> Self {
        Self { url, member, last: Mutex::default() }
    }

    fn last(&self) -> MutexGuard<'_, Option<i32>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Leases for Postgres {
    async fn open(&self) -> Result<Box<dyn LeaseConnection>> {
        let before = *self.last();
        let lease = Lease::open_again(&self.url, self.member.clone(), before).await?;
        *self.last() = Some(lease.backend());
        Ok(Box::new(lease))
    }
}

#[async_trait]
impl LeaseConnection for Lease {
    async fn heartbeat(&mut self) -> Result<Vec<Peer>> {
        Self::heartbeat(self).await
    }

    async fn claim(&mut self, shards: &[ShardId]) -> Result<Vec<Claimed>> {
        Self::claim(self, shards).await
    }

    async fn release(&mut self, shards: &[ShardId]) -> Result<()> {
        Self::release(self, shards).await
    }

    async fn break_frozen(&mut self, shards: &[ShardId]) -> Result<usize> {
        Self::break_frozen(self, shards).await
    }

    async fn set_draining(&mut self, draining: bool) -> Result<()> {
        Self::set_draining(self, draining).await
    }

    async fn close(self: Box<Self>) -> Result<()> {
        Self::close(*self).await
    }
}

/// Messages in Postgres.
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) writer: MessageWriter,
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[async_trait]
impl Log for Database {
    async fn high_water(&self) -> Result<i64> {
        self.store.messages_high_water().await
    }

    async fn pending(&self, looks: &[Look], limit: usize) -> Result<Vec<(Work, f64)>> {
        self.store.messages_pending_pages(looks, rows(limit)).await
    }

    async fn places(&self, looks: &[Look], limit: usize) -> Result<Vec<Pending>> {
        self.store.messages_pending_places(looks, rows(limit)).await
    }

    async fn pending_in(&self, lane: &LaneKey, after: i64, limit: usize) -> Result<Vec<Work>> {
        let LaneKey { channel, direction, conversation } = lane;
        self.store.messages_pending_in(*channel, *direction, conversation, after, rows(limit)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<bool> {
        self.writer.settle(settlement).await
    }
}

#[async_trait]
impl Road for Bus {
    async fn work(&self, shard: ShardId) -> StdResult<BoxStream<'static, Numbered>, claw_bus::Error> {
        let subscription = self.subscribe_work(shard).await?;
        let next = async |mut from: claw_bus::Subscription| Some((from.next().await?, from));
        Ok(stream::unfold(subscription, next).boxed())
    }

    async fn members(&self) -> StdResult<BoxStream<'static, ()>, claw_bus::Error> {
        let frames = self.subscribe_members().await?;
        let next = async |mut from: claw_bus::Frames| from.next().await.map(|_| ((), from));
        Ok(stream::unfold(frames, next).boxed())
    }

    async fn tell_members(&self) {
        self.publish_members_changed().await;
    }

    async fn flush(&self) {
        // Whether it was confirmed only matters for how early news come.
        let _confirmed = Self::flush(self).await;
    }
}
