//! What can happen, and what must never.

use stateright::{Model, Property as Checked};

use crate::{Epoch, Rules, SHARDS, Session, State, WORKERS, Worker, Write};

/// A heartbeat that takes longer than this, in seconds, counts as failed (`HEARTBEAT_LIMIT`, rounded down: longer
/// only makes the lease older).
const LONGEST_HEARTBEAT: u8 = 2;

/// The cluster under some rules.
#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    /// What everybody does.
    pub rules: Rules,
    /// How many workers ever start; at most [`WORKERS`].
    pub workers: usize,
}

/// One step of somebody's; numbers are workers and shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A second passes for everybody.
    Second,
    /// A worker opens its lease connection.
    Open(usize),
    /// A heartbeat is done; it took so many seconds.
    Heartbeat(usize, u8),
    /// A worker takes a free lock and raises the epoch.
    Claim(usize, usize),
    /// A worker stops what runs for a shard, then unlocks it.
    Release(usize, usize),
    /// A worker stops everything and gives its connection up, or is killed.
    StepDown(usize),
    /// The server sees that a connection was given up.
    SeeClosed(usize),
    /// The server ends a session that was silent for too long.
    EndIdle(usize),
    /// Another worker has the session of a holder ended that has not been heard of.
    EndFrozen(usize),
    /// A session ends although its worker is well.
    EndForNoReason(usize),
    /// An owner sends a write.
    Send(usize, usize),
    /// A write reaches the database and is checked.
    Arrive(usize),
    /// A write commits.
    Commit(usize),
    /// A write's connection breaks first.
    Lose(usize),
}

/// What is checked, by name.
#[derive(Debug)]
pub struct Property;

impl Property {
    /// The epochs' promise.
    pub const WRITES: &'static str = "no write of an older epoch commits once there is a newer one";
    /// The deadline's promise.
    pub const ONE: &'static str = "at most one worker passes the deadline check of a shard";
    /// Why the one that passes is the right one.
    pub const RIGHT: &'static str = "who passes the deadline check has the newest epoch";
    /// Where two are connected, the older is frozen and does not know.
    pub const UNAWARE: &'static str = "who is connected without holding the lock is past its deadline";
    /// Reachable: the model does what it is about.
    pub const TAKEOVER: &'static str = "a frozen worker's shard is served by another";
    /// Reachable: and goes on afterwards.
    pub const SURVIVED: &'static str = "a worker that was frozen and replaced serves again";
}

impl Cluster {
    /// Whether the worker would act for the shard right now.
    fn passes(self, worker: Worker, shard: usize) -> bool {
        worker.held[shard].is_some() && worker.lease_age < self.rules.good_for
    }

    /// Those that never start sort before all others.
    fn started(self) -> std::ops::Range<usize> {
        WORKERS - self.workers..WORKERS
    }

    fn second(self, state: &mut State) {
        for worker in &mut state.workers {
            worker.lease_age = (worker.lease_age + 1).min(self.rules.good_for);
            if worker.has_backend() {
                worker.heartbeat_age = (worker.heartbeat_age + 1).min(self.rules.stale);
            }
        }
    }

    fn worker_actions(self, state: &State, w: usize, actions: &mut Vec<Action>) {
        let worker = &state.workers[w];
        if worker.session == Session::None {
            actions.push(Action::Open(w));
        }
        let serving = worker.held.iter().any(Option::is_some);
        // Who finds its lease lapsed does not prolong it but steps down.
        if worker.session == Session::Open && !(serving && worker.lease_age >= self.rules.good_for) {
            actions.extend((0..=LONGEST_HEARTBEAT).map(|took| Action::Heartbeat(w, took)));
        }
        if worker.has_connection() {
            actions.push(Action::StepDown(w));
        }
        for shard in 0..SHARDS {
            let free = state.workers.iter().all(|other| !other.locks[shard]);
            let waits = self.rules.writes_lock_row && matches!(state.writes[shard], Write::Open(_));
            if worker.session == Session::Open && worker.held[shard].is_none() && free && !waits {
                actions.push(Action::Claim(w, shard));
            }
            if worker.session == Session::Open && worker.held[shard].is_some() {
                actions.push(Action::Release(w, shard));
            }
            if worker.held[shard].is_some() && state.writes[shard] == Write::None {
                actions.push(Action::Send(w, shard));
            }
        }
    }

    fn server_actions(self, state: &State, w: usize, actions: &mut Vec<Action>) {
        let worker = &state.workers[w];
        if worker.session == Session::Orphaned {
            actions.push(Action::SeeClosed(w));
        }
        if !worker.has_backend() {
            return;
        }
        if worker.heartbeat_age >= self.rules.idle {
            actions.push(Action::EndIdle(w));
        }
        let contended = worker.locks.contains(&true)
            && self.started().any(|other| other != w && state.workers[other].session == Session::Open);
        if worker.heartbeat_age >= self.rules.stale && contended {
            actions.push(Action::EndFrozen(w));
        }
        if !self.rules.sessions_last {
            actions.push(Action::EndForNoReason(w));
        }
    }

    fn claim(state: &mut State, w: usize, shard: usize) {
        for worker in &mut state.workers {
            worker.held[shard] = worker.held[shard].map(|_| Epoch::Old);
        }
        state.writes[shard] = match state.writes[shard] {
            Write::None => Write::None,
            Write::Sent(_) => Write::Sent(Epoch::Old),
            Write::Open(_) => Write::Open(Epoch::Old),
        };
        state.workers[w].locks[shard] = true;
        state.workers[w].held[shard] = Some(Epoch::Newest);
    }

    fn step_down(self, worker: &mut Worker) {
        let was_replaced = worker.held.contains(&Some(Epoch::Old));
        let stopped = Worker::idle(was_replaced, self.rules.good_for);
        *worker = match worker.session {
            Session::Open => Worker {
                session: Session::Orphaned,
                heartbeat_age: worker.heartbeat_age,
                locks: worker.locks,
                ..stopped
            },
            _ => stopped,
        };
    }

    fn end_session(self, worker: &mut Worker) {
        if worker.session == Session::Orphaned {
            *worker = Worker::idle(worker.was_replaced, self.rules.good_for);
        } else {
            *worker = Worker { session: Session::Ended, heartbeat_age: 0, locks: [false; SHARDS], ..*worker };
        }
    }

    fn heartbeat(self, worker: &mut Worker, took: u8) {
        // The time is spent before the database saw it, or, for the deadline that counts from the answer, after.
        (worker.lease_age, worker.heartbeat_age) =
            if self.rules.deadline_from_sending { (took, 0) } else { (0, took) };
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            workers: [Worker::idle(false, self.rules.good_for); WORKERS],
            writes: [Write::None; SHARDS],
            old_write_committed: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Second);
        for w in self.started() {
            self.worker_actions(state, w, actions);
            self.server_actions(state, w, actions);
        }
        for (shard, write) in state.writes.iter().enumerate() {
            match write {
                Write::None => {}
                Write::Sent(_) => actions.extend([Action::Arrive(shard), Action::Lose(shard)]),
                Write::Open(_) => actions.extend([Action::Commit(shard), Action::Lose(shard)]),
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Second => self.second(&mut state),
            Action::Open(w) => state.workers[w].session = Session::Open,
            Action::Heartbeat(w, took) => self.heartbeat(&mut state.workers[w], took),
            Action::Claim(w, shard) => Self::claim(&mut state, w, shard),
            Action::Release(w, shard) => {
                state.workers[w].held[shard] = None;
                state.workers[w].locks[shard] = false;
            }
            Action::StepDown(w) => self.step_down(&mut state.workers[w]),
            Action::SeeClosed(w) | Action::EndIdle(w) | Action::EndFrozen(w) | Action::EndForNoReason(w) => {
                self.end_session(&mut state.workers[w]);
            }
            Action::Send(w, shard) => state.writes[shard] = Write::Sent(state.workers[w].held[shard]?),
            Action::Arrive(shard) => {
                let Write::Sent(epoch) = state.writes[shard] else { return None };
                let refused = self.rules.writes_check_epoch && epoch == Epoch::Old;
                state.writes[shard] = if refused { Write::None } else { Write::Open(epoch) };
            }
            Action::Commit(shard) => {
                state.old_write_committed |= state.writes[shard] == Write::Open(Epoch::Old);
                state.writes[shard] = Write::None;
            }
            Action::Lose(shard) => state.writes[shard] = Write::None,
        }
        Some(state.representative())
    }

    fn properties(&self) -> Vec<Checked<Self>> {
        vec![
            Checked::always(Property::WRITES, |_: &Self, state: &State| !state.old_write_committed),
            Checked::always(Property::ONE, |model: &Self, state: &State| {
                (0..SHARDS).all(|s| state.workers.iter().filter(|w| model.passes(**w, s)).count() <= 1)
            }),
            Checked::always(Property::RIGHT, |model: &Self, state: &State| {
                each(state, |w, s| !model.passes(w, s) || w.held[s] == Some(Epoch::Newest))
            }),
            Checked::always(Property::UNAWARE, |model: &Self, state: &State| {
                each(state, |w, s| w.held[s].is_none() || w.locks[s] || !model.passes(w, s))
            }),
            Checked::sometimes(Property::TAKEOVER, |model: &Self, state: &State| {
                (0..SHARDS).any(|s| {
                    state.workers.iter().any(|w| w.held[s] == Some(Epoch::Old))
                        && state.workers.iter().any(|w| model.passes(*w, s))
                })
            }),
            Checked::sometimes(Property::SURVIVED, |model: &Self, state: &State| {
                !each(state, |w, s| !(w.was_replaced && model.passes(w, s)))
            }),
        ]
    }
}

fn each(state: &State, holds: impl Fn(Worker, usize) -> bool) -> bool {
    state.workers.iter().all(|worker| (0..SHARDS).all(|shard| holds(*worker, shard)))
}
