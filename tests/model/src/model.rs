//! What can happen, and what must never.

use stateright::{Model, Property as Checked};

use crate::{Epoch, Rules, SHARDS, Session, State, WORKERS, Worker, Write};

/// A heartbeat that takes longer than this, in half seconds, counts as failed (`CALL_LIMIT` of the worker's
/// `placement`).
const LONGEST_HEARTBEAT: u8 = 3;

/// The cluster under some rules.
#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    /// What everybody does.
    pub rules: Rules,
    /// How many workers ever start; at most [`WORKERS`].
    pub workers: usize,
    /// Whether it is remembered of a worker that it was replaced, for [`Property::SURVIVED`]. Twice the states.
    pub remembers: bool,
}

/// One step of somebody's; numbers are workers and shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Half a second passes for everybody.
    Tick,
    /// A worker opens its lease connection; it owns nothing.
    Open(usize),
    /// A heartbeat is done; it took so many half seconds.
    Heartbeat(usize, u8),
    /// A worker takes a free lock and raises the epoch.
    Claim(usize, usize),
    /// A worker stops what runs for a shard, then unlocks it.
    Release(usize, usize),
    /// A worker stops everything and gives its connection up, or is killed.
    StepDown(usize),
    /// The server sees that a connection was given up.
    SeeClosed(usize),
    /// The server ends a session, for whatever reason.
    EndSession(usize),
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
    /// Why the one that passes is the right one: where two are connected, the older is frozen and does not know.
    pub const RIGHT: &'static str = "who passes the deadline check has the newest epoch";
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

    fn tick(self, state: &mut State) {
        for worker in &mut state.workers {
            worker.lease_age = (worker.lease_age + 1).min(self.rules.good_for);
            worker.heartbeat_age = (worker.heartbeat_age + 1).min(self.rules.taken_over_after);
        }
    }

    /// Whether somebody else may take the shard over: its lock is free, and its owner gave it back or is silent.
    fn is_free(self, state: &State, w: usize, shard: usize) -> bool {
        state.workers.iter().enumerate().all(|(at, other)| {
            let silent = other.heartbeat_age >= self.rules.taken_over_after || !self.rules.claims_wait;
            !other.locks[shard] && (at == w || !other.owns[shard] || silent)
        })
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
            let free = self.is_free(state, w, shard);
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

    fn server_actions(state: &State, w: usize, actions: &mut Vec<Action>) {
        let worker = &state.workers[w];
        if worker.session == Session::Orphaned {
            actions.push(Action::SeeClosed(w));
        }
        if worker.has_backend() {
            actions.push(Action::EndSession(w));
        }
    }

    fn claim(state: &mut State, w: usize, shard: usize) {
        for worker in &mut state.workers {
            worker.held[shard] = worker.held[shard].map(|_| Epoch::Old);
            worker.owns[shard] = false;
        }
        state.writes[shard] = match state.writes[shard] {
            Write::None => Write::None,
            Write::Sent(_) => Write::Sent(Epoch::Old),
            Write::Open(_) => Write::Open(Epoch::Old),
        };
        state.workers[w].locks[shard] = true;
        state.workers[w].owns[shard] = true;
        state.workers[w].held[shard] = Some(Epoch::Newest);
    }

    fn step_down(self, worker: &mut Worker) {
        worker.was_replaced = self.remembers && worker.held.contains(&Some(Epoch::Old));
        worker.held = [None; SHARDS];
        worker.lease_age = self.rules.good_for;
        worker.session = if worker.session == Session::Open { Session::Orphaned } else { Session::None };
    }

    fn end_session(worker: &mut Worker) {
        worker.locks = [false; SHARDS];
        worker.session = if worker.session == Session::Open { Session::Ended } else { Session::None };
    }

    fn open(worker: &mut Worker) {
        worker.session = Session::Open;
        worker.heartbeat_age = 0;
        worker.owns = [false; SHARDS];
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
            workers: [Worker::new(self.rules.good_for); WORKERS],
            writes: [Write::None; SHARDS],
            old_write_committed: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        for w in self.started() {
            self.worker_actions(state, w, actions);
            Self::server_actions(state, w, actions);
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
            Action::Tick => self.tick(&mut state),
            Action::Open(w) => Self::open(&mut state.workers[w]),
            Action::Heartbeat(w, took) => self.heartbeat(&mut state.workers[w], took),
            Action::Claim(w, shard) => Self::claim(&mut state, w, shard),
            Action::Release(w, shard) => {
                state.workers[w].held[shard] = None;
                state.workers[w].owns[shard] = false;
                state.workers[w].locks[shard] = false;
            }
            Action::StepDown(w) => self.step_down(&mut state.workers[w]),
            Action::SeeClosed(w) | Action::EndSession(w) => Self::end_session(&mut state.workers[w]),
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
        let survived = Checked::sometimes(Property::SURVIVED, |model: &Self, state: &State| {
            !each(state, |w, s| !(w.was_replaced && model.passes(w, s)))
        });
        let mut properties = vec![
            Checked::always(Property::WRITES, |_: &Self, state: &State| !state.old_write_committed),
            Checked::always(Property::ONE, |model: &Self, state: &State| {
                (0..SHARDS).all(|s| state.workers.iter().filter(|w| model.passes(**w, s)).count() <= 1)
            }),
            Checked::always(Property::RIGHT, |model: &Self, state: &State| {
                each(state, |w, s| !model.passes(w, s) || w.held[s] == Some(Epoch::Newest))
            }),
            Checked::sometimes(Property::TAKEOVER, |model: &Self, state: &State| {
                (0..SHARDS).any(|s| {
                    state.workers.iter().any(|w| w.held[s] == Some(Epoch::Old))
                        && state.workers.iter().any(|w| model.passes(*w, s))
                })
            }),
        ];
        properties.extend(self.remembers.then_some(survived));
        properties
    }
}

fn each(state: &State, holds: impl Fn(Worker, usize) -> bool) -> bool {
    state.workers.iter().all(|worker| (0..SHARDS).all(|shard| holds(*worker, shard)))
}
