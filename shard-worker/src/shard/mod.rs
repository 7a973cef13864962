//! One owned shard: its claim, its queue and what runs for it.

pub mod queue;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_types::{ChannelId, Epoch, ShardId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::queue::ShardQueue;
use crate::channels::Channels;
use crate::deliver::placeholder::Placeholders;

/// A shard that this worker holds.
pub struct Shard {
    /// Which one.
    pub id: ShardId,
    /// The claim; every write for the shard carries it.
    pub epoch: Epoch,
    /// Its channels.
    pub channels: Channels,
    /// When a person's message was last noted for a channel.
    pub(crate) inbound_seen: Throttle,
    /// What stands in its chats until an answer comes.
    pub(crate) placeholders: Placeholders,
    queue: Mutex<ShardQueue>,
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

impl Shard {
    /// Just claimed.
    pub fn new(id: ShardId, epoch: Epoch) -> Self {
        Self {
            id,
            epoch,
            channels: Channels::default(),
            inbound_seen: Throttle::default(),
            placeholders: Placeholders::default(),
            queue: Mutex::new(ShardQueue::new()),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// What waits in memory. Never held across an await.
    pub fn queue(&self) -> MutexGuard<'_, ShardQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancelled when nothing new may be begun for the shard.
    pub fn stopping(&self) -> &CancellationToken {
        &self.soft
    }

    /// Runs a task for the shard; it ends with the shard at the latest.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let hard = self.hard.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = hard.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Takes nothing new, lets what is in flight finish for at most `grace`, then ends it. Afterwards nothing acts
    /// for the shard any more.
    pub async fn stop(&self, grace: Duration) {
        self.soft.cancel();
        self.tasks.close();
        // What was cut off is done again by the next owner, under the same message id.
        drop(tokio::time::timeout(grace, self.tasks.wait()).await);
        self.hard.cancel();
        self.tasks.wait().await;
    }

    /// Ends everything at once: the lease is lost.
    pub fn abort(&self) {
        self.soft.cancel();
        self.hard.cancel();
        self.tasks.close();
    }
}

/// Lets something about a channel pass once in a while.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<ChannelId, Instant>>);

/// How often something passes for one channel.
const ONCE_IN: Duration = Duration::from_secs(5);

impl Throttle {
    /// Whether it is time again.
    pub(crate) fn due(&self, channel: ChannelId) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.get(&channel).is_none_or(|at| at.elapsed() >= ONCE_IN);
        if due {
            last.insert(channel, Instant::now());
        }
        due
    }
}
