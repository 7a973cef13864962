//! What each tenant has of a shard's window: one with a long queue must not keep the others out.
//!
//! A tenant that has its share is **behind**: what else it has stays in the database and is read by itself, in order,
//! when there is room, while the sweep of the shard passes it over. Being behind costs a place in memory and no more,
//! however much there is to read.

use std::collections::{BTreeMap, HashMap};

use claw_types::UserId;

/// Messages of one tenant in a shard's window: others find the rest of it free.
pub(super) const TENANT_WINDOW: usize = 500;
/// A tenant's lanes in the reserve.
pub(super) const TENANT_RESERVE: usize = 60;
/// Lanes of one tenant that wait for another attempt and don't count for its share. They have one message each.
pub(super) const TENANT_WAITING: usize = 1_000;

/// What one tenant has in memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) messages: usize,
    pub(super) lanes: usize,
    /// Of the lanes, those that wait for another attempt.
    pub(super) waiting: usize,
    /// Of the lanes, those in the reserve.
    pub(super) beside: usize,
}

impl Held {
    /// How much of the share is used: a lane counts before it has read its messages, too.
    fn load(&self) -> usize {
        self.messages.max(self.lanes) - self.waiting.min(TENANT_WAITING)
    }
}

/// Where to read on for a tenant that is behind.
#[derive(Debug)]
struct Behind {
    /// Its pending messages past this place are in the database, if not in lanes.
    after: i64,
    /// The same of those that were left there since the last page was begun.
    left: Option<i64>,
}

/// All tenants of one shard.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    held: HashMap<UserId, Held>,
    // In order: what is read is then the same in every run of a simulation.
    behind: BTreeMap<UserId, Behind>,
}

impl Tenants {
    /// What one has, to be changed.
    pub(super) fn of(&mut self, user: &UserId) -> &mut Held {
        self.held.entry(user.clone()).or_default()
    }

    /// A lane of one is gone.
    pub(super) fn forget_lane(&mut self, user: &UserId) {
        let Some(held) = self.held.get_mut(user) else { return };
        held.lanes -= 1;
        if held.lanes == 0 {
            self.held.remove(user);
        }
    }

    /// What is left of one's share.
    pub(super) fn room(&self, user: &UserId) -> usize {
        TENANT_WINDOW.saturating_sub(self.held.get(user).map_or(0, Held::load))
    }

    /// Whether one may have another lane in the reserve.
    pub(super) fn has_reserve(&self, user: &UserId) -> bool {
        self.held.get(user).is_none_or(|held| held.beside < TENANT_RESERVE)
    }

    /// Whether what else one has is to stay in the database.
    pub(super) fn is_closed(&self, user: &UserId) -> bool {
        self.behind.contains_key(user) || self.room(user) == 0
    }

    /// Whether one's messages wait in the database for its turn.
    pub(super) fn is_behind(&self, user: &UserId) -> bool {
        self.behind.contains_key(user)
    }

    /// Those whose messages wait in the database for their turn.
    pub(super) fn behind(&self) -> Vec<UserId> {
        self.behind.keys().cloned().collect()
    }

    /// A message of one's is left to the database. All before `floor` is accounted for: a tenant that falls behind is
    /// read from there, because older ones may have been lost on their way.
    pub(super) fn leave(&mut self, user: &UserId, seq: i64, floor: i64) {
        if let Some(behind) = self.behind.get_mut(user) {
            behind.after = behind.after.min(seq - 1);
            behind.left = Some(behind.left.map_or(seq - 1, |left| left.min(seq - 1)));
        } else {
            let after = floor.min(seq - 1);
            self.behind.insert(user.clone(), Behind { after, left: Some(after) });
        }
    }

    /// Those who are behind and have room for a page.
    pub(super) fn wanting(&self) -> impl Iterator<Item = &UserId> {
        self.behind.keys().filter(|user| self.room(user) > TENANT_WINDOW / 2)
    }

    /// Begins a page of one who is behind: the place to read from.
    pub(super) fn begin(&mut self, user: &UserId) -> Option<i64> {
        let behind = self.behind.get_mut(user)?;
        behind.left = None;
        Some(behind.after)
    }

    /// A page was read up to `last`; `full` when there may be more behind it. Tells whether the tenant has caught up.
    pub(super) fn end(&mut self, user: &UserId, last: Option<i64>, full: bool) -> bool {
        let Some(behind) = self.behind.get_mut(user) else { return false };
        let next = last.filter(|_| full).into_iter().chain(behind.left).min();
        if let Some(after) = next {
            behind.after = after;
            return false;
        }
        self.behind.remove(user);
        true
    }
}
