//! Which shards are ours: membership, claims, hand-over; the owner of the lease connection.
//!
//! Twice a second (or as soon as somebody says that the membership changed): heartbeat, look who is alive, compute by
//! rendezvous hashing what is ours (`plan`), give back what is not any more, claim what is free (`holder`). Nobody
//! assigns.
//!
//! Must hold: whatever goes wrong with the lease connection, everything that runs for our shards stops first, and
//! only then is a new one opened. The local deadline (2 s after the last heartbeat that was answered was *sent*) lies
//! before the moment at which others may take over (2.5 s after it, `claw_types::placement`), and is asked before every act
//! that others can see; so a process that was frozen finds it expired before it does anything.

mod holder;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::Backoff;
use claw_store::{Error, chain};
use claw_types::ShardCount;
use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, warn};

use self::holder::Holder;
use crate::pipeline::Pipeline;
use crate::ports::{LeaseConnection, Leases};

/// As long as something that is ours is not free yet; for [`SOON`].
const EVERY_SOON: Duration = Duration::from_millis(150);
/// How long to look that often.
const SOON: Duration = Duration::from_secs(5);
/// A call on the lease connection that takes longer than this counts as failed, in time to stop before the deadline.
const CALL_LIMIT: Duration = Duration::from_millis(1500);
/// What is in flight may finish for this long when a shard is handed over.
const HAND_OVER: Duration = Duration::from_secs(3);
/// A send that is under way then is waited for this much longer, which is more than an ordinary platform call may take; then its
/// outcome is uncertain. The shard's other conversations wait as long, so it is not as long as the largest upload may take.
const SENDS: Duration = Duration::from_secs(60);
/// When the process stops, it is waited for until this long after that: the rest of its grace (25 s) is for writing down what became of it.
const SENDS_AT_EXIT: Duration = Duration::from_secs(18);
/// So many shards are in motion at once.
const IN_MOTION: usize = 16;
/// When leaving takes longer than this, the rest goes all at once.
const LEAVE_GENTLY: Duration = Duration::from_secs(10);
/// News that come closer together than this are looked into together.
const COALESCE: Duration = Duration::from_millis(20);
/// Connecting may take this long.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// The name of a process that crashed is free again within this.
const NAME_LIMIT: Duration = Duration::from_secs(12);

/// Holds the lease until the worker stops; then hands everything over.
pub async fn run(pipeline: Arc<Pipeline>, leases: Arc<dyn Leases>, shards: ShardCount) {
    let mut failed = 0;
    let mut name_taken: Option<Instant> = None;
    while !pipeline.lifecycle.soft().is_cancelled() {
        match open(&*leases).await {
            Ok(lease) => {
                (failed, name_taken) = (0, None);
                let mut holder = Holder::new(&pipeline, lease, shards, listen_for_members(&pipeline));
                if let Err(error) = holder.hold().await {
                    error!("the lease is lost, stopping everything: {}", chain(&error));
                    holder.drop_everything().await;
                    continue;
                }
                holder.leave().await;
                return;
            }
            Err(error @ Error::NameTaken(_))
                if name_taken.get_or_insert_with(Instant::now).elapsed() > NAME_LIMIT =>
            {
                pipeline.lifecycle.fail(error.to_string());
                return;
            }
            Err(error) => {
                failed += 1;
                warn!("can't take the lease: {}", chain(&error));
                let wait = Backoff::RECONNECT.wait(failed, &*pipeline.random).unwrap_or_default();
                // Ends early when the process stops.
                drop(tokio::time::timeout(wait, pipeline.lifecycle.soft().cancelled()).await);
            }
        }
    }
}

async fn open(leases: &dyn Leases) -> Result<Box<dyn LeaseConnection>, Error> {
    let opened = tokio::time::timeout(OPEN_LIMIT, leases.open()).await;
    opened.unwrap_or_else(|_| Err(Error::NotCommitted("the database did not answer within 5 s".to_owned())))
}

/// Rings when a member says that something changed; the returned bell outlives a NATS that is away.
fn listen_for_members(pipeline: &Arc<Pipeline>) -> Arc<Notify> {
    let bell = Arc::new(Notify::new());
    let (weak, road, soft) = (Arc::downgrade(&bell), Arc::clone(&pipeline.road), pipeline.lifecycle.soft());
    pipeline.lifecycle.spawn("members", async move {
        while let Ok(mut members) = road.members().await {
            loop {
                let news = tokio::select! {
                    biased;
                    () = soft.cancelled() => return,
                    news = members.next() => news,
                };
                let Some(bell) = weak.upgrade() else { return };
                bell.notify_one();
                if news.is_none() {
                    break;
                }
            }
        }
    });
    bell
}
