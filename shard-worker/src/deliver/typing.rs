//! Showing people that an answer is being written, from the moment the backend is told of their message until it sends
//! something, or for a time that is a setting; while an answer is read as it is written, until that ends.
//!
//! One task for all conversations of the worker, which looks twice a second at who is due: ten thousand that wait are ten
//! thousand entries of a map. An answer that comes at once is never announced. Whatever can't be shown now, because messages
//! need the platform's pace or too many calls are under way, is left out and not made up for. Nothing is stored: after a
//! restart or a move the sign is not shown again.
//!
//! Must hold: a message of a channel where nobody watches costs a look at the channel and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use claw_channels::ChannelError;
use claw_types::{ChannelId, ReplyTo, Work};
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::channels::Lookup;
use crate::channels::active::Active;
use crate::core::Core;
use crate::shard::Shard;

/// An answer that takes no longer is not announced.
const FIRST_AFTER: Duration = Duration::from_millis(700);
/// How often it is looked who is due.
const TICK: Duration = Duration::from_millis(500);
/// Calls under way at once.
const AT_ONCE: usize = 256;
/// A call that takes longer would show a sign that is late.
const CALL_LIMIT: Duration = Duration::from_secs(3);
/// A sign that something else ended is shown again after half of this at the latest.
const MOST_WAIT: Duration = Duration::from_secs(10);
/// Conversations that are remembered; more than this many people wait without a sign.
const MOST: usize = 100_000;

/// Who waits for an answer.
pub(crate) struct Typing {
    waiting: Mutex<Waiting>,
    /// Rung when somebody begins to wait.
    begun: Notify,
    limit: Duration,
}

#[derive(Default)]
struct Waiting {
    /// By channel and conversation.
    channels: HashMap<ChannelId, HashMap<String, Wait>>,
    /// How many conversations these are.
    count: usize,
}

struct Wait {
    shard: Weak<Shard>,
    /// The message, as stored: where the sign is shown is read only when it is.
    message: Arc<str>,
    every: Duration,
    due: Instant,
    until: Instant,
}

/// Somebody who is to be shown it now.
struct Due {
    shard: Arc<Shard>,
    channel: ChannelId,
    conversation: String,
    message: Arc<str>,
}

impl Typing {
    /// Nobody waits. Each will be shown it for at most `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { waiting: Mutex::default(), begun: Notify::new(), limit }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backend is about to be told of this message of this channel.
    pub(crate) fn begin(&self, active: &Active, shard: &Arc<Shard>, work: &Work) {
        let every = active.caps().typing_every.filter(|_| active.manners().typing && !self.limit.is_zero());
        if let Some(every) = every {
            self.wait(shard, work, every, Instant::now());
        }
    }

    /// Somebody reads the answer as the backend writes it: it is shown until that has `ended`, whatever the limit, and whatever
    /// else the conversation gets to read.
    pub(crate) async fn go_on(&self, shard: &Arc<Shard>, work: &Work, ended: &CancellationToken) {
        if self.limit.is_zero() {
            return;
        }
        while ended.run_until_cancelled(sleep(self.limit.min(MOST_WAIT) / 2)).await.is_some() {
            if !self.prolong(work, Instant::now())
                && let Lookup::Running(active) = shard.channels.lookup(work.channel_id)
            {
                self.begin(&active, shard, work);
            }
        }
    }

    /// Its time begins anew; `false` if nobody waits for it.
    fn prolong(&self, work: &Work, now: Instant) -> bool {
        let mut waiting = self.waiting();
        let chats = waiting.channels.get_mut(&work.channel_id);
        let wait = chats.and_then(|chats| chats.get_mut(&work.conversation));
        wait.map(|wait| wait.until = now + self.limit).is_some()
    }

    fn wait(&self, shard: &Arc<Shard>, work: &Work, every: Duration, now: Instant) {
        let wait = Wait {
            shard: Arc::downgrade(shard),
            message: work.payload.get().into(),
            every,
            due: now + FIRST_AFTER,
            until: now + self.limit,
        };
        let mut waiting = self.waiting();
        if waiting.count >= MOST {
            return;
        }
        let chats = waiting.channels.entry(work.channel_id).or_default();
        let is_new = chats.insert(work.conversation.clone(), wait).is_none();
        waiting.count += usize::from(is_new);
        drop(waiting);
        self.begun.notify_one();
    }

    /// The conversation of this message got something to read, or the backend does not work on it.
    pub(crate) fn end(&self, work: &Work) {
        self.forget(work.channel_id, &work.conversation);
    }

    fn forget(&self, channel: ChannelId, conversation: &str) {
        let mut waiting = self.waiting();
        let Some(chats) = waiting.channels.get_mut(&channel) else { return };
        let was_there = chats.remove(conversation).is_some();
        if chats.is_empty() {
            waiting.channels.remove(&channel);
        }
        waiting.count -= usize::from(was_there);
    }

    /// Who is to be shown it now; forgets who waited for too long, and whose shard is not ours any more.
    fn due(&self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        let (mut waiting, mut count) = (self.waiting(), 0);
        waiting.channels.retain(|channel, chats| {
            chats.retain(|conversation, wait| {
                let shard = wait.shard.upgrade().filter(|shard| !shard.stopping().is_cancelled());
                let Some(shard) = shard.filter(|_| now < wait.until) else { return false };
                if wait.due <= now {
                    wait.due = now + wait.every;
                    let (conversation, message) = (conversation.clone(), Arc::clone(&wait.message));
                    due.push(Due { shard, channel: *channel, conversation, message });
                }
                true
            });
            count += chats.len();
            !chats.is_empty()
        });
        waiting.count = count;
        due
    }
}

/// Runs until the worker stops.
pub(crate) async fn run(core: Arc<Core>) {
    let soft = core.lifecycle.soft().clone();
    let calls = Arc::new(Semaphore::new(AT_ONCE));
    let for_ever = async {
        loop {
            core.typing.begun.notified().await;
            while core.typing.waiting().count > 0 {
                sleep(TICK).await;
                show_all(&core, &calls);
            }
        }
    };
    soft.run_until_cancelled(for_ever).await;
}

fn show_all(core: &Arc<Core>, calls: &Arc<Semaphore>) {
    for due in core.typing.due(Instant::now()) {
        // The others have their next turn in some seconds.
        let Ok(place) = Arc::clone(calls).try_acquire_owned() else { return };
        let (core, shard) = (Arc::clone(core), Arc::clone(&due.shard));
        shard.spawn(async move {
            show(&core, &due).await;
            drop(place);
        });
    }
}

/// What is read of the message.
#[derive(Deserialize)]
struct Address {
    reply_to: Option<ReplyTo>,
    platform_message_id: Option<String>,
}

async fn show(core: &Core, due: &Due) {
    let address = serde_json::from_str::<Address>(&due.message).ok();
    let address = address.and_then(|address| Some((address.reply_to?, address.platform_message_id)));
    // Nobody waits for an answer to it.
    let Some((to, question)) = address else { return core.typing.forget(due.channel, &due.conversation) };
    let Lookup::Running(active) = due.shard.channels.lookup(due.channel) else { return };
    if !core.lease.holds() {
        return;
    }
    let typing = active.typing(&to.recipient, to.thread_id.as_deref(), question.as_deref());
    let shown = timeout(CALL_LIMIT, typing).await;
    if let Ok(Err(error)) = shown {
        debug!(channel.id = %due.channel, "typing was not shown: {error}");
        if matches!(error, ChannelError::Permanent(_) | ChannelError::Unsupported(_)) {
            core.typing.forget(due.channel, &due.conversation);
        }
    }
}

#[cfg(test)]
mod tests {
    use claw_types::{Epoch, ShardId};

    use super::*;
    use crate::testing;

    const EVERY: Duration = Duration::from_secs(4);

    fn work(conversation: &str) -> Work {
        Work { conversation: conversation.to_owned(), ..testing::work() }
    }

    fn chats(due: &[Due]) -> Vec<&str> {
        due.iter().map(|due| due.conversation.as_str()).collect()
    }

    #[test]
    fn it_is_shown_again_and_again_until_the_answer_or_the_limit() {
        let (typing, began) = (Typing::new(Duration::from_secs(10)), Instant::now());
        let shard = Arc::new(Shard::new(ShardId(0), Epoch(1)));
        typing.wait(&shard, &work("1"), EVERY, began);
        let at = |seconds| typing.due(began + Duration::from_secs(seconds));
        assert!(typing.due(began).is_empty(), "an answer that comes at once is not announced");
        assert_eq!(chats(&at(1)), ["1"]);
        assert!(at(3).is_empty(), "it still shows");
        assert_eq!(chats(&at(5)), ["1"]);
        typing.wait(&shard, &work("1"), EVERY, began + Duration::from_secs(5));
        assert_eq!(chats(&at(12)), ["1"], "another message begins anew");
        assert!(at(15).is_empty());
        assert!(typing.waiting().channels.is_empty(), "what is over takes no memory");
    }

    #[test]
    fn an_answer_ends_it_for_its_conversation_alone() {
        let (typing, began) = (Typing::new(Duration::from_mins(1)), Instant::now());
        let shard = Arc::new(Shard::new(ShardId(0), Epoch(1)));
        typing.wait(&shard, &work("1"), EVERY, began);
        typing.wait(&shard, &work("2"), EVERY, began);
        typing.end(&work("1"));
        assert_eq!(typing.waiting().count, 1);
        assert_eq!(chats(&typing.due(began + EVERY)), ["2"]);
    }

    #[test]
    fn nothing_is_shown_for_a_shard_that_is_given_away() {
        let (typing, began) = (Typing::new(Duration::from_mins(1)), Instant::now());
        let shard = Arc::new(Shard::new(ShardId(0), Epoch(1)));
        typing.wait(&shard, &work("1"), EVERY, began);
        shard.abort();
        assert!(typing.due(began + EVERY).is_empty());
        assert_eq!(typing.waiting().count, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn while_an_answer_is_read_it_is_shown_whatever_the_limit() {
        let (typing, ended) = (Typing::new(Duration::from_secs(4)), CancellationToken::new());
        let (shard, work) = (Arc::new(Shard::new(ShardId(0), Epoch(1))), work("1"));
        typing.wait(&shard, &work, EVERY, Instant::now());
        let looking = async {
            for _ in 0..20 {
                sleep(Duration::from_secs(1)).await;
                typing.due(Instant::now());
                assert_eq!(typing.waiting().count, 1);
            }
            ended.cancel();
        };
        tokio::join!(typing.go_on(&shard, &work, &ended), looking);
        assert!(typing.due(Instant::now() + Duration::from_secs(4)).is_empty());
    }
}
