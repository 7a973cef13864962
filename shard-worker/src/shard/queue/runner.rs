//! The queue as the runner of a lane sees it: what is next, and what became of it.
//!
//! Must hold: a lane has one runner, which alone takes it out of memory; who is told that it is gone ends.

use std::sync::Arc;
use std::time::Duration;

use claw_types::{UserId, Work};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::burst::{self, Front};
use super::lane::{LaneKey, Next};
use super::{LANE_WINDOW, LEAST_LOAD, SHARD_WINDOW, ShardQueue};

impl ShardQueue {
    /// What the lane's one runner is to do; `now_ms` is the time of day, in milliseconds since 1970.
    pub fn next(&mut self, key: &LaneKey, now: Instant, now_ms: i64) -> Next {
        let Some(lane) = self.lanes.get_mut(key) else { return Next::Finished };
        if !lane.works.is_empty() {
            if let Some(at) = lane.not_before.filter(|at| *at > now) {
                return Next::WaitUntil(at);
            }
            match burst::front(&lane.works, lane.more_after.is_none(), lane.reread, now_ms) {
                Front::Single => return self.begin(key, 1),
                Front::Burst(count) => return self.begin(key, count),
                Front::Open(until_ms) => {
                    let wait = Duration::from_millis(until_ms.abs_diff(now_ms));
                    return self.gather(key, now + wait);
                }
                Front::Unread => self.unread(key),
            }
        }
        self.read_on(key)
    }

    /// Nothing of the lane is in memory: reads what is in the database, or ends it.
    fn read_on(&mut self, key: &LaneKey) -> Next {
        let held = self.held();
        let Some(lane) = self.lanes.get_mut(key) else { return Next::Finished };
        if let Some(after) = lane.more_after {
            lane.left_since_load = None;
            let room = self.tenants.room(&lane.user).min(SHARD_WINDOW.saturating_sub(held));
            let least = if lane.reread.is_some() { burst::MOST } else { LEAST_LOAD };
            return Next::Load { after, limit: room.clamp(least, LANE_WINDOW) };
        }
        if let Some(lane) = self.lanes.remove(key) {
            if lane.beside {
                self.beside -= 1;
                self.tenants.of(&lane.user).beside -= 1;
            }
            self.tenants.forget_lane(&lane.user);
        }
        Next::Finished
    }

    /// The first so many messages of a lane are attempted from now on.
    fn begin(&mut self, key: &LaneKey, count: usize) -> Next {
        let Some(lane) = self.lanes.get_mut(key) else { return Next::Finished };
        lane.in_flight = count;
        lane.news = None;
        if std::mem::take(&mut lane.waiting) {
            self.waiting -= 1;
            self.tenants.of(&lane.user).waiting -= 1;
        }
        let lane = &*lane;
        match lane.works.front() {
            Some(work) if work.debounce_ms == 0 && work.burst.is_none() => {
                Next::Attempt(Box::new(work.clone()))
            }
            _ => Next::Burst(lane.works.iter().take(count).cloned().collect()),
        }
    }

    /// The lane waits for more of its burst.
    fn gather(&mut self, key: &LaneKey, until: Instant) -> Next {
        // Without a place it stays in the reserve: it is not for long.
        self.let_wait(key);
        let Some(lane) = self.lanes.get_mut(key) else { return Next::Finished };
        let news = Arc::clone(lane.news.get_or_insert_with(|| Arc::new(Notify::new())));
        Next::Gather { until, news }
    }

    /// The lane waits: that does not count for the window. One in the reserve, which is for those that are soon through,
    /// gets a place in the window; `false` when there is none.
    fn let_wait(&mut self, key: &LaneKey) -> bool {
        let full = self.held() >= SHARD_WINDOW;
        let Some(lane) = self.lanes.get_mut(key) else { return true };
        if lane.beside && (full || self.tenants.room(&lane.user) == 0) {
            return false;
        }
        let held = self.tenants.of(&lane.user);
        if std::mem::take(&mut lane.beside) {
            self.beside -= 1;
            held.beside -= 1;
        }
        if !std::mem::replace(&mut lane.waiting, true) {
            self.waiting += 1;
            held.waiting += 1;
        }
        true
    }

    /// There is no place for a lane in the reserve that has to wait: what it has waits in the database.
    fn put_out(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.remove(key) else { return };
        let held = self.tenants.of(&lane.user);
        self.beside -= 1;
        held.beside -= 1;
        held.messages -= lane.works.len();
        self.tenants.forget_lane(&lane.user);
        for work in &lane.works {
            self.known.remove(&work.id);
        }
        if let Some(first) = lane.works.front() {
            self.leave(first);
            // It may lie before the floor.
            self.looked_at_all = None;
        }
    }

    /// Leaves a lane's messages to the database, to be read again together with those that are only there.
    fn unread(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.reread = lane.works.front().map(|first| first.burst.unwrap_or(first.id));
        let before = lane.works.iter().map(|work| work.seq - 1).chain(lane.more_after).min();
        for work in lane.works.drain(..) {
            self.known.remove(&work.id);
            self.tenants.of(&lane.user).messages -= 1;
        }
        if std::mem::take(&mut lane.waiting) {
            self.waiting -= 1;
            self.tenants.of(&lane.user).waiting -= 1;
        }
        lane.more_after = before;
    }

    /// What [`Next::Load`] found, in order; `full` when there may be more behind.
    pub fn loaded(&mut self, key: &LaneKey, works: Vec<Work>, full: bool) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let last = works.last().map(|work| work.seq);
        for work in works {
            lane.last_seq = lane.last_seq.max(work.seq);
            if !self.done.contains(work.id, work.retries) && self.known.insert(work.id) {
                lane.works.push_back(work);
                self.tenants.of(&lane.user).messages += 1;
            }
        }
        lane.not_before = None;
        let unread = last.filter(|_| full);
        lane.more_after =
            lane.left_since_load.map(|left| left.min(lane.last_seq)).into_iter().chain(unread).min();
    }

    /// What is attempted of the lane is finished, one way or another.
    pub fn finished(&mut self, key: &LaneKey, now: Instant) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let over = std::mem::take(&mut lane.in_flight).max(1).min(lane.works.len());
        for work in lane.works.drain(..over) {
            self.known.remove(&work.id);
            self.tenants.of(&lane.user).messages -= 1;
            self.done.insert(&work, now);
        }
        lane.not_before = None;
    }

    /// The place of a lane's first message, if one is in memory.
    pub fn first(&self, key: &LaneKey) -> Option<i64> {
        self.lanes.get(key)?.works.front().map(|work| work.seq)
    }

    /// A message behind the first one of a lane that waits is over, without an attempt.
    pub fn over_behind(&mut self, key: &LaneKey, work: &Work, now: Instant) {
        self.done.insert(work, now);
        let Some(lane) = self.lanes.get_mut(key) else { return };
        let Some(at) = lane.works.iter().position(|held| held.id == work.id) else { return };
        lane.works.remove(at);
        self.known.remove(&work.id);
        self.tenants.of(&lane.user).messages -= 1;
    }

    /// While nothing is behind what is attempted of the lane: what is rung when something comes.
    pub fn alone(&mut self, key: &LaneKey) -> Option<Arc<Notify>> {
        let lane = self.lanes.get_mut(key)?;
        let alone = lane.works.len() <= lane.in_flight.max(1) && lane.more_after.is_none();
        alone.then(|| Arc::clone(lane.news.get_or_insert_with(|| Arc::new(Notify::new()))))
    }

    /// Whose the lane is, if it is there.
    pub fn user(&self, key: &LaneKey) -> Option<UserId> {
        self.lanes.get(key).map(|lane| lane.user.clone())
    }

    /// What waits for another attempt in the lane is due now, or when it is no longer held. Answers whether that is before it was.
    pub fn wake(&mut self, key: &LaneKey) -> bool {
        let Some(lane) = self.lanes.get_mut(key) else { return false };
        // Without a time it is due now, which is before any.
        let sooner = lane.held_until < lane.not_before;
        if sooner {
            lane.not_before = lane.held_until;
        }
        sooner
    }

    /// What waits for another attempt in the lane is not to be woken before `until`, which is no later than it is due.
    pub fn hold(&mut self, key: &LaneKey, until: Instant) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.held_until = Some(until);
        }
    }

    /// What is attempted of the lane is to be tried again at `at`, as `work` says, which is the last message of it. All but
    /// the first message leave the memory meanwhile: a destination that is away for a day must not fill the window. For the
    /// same reason a lane in the reserve that finds no place in the window leaves it altogether: `false`, its runner ends.
    pub fn retry(&mut self, key: &LaneKey, work: Work, at: Instant) -> bool {
        if !self.let_wait(key) {
            self.put_out(key);
            return false;
        }
        let Some(lane) = self.lanes.get_mut(key) else { return false };
        let held = self.tenants.of(&lane.user);
        let first = match (lane.works.pop_front(), std::mem::take(&mut lane.in_flight)) {
            (Some(first), 2..) => Work { attempts: work.attempts, burst: work.burst, ..first },
            _ => work,
        };
        let mut more_after = lane.more_after;
        for later in lane.works.drain(..) {
            self.known.remove(&later.id);
            held.messages -= 1;
            // One that arrived late stands behind this one, but has a lower place.
            more_after = Some(more_after.map_or(later.seq - 1, |after| after.min(later.seq - 1)));
        }
        lane.more_after = more_after.map(|after| after.min(first.seq));
        lane.last_seq = first.seq;
        (lane.not_before, lane.held_until) = (Some(at), None);
        lane.reread = None;
        lane.works.push_back(first);
        true
    }
}
