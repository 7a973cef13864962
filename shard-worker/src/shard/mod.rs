//! One owned shard: its claim, its queue and what runs for it.
//!
//! A shard ends in steps, because not everything may be cut off alike. What was begun may be done again by the next owner, but for a
//! call that sends a message: nobody but the platform knows whether it arrived. Must hold: with [`Shard::stop`], no message to a person
//! is dropped while it is being sent, or while it is written down what became of it; with [`Shard::abort`], everything is, at once, as
//! somebody else may own the shard already.
//!
//! A preview is no such message: its calls are cut off with the question that they belong to (`deliver/stream/preview.rs`). They change a
//! message that is there, or a draft, and the next owner, who asks again, puts another text in its place.

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
    claimed: Instant,
    queue: Mutex<ShardQueue>,
    soft: CancellationToken,
    hard: CancellationToken,
    last: CancellationToken,
    lost: CancellationToken,
    tasks: TaskTracker,
}

/// Within what time it is written down that it is not known what became of a send. A database that takes longer has most likely lost
/// us the lease, too.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Shard {
    /// Just claimed.
    pub fn new(id: ShardId, epoch: Epoch) -> Self {
        Self {
            id,
            epoch,
            channels: Channels::default(),
            inbound_seen: Throttle::default(),
            placeholders: Placeholders::default(),
            claimed: Instant::now(),
            queue: Mutex::new(ShardQueue::new()),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            last: CancellationToken::new(),
            lost: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// For how long it has been ours, at least: what was done before is not remembered here.
    pub(crate) fn owned_for(&self) -> Duration {
        self.claimed.elapsed()
    }

    /// What waits in memory. Never held across an await.
    pub fn queue(&self) -> MutexGuard<'_, ShardQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancelled when nothing new may be begun for the shard.
    pub fn stopping(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when what the next owner can do again must end.
    pub(crate) fn cutting(&self) -> &CancellationToken {
        &self.hard
    }

    /// Cancelled when a send that is still under way is not waited for any longer.
    pub(crate) fn giving_up(&self) -> &CancellationToken {
        &self.last
    }

    /// Runs a task for the shard; it ends with the shard at the latest.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.hard.clone(), task);
    }

    /// Runs a task that ends by itself soon after the shard is [`Shard::stopping`] and [`Shard::cutting`], but for a message to a person
    /// that is being sent: that ends when the platform has answered, or by [`Shard::giving_up`], and what became of it is written.
    pub(crate) fn spawn_sending(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.lost.clone(), task);
    }

    fn spawn_until(&self, end: CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Takes nothing new, lets what is in flight finish for at most `grace`, then ends it. Messages to people that are being sent, and
    /// the writing of what became of them, are waited for until `patience` ends; then what has no answer is written down as
    /// uncertain. Afterwards nothing acts for the shard any more.
    pub async fn stop(&self, grace: Duration, patience: impl Future<Output = ()>) {
        self.soft.cancel();
        self.tasks.close();
        // What was cut off is done again by the next owner, under the same message id.
        drop(tokio::time::timeout(grace, self.tasks.wait()).await);
        self.hard.cancel();
        tokio::select! {
            biased;
            () = self.tasks.wait() => return,
            () = patience => {}
        }
        self.last.cancel();
        drop(tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await);
        self.lost.cancel();
        self.tasks.wait().await;
    }

    /// Ends everything at once: the lease is lost.
    pub fn abort(&self) {
        // First, so that no send sees one of the others and has something to write yet.
        self.lost.cancel();
        self.soft.cancel();
        self.hard.cancel();
        self.tasks.close();
    }

    /// Until everything has ended that [`Shard::abort`] ended.
    pub async fn ended(&self) {
        self.tasks.wait().await;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const GRACE: Duration = Duration::from_secs(3);
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Whether what it is given to has ended by itself.
    #[derive(Clone, Default)]
    struct Ended(Arc<AtomicBool>);

    impl Ended {
        async fn after(self, task: impl Future<Output = ()>) {
            task.await;
            self.0.store(true, Ordering::Relaxed);
        }

        fn is_so(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn shard() -> Shard {
        Shard::new(ShardId(0), Epoch(1))
    }

    async fn stopped(shard: &Shard) -> Duration {
        let began = Instant::now();
        shard.stop(GRACE, async { tokio::time::sleep(PATIENCE).await }).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_under_way_is_waited_for_and_what_can_be_repeated_is_cut_off() {
        let (shard, sent, repeated) = (shard(), Ended::default(), Ended::default());
        shard.spawn_sending(sent.clone().after(tokio::time::sleep(Duration::from_secs(6))));
        shard.spawn(repeated.clone().after(tokio::time::sleep(Duration::from_secs(4))));
        let took = stopped(&shard).await;
        assert_eq!((sent.is_so(), repeated.is_so(), took.as_secs()), (true, false, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_for_too_long_hears_of_it_before_the_shard_is_given_back() {
        let (shard, told) = (Arc::new(shard()), Ended::default());
        let owner = Arc::clone(&shard);
        shard.spawn_sending(told.clone().after(async move { owner.giving_up().cancelled().await }));
        let took = stopped(&shard).await;
        assert_eq!((told.is_so(), took), (true, GRACE + PATIENCE));
        // And who does not listen holds nobody up for ever.
        let deaf = self::shard();
        deaf.spawn_sending(std::future::pending());
        assert_eq!(stopped(&deaf).await, GRACE + PATIENCE + LAST_WORDS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_ends_sends_at_once() {
        let (shard, sent) = (shard(), Ended::default());
        shard.spawn_sending(sent.clone().after(tokio::time::sleep(Duration::from_millis(1))));
        let began = Instant::now();
        shard.abort();
        shard.ended().await;
        assert_eq!((sent.is_so(), began.elapsed()), (false, Duration::ZERO));
    }
}
