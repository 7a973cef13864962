//! What one shard has in memory: a lane for each conversation, worked off in order, one message in flight.
//!
//! Pure: no I/O, no clock of its own, so that its rules can be tested and simulated. The database is the queue; this
//! is a bounded window on it. Messages come in two ways, by NATS at once and by sweeps of the database:
//!
//! - **Normal**: what NATS brings is queued. A pass over the database every second finds what a lost publish left
//!   behind; it looks only past the `floor`, the place up to which everything is known to be accounted for.
//! - **Catching up** (after a claim, after a gap in a publisher's numbers, when the window was full): what NATS
//!   brings is left to the sweep, which reads the shard in order. Otherwise a new message could overtake an older
//!   one of its conversation that is only in the database.
//!
//! A message says which ones of its conversation were pending before it. One that is not known was published by somebody
//! else and is late or lost: that conversation alone is read from the database.
//!
//! A message that had ended may be set back to work. It comes with a new place, past the floor, and with a higher
//! count of retries; by that it is told from a late word of the time before.
//!
//! Must hold: a pending message of the shard is in a lane, or its lane says that there is more in the database past
//! a place before it, or it lies past the floor. Whatever is dropped here is still in the database.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use claw_types::{ChannelId, Direction, MessageId, Work};
use tokio::time::Instant;

/// Messages in memory for one shard; past it, the sweep waits.
const SHARD_WINDOW: usize = 2_000;
/// Messages in memory for one conversation; past it, the lane reads on from the database.
const LANE_WINDOW: usize = 32;
/// Transactions are shorter than this (statements time out at 10 s): what was given a place longer ago than this and
/// is visible now was visible then to a sweep that looked.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// How often a pass begins at the very beginning: what somebody set back to pending by hand is found.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);
/// Done messages are remembered at least this long, and a publish is never later.
const REMEMBER: Duration = Duration::from_secs(60);

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
}

/// What a lane's runner is to do next.
#[derive(Debug)]
pub enum Next {
    /// Attempt this message.
    Attempt(Box<Work>),
    /// Nothing until then.
    WaitUntil(Instant),
    /// Read the lane's messages past this place from the database, at most this many, and call
    /// [`ShardQueue::loaded`].
    Load {
        /// The place.
        after: i64,
        /// How many at most.
        limit: usize,
    },
    /// The lane is empty and gone: end.
    Finished,
}

#[derive(Debug, Default)]
struct Lane {
    works: VecDeque<Work>,
    not_before: Option<Instant>,
    /// Pending messages past this place are only in the database.
    more_after: Option<i64>,
    /// The same of those that were left to the database since the last load began.
    left_since_load: Option<i64>,
    /// The place of the last message that was taken into memory.
    last_seq: i64,
}

impl Lane {
    /// The database keeps what is past this place, also what arrives late: the lane's next load begins there.
    fn leave(&mut self, before: i64) {
        let more_after = self.more_after.unwrap_or(self.last_seq);
        self.more_after = Some(more_after.min(before));
        self.left_since_load = Some(self.left_since_load.map_or(before, |left| left.min(before)));
    }
}

/// The window on one shard.
#[derive(Debug)]
pub struct ShardQueue {
    lanes: HashMap<LaneKey, Lane>,
    known: HashSet<MessageId>,
    done: Recent,
    catching_up: bool,
    left_since_page: bool,
    floor: i64,
    looked_at_all: Option<Instant>,
    pass: Option<i64>,
    completed: VecDeque<(Instant, i64)>,
    pass_began: Option<(Instant, i64)>,
}

/// Remembers ids, each with the retries it had, for [`REMEMBER`] to twice that.
#[derive(Debug, Default)]
struct Recent {
    young: HashMap<MessageId, u32>,
    old: HashMap<MessageId, u32>,
    turned: Option<Instant>,
}

impl Recent {
    fn insert(&mut self, work: &Work, now: Instant) {
        if self.turned.is_none_or(|turned| now.duration_since(turned) >= REMEMBER) {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
        self.young.insert(work.id, work.retries);
    }

    fn has(&self, id: MessageId) -> bool {
        [&self.young, &self.old].iter().any(|done| done.contains_key(&id))
    }

    /// Whether it is done, unless it was set back to work since.
    fn contains(&self, work: &Work) -> bool {
        [&self.young, &self.old].iter().any(|done| done.get(&work.id).is_some_and(|n| *n >= work.retries))
    }
}

impl Default for ShardQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl ShardQueue {
    /// A shard that was just claimed: it has everything to catch up on.
    pub fn new() -> Self {
        Self {
            lanes: HashMap::new(),
            known: HashSet::new(),
            done: Recent::default(),
            catching_up: true,
            left_since_page: false,
            floor: 0,
            looked_at_all: None,
            pass: None,
            completed: VecDeque::new(),
            pass_began: None,
        }
    }

    /// A message that NATS or this process itself brought. Answers the lane to start a runner for, if any.
    pub fn offer(&mut self, work: Work) -> Option<LaneKey> {
        if self.is_known(&work) {
            return None;
        }
        if self.catching_up || self.known.len() >= SHARD_WINDOW {
            self.leave_to_sweep();
            return None;
        }
        self.put(work, None)
    }

    /// Something was published that did not arrive, or was not taken: the sweep has to find it.
    pub fn leave_to_sweep(&mut self) {
        self.catching_up = true;
        self.left_since_page = true;
    }

    /// Whether this shard waits for a sweep and has room for what it finds.
    pub fn wants_sweep(&self) -> bool {
        (self.catching_up || self.pass.is_some()) && self.has_room()
    }

    /// Whether the sweep may bring more.
    pub fn has_room(&self) -> bool {
        self.known.len() < SHARD_WINDOW / 2
    }

    /// Begins a page of the present pass, or a new pass. `high` is the highest place given before this page is read.
    /// Answers the place to read from.
    pub fn begin_page(&mut self, high: i64, now: Instant) -> i64 {
        self.left_since_page = false;
        if let Some(from) = self.pass {
            return from;
        }
        let all = self.looked_at_all.is_none_or(|at| now.duration_since(at) >= LOOK_AT_ALL);
        if all {
            self.looked_at_all = Some(now);
        }
        self.pass_began = Some((now, high));
        let from = if all { 0 } else { self.floor };
        self.pass = Some(from);
        from
    }

    /// The pending messages that were read, in order, with the time until each is due; `full` when there may be more
    /// behind them. Answers the lanes to start runners for.
    pub fn end_page(&mut self, works: Vec<(Work, Duration)>, full: bool, now: Instant) -> Vec<LaneKey> {
        let last = works.last().map(|(work, _)| work.seq);
        let mut start = Vec::new();
        for (work, due_in) in works {
            if !self.is_known(&work) {
                start.extend(self.put(work, (!due_in.is_zero()).then(|| now + due_in)));
            }
        }
        if full {
            self.pass = last.or(self.pass);
        } else {
            self.pass = None;
            self.catching_up = self.left_since_page;
            self.completed.extend(self.pass_began.take());
            self.raise_floor(now);
        }
        start
    }

    fn raise_floor(&mut self, now: Instant) {
        while let Some((at, high)) = self.completed.front().copied() {
            if now.duration_since(at) < SETTLED_AFTER {
                break;
            }
            self.floor = self.floor.max(high);
            self.completed.pop_front();
        }
    }

    fn is_known(&self, work: &Work) -> bool {
        self.known.contains(&work.id) || self.done.contains(work)
    }

    /// Puts a message into its lane, or leaves it to the lane's next load.
    fn put(&mut self, work: Work, not_before: Option<Instant>) -> Option<LaneKey> {
        let key = LaneKey::of(&work);
        let missed = work.ahead.iter().any(|id| !self.known.contains(id) && !self.done.has(*id));
        let (lane, new) = match self.lanes.get_mut(&key) {
            Some(lane) => (lane, false),
            None => (self.lanes.entry(key.clone()).or_default(), true),
        };
        if missed || lane.more_after.is_some() || lane.works.len() >= LANE_WINDOW {
            // Where the missed one lies is not known.
            lane.leave(if missed { 0 } else { work.seq - 1 });
            return new.then_some(key);
        }
        if lane.works.is_empty() {
            lane.not_before = not_before;
        }
        lane.last_seq = lane.last_seq.max(work.seq);
        self.known.insert(work.id);
        // A publish may arrive behind a later one of the same conversation.
        let at = lane.works.iter().rposition(|before| before.seq < work.seq || before.attempts > 0);
        let in_flight = usize::from(!new && !lane.works.is_empty());
        lane.works.insert(at.map_or(0, |at| at + 1).max(in_flight), work);
        new.then_some(key)
    }

    /// What the lane's one runner is to do.
    pub fn next(&mut self, key: &LaneKey, now: Instant) -> Next {
        let Some(lane) = self.lanes.get_mut(key) else { return Next::Finished };
        if let Some(work) = lane.works.front() {
            return match lane.not_before {
                Some(at) if at > now => Next::WaitUntil(at),
                _ => Next::Attempt(Box::new(work.clone())),
            };
        }
        if let Some(after) = lane.more_after {
            lane.left_since_load = None;
            return Next::Load { after, limit: LANE_WINDOW };
        }
        self.lanes.remove(key);
        Next::Finished
    }

    /// What [`Next::Load`] found, in order; `full` when there may be more behind.
    pub fn loaded(&mut self, key: &LaneKey, works: Vec<Work>, full: bool) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let last = works.last().map(|work| work.seq);
        for work in works {
            lane.last_seq = lane.last_seq.max(work.seq);
            if !self.done.contains(&work) && self.known.insert(work.id) {
                lane.works.push_back(work);
            }
        }
        lane.not_before = None;
        let unread = last.filter(|_| full);
        lane.more_after =
            lane.left_since_load.map(|left| left.min(lane.last_seq)).into_iter().chain(unread).min();
    }

    /// The lane's first message is finished, one way or another.
    pub fn finished(&mut self, key: &LaneKey, now: Instant) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if let Some(work) = lane.works.pop_front() {
            self.known.remove(&work.id);
            self.done.insert(&work, now);
        }
        lane.not_before = None;
    }

    /// The lane's first message is to be tried again at `at`, as `work` says. The rest of the lane leaves the memory
    /// meanwhile: a destination that is away for a day must not fill the window.
    pub fn retry(&mut self, key: &LaneKey, work: Work, at: Instant) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let mut more_after = lane.more_after;
        for later in lane.works.drain(..).skip(1) {
            self.known.remove(&later.id);
            // One that arrived late stands behind this one, but has a lower place.
            more_after = Some(more_after.map_or(later.seq - 1, |after| after.min(later.seq - 1)));
        }
        lane.more_after = more_after.map(|after| after.min(work.seq));
        lane.last_seq = work.seq;
        lane.not_before = Some(at);
        lane.works.push_back(work);
    }

    /// Whether a message is in memory.
    pub fn holds(&self, id: MessageId) -> bool {
        self.known.contains(&id)
    }
}

#[cfg(test)]
mod tests;
