//! What one shard has in memory: a lane for each conversation, worked off in order, one message in flight.
//!
//! Pure: no I/O, no clock of its own, so that its rules can be tested and simulated. The database is the queue; this
//! is a bounded window on it. Messages come in two ways, by NATS at once and by sweeps of the database:
//!
//! - **Normal**: what NATS brings is queued. A pass over the database every second finds what a lost publish left
//!   behind; it looks only past the `floor`, the place up to which everything is known to be accounted for.
//! - **Catching up** (after a claim, after a gap in a publisher's numbers, when the window was full): the sweep reads
//!   the shard in order. What NATS brings is not queued itself, or it could overtake an older message of its
//!   conversation that is only in the database.
//!
//! A backlog must not delay the conversations that have no part in it. While catching up, and with a full window, a
//! message of a conversation in which nothing was pending gets a lane in a small reserve all the same, and one whose
//! conversation has a lane goes with that. Both are read from the database, from the conversation's beginning: what was
//! accepted in the same statement as a message, or by another gateway at that moment, it does not know to be ahead.
//!
//! One tenant has no more than a share of the window; what else it has waits in the database and is read by itself
//! (`tenants`). Conversations that wait for another attempt don't count, up to a bound.
//!
//! A message says which ones of its conversation were pending before it. One that is not known was published by somebody
//! else and is late or lost: that conversation alone is read from the database.
//!
//! What one person writes in a burst may go together (`burst`): then a lane has several messages in flight, as one.
//!
//! A message that had ended may be set back to work. It comes with a new place, past the floor, and with a higher
//! count of retries; by that it is told from a late word of the time before.
//!
//! Neither is known whether a word of a message that comes very late is news: that is read from the database, too (`recent`).
//!
//! Must hold: a pending message of the shard is in a lane, or its lane or its tenant says that there is more in the
//! database past a place before it, or it lies past the floor. Whatever is dropped here is still in the database.

mod burst;
mod census;
mod lane;
mod recent;
mod runner;
mod tenants;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use claw_store::Pending;
use claw_types::{MessageId, UserId, Work};
use tokio::time::Instant;

pub use self::census::Census;
use self::lane::Lane;
pub use self::lane::{LaneKey, Next};
pub(crate) use self::recent::REMEMBER;
use self::recent::Recent;
use self::tenants::Tenants;

/// Messages in memory for one shard; past it, the sweep waits.
const SHARD_WINDOW: usize = 2_000;
/// Lanes that wait for another attempt, or for more of a burst, and don't count for the window. Most have one message.
const WAITING: usize = 2_000;
/// Lanes beside the window, for conversations that have no part in a backlog; past it they wait for the sweep, too.
const RESERVE: usize = 250;
/// What a lane reads at least, also when the window is full: a lane without messages can't go on.
const LEAST_LOAD: usize = 4;
/// Messages in memory for one conversation; past it, the lane reads on from the database.
const LANE_WINDOW: usize = 32;
/// Transactions are shorter than this (statements time out at 10 s): what was given a place longer ago than this and
/// is visible now was visible then to a sweep that looked.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// With more messages in memory than this, the pass of every second would read mostly what is known: with 400 in each of 256
/// shards, a core does nothing else. Lost publishes are then found later; gaps in a publisher's numbers are not waited for.
const MUCH: usize = 16;
/// How often that is looked for then.
const LOOK_AMONG_MUCH: Duration = Duration::from_secs(5);
/// How often a pass begins at the very beginning: what somebody set back to pending by hand is found.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);

/// The window on one shard.
#[derive(Debug)]
pub struct ShardQueue {
    lanes: HashMap<LaneKey, Lane>,
    /// How many of the lanes are in the reserve.
    beside: usize,
    /// How many of the lanes wait for another attempt.
    waiting: usize,
    tenants: Tenants,
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
            beside: 0,
            waiting: 0,
            tenants: Tenants::default(),
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
        if self.catching_up || self.held() >= SHARD_WINDOW || self.tenants.is_closed(&work.user_id) {
            return self.offer_beside(&work);
        }
        self.put(work, None)
    }

    /// As [`Self::offer`], of one that may have been done longer ago than is remembered here, or by the owner before. Whether it is
    /// still to be done is for the database to say: its conversation is read, or it is left to the sweep.
    pub fn offer_late(&mut self, work: &Work) -> Option<LaneKey> {
        if self.is_known(work) { None } else { self.offer_beside(work) }
    }

    /// A message that is not to wait for the backlog, unless its conversation is part of it.
    fn offer_beside(&mut self, work: &Work) -> Option<LaneKey> {
        let key = LaneKey::of(work);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.leave(0);
            return None;
        }
        let reserve = self.beside < RESERVE && self.tenants.has_reserve(&work.user_id);
        if !reserve || !work.ahead.iter().all(|id| self.done.has(*id)) {
            self.leave(work);
            return None;
        }
        self.beside += 1;
        let held = self.tenants.of(&work.user_id);
        held.lanes += 1;
        held.beside += 1;
        self.lanes.insert(key.clone(), Lane::beside(work.user_id.clone()));
        Some(key)
    }

    /// Leaves a message without a lane to its tenant's turn or, when it is not the tenant's doing, to the sweep.
    fn leave(&mut self, work: &Work) {
        let user = &work.user_id;
        if self.tenants.is_behind(user) || (!self.catching_up && self.tenants.is_closed(user)) {
            self.tenants.leave(user, work.seq, self.floor);
        } else {
            self.leave_to_sweep();
        }
    }

    /// How much of the window is used: a lane counts before it has read its messages, too.
    fn held(&self) -> usize {
        self.known.len().max(self.lanes.len()) - self.waiting.min(WAITING)
    }

    /// Something was published that did not arrive, or was not taken: the sweep has to find it.
    pub fn leave_to_sweep(&mut self) {
        self.catching_up = true;
        self.left_since_page = true;
    }

    /// Whether this shard waits for a sweep and has room for what it finds.
    pub fn wants_sweep(&self) -> bool {
        self.wants_pass() || (self.has_room() && self.tenants.wanting().next().is_some())
    }

    /// Whether the whole shard is to be read.
    pub fn wants_pass(&self) -> bool {
        (self.catching_up || self.pass.is_some()) && self.has_room()
    }

    /// Whether most of what a page has will be new.
    pub fn is_catching_up(&self) -> bool {
        self.catching_up
    }

    /// Whether it is time to look for what a lost publish left behind.
    pub fn wants_look(&self, now: Instant) -> bool {
        let before = self.completed.back();
        let few = self.known.len() <= MUCH;
        self.has_room() && (few || before.is_none_or(|(began, _)| now - *began >= LOOK_AMONG_MUCH))
    }

    /// The tenants that a sweep of the shard passes over, because they are read by themselves.
    pub fn passed_over(&self) -> Vec<UserId> {
        self.tenants.behind()
    }

    /// The tenants to read a page of.
    pub fn tenants_wanting(&self) -> Vec<UserId> {
        if self.has_room() { self.tenants.wanting().cloned().collect() } else { Vec::new() }
    }

    /// Begins a page of one tenant's messages: the place to read from.
    pub fn begin_tenant(&mut self, user: &UserId) -> Option<i64> {
        self.tenants.begin(user)
    }

    /// As [`Self::end_page`], of one tenant.
    pub fn end_tenant(
        &mut self,
        user: &UserId,
        works: Vec<(Work, Duration)>,
        full: bool,
        now: Instant,
    ) -> Vec<LaneKey> {
        if self.tenants.end(user, works.last().map(|(work, _)| work.seq), full) {
            // Passes went over it meanwhile, and the floor may have risen over what of it was committed late.
            self.looked_at_all = None;
        }
        let mut start = Vec::new();
        for (work, due_in) in works {
            if !self.is_known(&work) {
                start.extend(self.put(work, not_before(due_in, now)));
            }
        }
        start
    }

    /// Whether the sweep may bring more.
    pub fn has_room(&self) -> bool {
        self.held() < SHARD_WINDOW / 2
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
            if self.is_known(&work) {
                continue;
            }
            if self.tenants.is_closed(&work.user_id) && !self.lanes.contains_key(&LaneKey::of(&work)) {
                self.tenants.leave(&work.user_id, work.seq, self.floor);
                continue;
            }
            start.extend(self.put(work, not_before(due_in, now)));
        }
        self.end_known_page(last, full, now);
        start
    }

    /// Ends a page of which every message is known; `last` is the place of its last one.
    pub fn end_known_page(&mut self, last: Option<i64>, full: bool, now: Instant) {
        if full {
            self.pass = last.or(self.pass);
        } else {
            self.pass = None;
            self.catching_up = self.left_since_page;
            self.completed.extend(self.pass_began.take());
            self.raise_floor(now);
        }
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
        self.has(work.id, work.retries)
    }

    /// Whether a message, set back to work so many times, is in memory or was done lately.
    fn has(&self, id: MessageId, retries: u32) -> bool {
        self.known.contains(&id) || self.done.contains(id, retries)
    }

    /// Whether it would change nothing to read what lies there: it is in memory, was done lately, or will be read by its lane.
    pub fn knows(&self, place: &Pending) -> bool {
        self.has(place.id, place.retries)
            || self.lanes.get(&LaneKey::of_place(place)).is_some_and(|lane| lane.will_read(place.seq))
    }

    /// Puts a message into its lane, or leaves it to the lane's next load.
    fn put(&mut self, work: Work, not_before: Option<Instant>) -> Option<LaneKey> {
        let key = LaneKey::of(&work);
        let missed = work.ahead.iter().any(|id| !self.known.contains(id) && !self.done.has(*id));
        let no_room = self.tenants.room(&work.user_id) == 0;
        let held = self.tenants.of(&work.user_id);
        let new = !self.lanes.contains_key(&key);
        held.lanes += usize::from(new);
        let lane = self.lanes.entry(key.clone()).or_insert_with(|| Lane::new(work.user_id.clone()));
        let full = lane.works.len() >= LANE_WINDOW || (no_room && !new);
        if missed || lane.more_after.is_some() || full {
            // Where the missed one lies is not known.
            lane.leave(if missed { 0 } else { work.seq - 1 });
            return new.then_some(key);
        }
        if lane.works.is_empty() {
            lane.not_before = not_before;
            if not_before.is_some() && !std::mem::replace(&mut lane.waiting, true) {
                self.waiting += 1;
                held.waiting += 1;
            }
        }
        lane.last_seq = lane.last_seq.max(work.seq);
        self.known.insert(work.id);
        held.messages += 1;
        // A publish may arrive behind a later one of the same conversation.
        let at = lane.works.iter().rposition(|before| before.seq < work.seq || before.attempts > 0);
        let in_flight = if new || lane.works.is_empty() { 0 } else { lane.in_flight.max(1) };
        lane.works.insert(at.map_or(0, |at| at + 1).max(in_flight), work);
        lane.tell();
        new.then_some(key)
    }

    /// Whether a message is in memory.
    pub fn holds(&self, id: MessageId) -> bool {
        self.known.contains(&id)
    }
}

/// When a message is to be attempted that is due in this time, if not at once.
fn not_before(due_in: Duration, now: Instant) -> Option<Instant> {
    (!due_in.is_zero()).then(|| now + due_in)
}

#[cfg(test)]
mod tests;
