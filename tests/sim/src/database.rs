//! Postgres, as far as workers use it: sessions with advisory locks, members, shards with their epochs, messages. Each
//! method is one statement of `claw_store`, by the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claw_shard_worker::shard::queue::LaneKey;
use claw_store::{Claimed, Error, Former, Look, Peer, Pending, Result, Settlement};
use claw_types::placement::{LEASE_IDLE, LEASE_STALE, TAKEN_OVER_AFTER};
use claw_types::{Epoch, MessageId, MessageState, ShardCount, ShardId, Work};

use crate::world::{HostId, Time};

/// Who joined longer ago has settled.
const SETTLED: Duration = Duration::from_secs(3);

/// A lease connection, as the server sees it.
pub type SessionId = u64;

struct Session {
    host: HostId,
    last_query: Time,
}

struct Member {
    session: SessionId,
    draining: bool,
    started_at: Time,
    heartbeat_at: Time,
}

struct Shard {
    epoch: Epoch,
    lock: Option<SessionId>,
    owner: Option<String>,
}

struct Row {
    work: Work,
    state: MessageState,
    due_at: Time,
}

/// Ways in which it is broken on purpose, to see that the simulation notices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Broken {
    /// It works.
    #[default]
    Not,
    /// Writes are taken whatever their epoch.
    NoFence,
    /// A lock is given to whoever asks.
    NoLocks,
    /// Sessions of frozen holders are never ended.
    NoTimeouts,
    /// A shard is taken over the moment its lock is free.
    NoPatience,
    /// An accepted message does not say what is pending before it.
    NoAhead,
    /// What a burst is made of is not kept.
    NoSeals,
}

/// The server.
pub struct Database {
    broken: Broken,
    sessions: BTreeMap<SessionId, Session>,
    names: BTreeMap<String, SessionId>,
    members: BTreeMap<String, Member>,
    shards: Vec<Shard>,
    messages: BTreeMap<i64, Row>,
    places: BTreeMap<MessageId, i64>,
    keys: BTreeSet<String>,
    cursors: BTreeMap<usize, u64>,
    next_session: SessionId,
    last_place: i64,
    /// Statements answered, by name.
    pub statements: BTreeMap<&'static str, u64>,
}

/// Whether a member was heard of so lately that nobody may take over from it.
fn is_fresh(member: &Member, now: Time) -> bool {
    now - member.heartbeat_at < TAKEN_OVER_AFTER
}

fn lost() -> Error {
    Error::NotCommitted("the session is gone".to_owned())
}

impl Database {
    /// A new cluster.
    pub fn new(shards: ShardCount, broken: Broken) -> Self {
        Self {
            broken,
            sessions: BTreeMap::new(),
            names: BTreeMap::new(),
            members: BTreeMap::new(),
            shards: shards.all().map(|_| Shard { epoch: Epoch(0), lock: None, owner: None }).collect(),
            messages: BTreeMap::new(),
            places: BTreeMap::new(),
            keys: BTreeSet::new(),
            cursors: BTreeMap::new(),
            next_session: 0,
            last_place: 0,
            statements: BTreeMap::new(),
        }
    }

    fn count(&mut self, statement: &'static str) {
        *self.statements.entry(statement).or_insert(0) += 1;
    }

    fn shard(&mut self, id: ShardId) -> &mut Shard {
        &mut self.shards[usize::from(id.0)]
    }

    /// The newest claim of a shard.
    pub fn epoch(&self, id: ShardId) -> Epoch {
        self.shards[usize::from(id.0)].epoch
    }

    /// How many shards are locked by somebody.
    pub fn owned(&self) -> usize {
        self.shards.iter().filter(|shard| shard.lock.is_some()).count()
    }

    /// How many messages are not finished.
    pub fn pending(&self) -> usize {
        self.messages.values().filter(|row| row.state == MessageState::Pending).count()
    }

    fn touch(&mut self, session: SessionId, now: Time) -> Result<()> {
        let session = self.sessions.get_mut(&session).ok_or_else(lost)?;
        session.last_query = now;
        Ok(())
    }

    fn end(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.names.retain(|_, holder| *holder != session);
        for shard in &mut self.shards {
            shard.lock = shard.lock.filter(|holder| *holder != session);
        }
    }

    /// What the server does by itself: ends sessions that were idle for too long.
    pub fn tick(&mut self, now: Time) {
        if self.broken == Broken::NoTimeouts {
            return;
        }
        let idle =
            |(id, session): (&SessionId, &Session)| (now - session.last_query > LEASE_IDLE).then_some(*id);
        for session in self.sessions.iter().filter_map(idle).collect::<Vec<_>>() {
            self.end(session);
        }
    }

    /// A host's connections were closed by its kernel.
    pub fn disconnect(&mut self, host: HostId) {
        let of_host = |(id, session): (&SessionId, &Session)| (session.host == host).then_some(*id);
        for session in self.sessions.iter().filter_map(of_host).collect::<Vec<_>>() {
            self.end(session);
        }
    }

    /// The server restarted.
    pub fn restart(&mut self) {
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end(session);
        }
    }

    /// `Lease::open`
    pub fn open(
        &mut self,
        now: Time,
        host: HostId,
        name: &str,
        before: Option<SessionId>,
    ) -> Result<SessionId> {
        self.count("open");
        let free = |member: &Member| Some(member.session) == before || !is_fresh(member, now);
        if self.names.contains_key(name) || !self.members.get(name).is_none_or(free) {
            return Err(Error::NameTaken(name.to_owned()));
        }
        self.next_session += 1;
        let session = self.next_session;
        self.sessions.insert(session, Session { host, last_query: now });
        self.names.insert(name.to_owned(), session);
        let member = Member { session, draining: false, started_at: now, heartbeat_at: now };
        self.members.insert(name.to_owned(), member);
        for shard in &mut self.shards {
            shard.owner = shard.owner.take().filter(|owner| owner != name);
        }
        Ok(session)
    }

    /// `Lease::heartbeat`
    pub fn heartbeat(&mut self, now: Time, session: SessionId, name: &str) -> Result<Vec<Peer>> {
        self.count("heartbeat");
        self.touch(session, now)?;
        let member = self.members.get_mut(name).ok_or_else(|| Error::NameTaken(name.to_owned()))?;
        member.heartbeat_at = now;
        let live = self.members.iter().filter(|(name, member)| {
            !member.draining && now - member.heartbeat_at < LEASE_STALE && self.names.contains_key(*name)
        });
        let peer = |(name, member): (&String, &Member)| Peer {
            name: name.clone(),
            weight: 1.0,
            settled: now - member.started_at > SETTLED,
        };
        Ok(live.map(peer).collect())
    }

    /// `Lease::claim`
    pub fn claim(
        &mut self,
        now: Time,
        session: SessionId,
        name: &str,
        wanted: &[ShardId],
    ) -> Result<Vec<Claimed>> {
        self.count("claim");
        self.touch(session, now)?;
        let no_locks = self.broken == Broken::NoLocks;
        let mut claimed = Vec::new();
        for id in wanted {
            let owner = self.shard(*id).owner.clone();
            let stays =
                |owner: &String| owner != name && self.members.get(owner).is_some_and(|m| is_fresh(m, now));
            let free = no_locks || self.broken == Broken::NoPatience || !owner.as_ref().is_some_and(stays);
            let former = Former::of(owner.as_deref(), name);
            let shard = self.shard(*id);
            if free && (no_locks || shard.lock.is_none_or(|holder| holder == session)) {
                shard.lock = Some(session);
                shard.owner = Some(name.to_owned());
                shard.epoch.0 += 1;
                claimed.push(Claimed { shard: *id, epoch: shard.epoch, former });
            }
        }
        Ok(claimed)
    }

    /// `Lease::release`
    pub fn release(&mut self, now: Time, session: SessionId, name: &str, shards: &[ShardId]) -> Result<()> {
        self.count("release");
        self.touch(session, now)?;
        for id in shards {
            let shard = self.shard(*id);
            shard.owner = shard.owner.take().filter(|owner| owner != name);
            shard.lock = shard.lock.filter(|holder| *holder != session);
        }
        Ok(())
    }

    /// `Lease::break_frozen`
    pub fn break_frozen(&mut self, now: Time, session: SessionId, shards: &[ShardId]) -> Result<usize> {
        self.count("break frozen");
        self.touch(session, now)?;
        if self.broken == Broken::NoTimeouts {
            return Ok(0);
        }
        let stale: BTreeSet<SessionId> = self
            .members
            .values()
            .filter(|member| now - member.heartbeat_at > LEASE_STALE)
            .map(|member| member.session)
            .collect();
        let holders: BTreeSet<SessionId> =
            shards.iter().filter_map(|id| self.shard(*id).lock).filter(|lock| stale.contains(lock)).collect();
        for holder in &holders {
            self.end(*holder);
        }
        Ok(holders.len())
    }

    /// `Lease::set_draining`
    pub fn set_draining(&mut self, now: Time, session: SessionId, name: &str, draining: bool) -> Result<()> {
        self.touch(session, now)?;
        if let Some(member) = self.members.get_mut(name) {
            member.draining = draining;
        }
        Ok(())
    }

    /// `Lease::close`
    pub fn close(&mut self, session: SessionId, name: &str) {
        if self.sessions.contains_key(&session) {
            self.members.remove(name);
            self.end(session);
        }
    }

    /// Gives the next place to a message that is about to be committed.
    pub fn next_place(&mut self) -> i64 {
        self.last_place += 1;
        self.last_place
    }

    /// What is pending in its conversation, the last few.
    pub fn ahead(&self, work: &Work) -> Vec<MessageId> {
        if self.broken == Broken::NoAhead {
            return Vec::new();
        }
        let lane = LaneKey::of(work);
        let pending = self.messages.values().rev().filter(|row| row.state == MessageState::Pending);
        pending.filter(|row| LaneKey::of(&row.work) == lane).take(4).map(|row| row.work.id).collect()
    }

    /// Commits an accepted message; `false` when its key was there before.
    pub fn insert(&mut self, now: Time, key: String, work: Work) -> bool {
        self.count("insert");
        if !self.keys.insert(key) {
            return false;
        }
        self.places.insert(work.id, work.seq);
        self.messages.insert(work.seq, Row { work, state: MessageState::Pending, due_at: now });
        true
    }

    /// `Store::messages_high_water`
    pub fn high_water(&mut self) -> i64 {
        self.count("high water");
        self.last_place
    }

    fn pending_after(&self, after: i64) -> impl Iterator<Item = &Row> {
        let pending = |row: &&Row| row.state == MessageState::Pending;
        self.messages.range(after + 1..).map(|(_, row)| row).filter(pending)
    }

    /// `Store::messages_pending_pages`
    pub fn pending_of(&mut self, now: Time, looks: &[Look], limit: usize) -> Vec<(Work, f64)> {
        self.count("sweep");
        let due = |row: &Row| (row.work.clone(), row.due_at.as_secs_f64() - now.as_secs_f64());
        self.pages(looks, limit).map(due).collect()
    }

    /// `Store::messages_pending_places`
    pub fn places_of(&mut self, looks: &[Look], limit: usize) -> Vec<Pending> {
        self.count("look");
        let place = |row: &Row| {
            let Work { id, shard, seq, retries, channel_id, direction, .. } = row.work;
            let conversation = row.work.conversation.clone();
            Pending { id, shard, seq, retries, channel_id, direction, conversation }
        };
        self.pages(looks, limit).map(place).collect()
    }

    fn pages(&self, looks: &[Look], limit: usize) -> impl Iterator<Item = &Row> {
        looks.iter().flat_map(move |look| {
            let wanted = |row: &&Row| row.work.shard == look.shard && look.whose.has(&row.work.user_id);
            self.pending_after(look.after).filter(wanted).take(limit)
        })
    }

    /// `Store::messages_pending_in`
    pub fn pending_in(&mut self, lane: &LaneKey, after: i64, limit: usize) -> Vec<Work> {
        self.count("load");
        let in_lane = self.pending_after(after).filter(|row| LaneKey::of(&row.work) == *lane);
        in_lane.take(limit).map(|row| row.work.clone()).collect()
    }

    /// `MessageWriter::settle`: whether it was taken.
    pub fn settle(&mut self, now: Time, settlement: &Settlement) -> bool {
        self.count("settle");
        if self.broken != Broken::NoFence && self.epoch(settlement.shard) != settlement.epoch {
            return false;
        }
        let burst =
            settlement.burst.as_ref().filter(|_| self.broken != Broken::NoSeals).map(|_| settlement.id);
        for id in settlement.burst.iter().flatten().chain([&settlement.id]) {
            let place = self.places.get(id).copied().unwrap_or_default();
            if let Some(row) = self.messages.get_mut(&place)
                && row.state == MessageState::Pending
            {
                row.state = settlement.state;
                row.work.attempts = settlement.attempts;
                row.work.burst = burst.or(row.work.burst);
                row.due_at = now + Duration::try_from_secs_f64(settlement.due_in).unwrap_or_default();
            }
        }
        true
    }

    /// Where a bot's updates were confirmed up to.
    pub fn cursor(&self, bot: usize) -> u64 {
        self.cursors.get(&bot).copied().unwrap_or_default()
    }

    /// Writes it under a claim; `false` when the claim is over.
    pub fn save_cursor(&mut self, shard: ShardId, epoch: Epoch, bot: usize, cursor: u64) -> bool {
        self.count("cursor");
        let fresh = self.broken == Broken::NoFence || self.epoch(shard) == epoch;
        if fresh {
            self.cursors.insert(bot, cursor);
        }
        fresh
    }
}
