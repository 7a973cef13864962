//! One conversation within a shard's window.

use std::collections::VecDeque;
use std::sync::Arc;

use claw_store::Pending;
use claw_types::{ChannelId, Direction, MessageId, UserId, Work};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A conversation's key within the shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneKey {
    /// The channel.
    pub channel: ChannelId,
    /// Which way.
    pub direction: Direction,
    /// The conversation.
    pub conversation: String,
}

impl LaneKey {
    /// The lane that a message belongs to.
    pub fn of(work: &Work) -> Self {
        Self { channel: work.channel_id, direction: work.direction, conversation: work.conversation.clone() }
    }

    /// The lane that what lies at a place belongs to.
    pub(super) fn of_place(place: &Pending) -> Self {
        Self {
            channel: place.channel_id,
            direction: place.direction,
            conversation: place.conversation.clone(),
        }
    }
}

/// What a lane's runner is to do next.
#[derive(Debug)]
pub enum Next {
    /// Attempt this message.
    Attempt(Box<Work>),
    /// Attempt these together, in order: what one person wrote in a burst, maybe one message.
    Burst(Vec<Work>),
    /// Nothing until then.
    WaitUntil(Instant),
    /// A burst may not be over: nothing until then, or until there is news of the lane.
    Gather {
        /// When it is over at the latest.
        until: Instant,
        /// Rung for news.
        news: Arc<Notify>,
    },
    /// Read the lane's messages past this place from the database, at most this many, and call
    /// [`ShardQueue::loaded`](super::ShardQueue::loaded).
    Load {
        /// The place.
        after: i64,
        /// How many at most.
        limit: usize,
    },
    /// The lane is empty and gone: end.
    Finished,
}

/// One conversation's messages, as far as they are in memory.
#[derive(Debug)]
pub(super) struct Lane {
    /// Whose channel it is.
    pub(super) user: UserId,
    pub(super) works: VecDeque<Work>,
    pub(super) not_before: Option<Instant>,
    /// Where it goes has asked to be left alone until then: it is not woken before.
    pub(super) held_until: Option<Instant>,
    /// Pending messages past this place are only in the database.
    pub(super) more_after: Option<i64>,
    /// The same of those that were left to the database since the last load began.
    pub(super) left_since_load: Option<i64>,
    /// The place of the last message that was taken into memory.
    pub(super) last_seq: i64,
    /// It is in the reserve, not in the window.
    pub(super) beside: bool,
    /// Its first message waits for another attempt, or for more of its burst.
    pub(super) waiting: bool,
    /// How many of its first messages are attempted right now.
    pub(super) in_flight: usize,
    /// Of a burst that may not be over, and of what waits only while it is alone: rung when something changes.
    pub(super) news: Option<Arc<Notify>>,
    /// The burst for which the lane was read again, from its beginning.
    pub(super) reread: Option<MessageId>,
}

impl Lane {
    /// An empty one.
    pub(super) fn new(user: UserId) -> Self {
        Self {
            user,
            works: VecDeque::new(),
            not_before: None,
            held_until: None,
            more_after: None,
            left_since_load: None,
            last_seq: 0,
            beside: false,
            waiting: false,
            in_flight: 0,
            news: None,
            reread: None,
        }
    }

    /// One in the reserve, which reads its conversation from the beginning.
    pub(super) fn beside(user: UserId) -> Self {
        Self { more_after: Some(0), beside: true, ..Self::new(user) }
    }

    /// The database keeps what is past this place, also what arrives late: the lane's next load begins there.
    pub(super) fn leave(&mut self, before: i64) {
        let more_after = self.more_after.unwrap_or(self.last_seq);
        self.more_after = Some(more_after.min(before));
        self.left_since_load = Some(self.left_since_load.map_or(before, |left| left.min(before)));
        self.tell();
    }

    /// Whether a load that is still to begin reads what is pending at this place now: each reads all that is past `more_after`, or
    /// says where the next one goes on. One that is under way may have begun before that was committed. A lane is read only
    /// while it has nothing in memory.
    pub(super) fn will_read(&self, seq: i64) -> bool {
        !self.works.is_empty() && self.more_after.is_some_and(|after| after < seq)
    }

    /// Something changed that who gathers a burst, or waits only while it is alone, has to look at.
    pub(super) fn tell(&self) {
        if let Some(news) = &self.news {
            news.notify_one();
        }
    }
}
