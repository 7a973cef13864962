//! What is remembered of the cluster.

/// How many workers the model has.
pub const WORKERS: usize = 3;
/// How many shards the model has.
pub const SHARDS: usize = 2;

/// Everything that can make a difference to what happens next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// The processes, with the server's side of their lease connections.
    pub workers: [Worker; WORKERS],
    /// The write that is followed, for each shard.
    pub writes: [Write; SHARDS],
    /// Whether a write was committed although a newer epoch existed.
    pub old_write_committed: bool,
}

/// A worker and its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    /// The lease connection.
    pub session: Session,
    /// Half seconds since the heartbeat that was answered last was sent, by the worker's clock.
    pub lease_age: u8,
    /// Half seconds since the heartbeat that the database saw last, by the database's clock.
    pub heartbeat_age: u8,
    /// The shards whose advisory lock the session holds.
    pub locks: [bool; SHARDS],
    /// The shards whose rows name the worker as their owner, whether it lives or not.
    pub owns: [bool; SHARDS],
    /// The shards that the worker believes are its own, whose channels are connected.
    pub held: [Option<Epoch>; SHARDS],
    /// Whether it learned that another had taken over, and has not stepped down again since.
    pub was_replaced: bool,
}

/// A lease connection, by both of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Session {
    /// There is none.
    None,
    /// Open at both ends.
    Open,
    /// The server ended it and the worker does not know.
    Ended,
    /// The worker gave it up and the server does not know: it still has its locks.
    Orphaned,
}

/// The number of a claim, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Epoch {
    /// The shard's present one.
    Newest,
    /// One that another claim followed.
    Old,
}

/// A write on its way. The worker that sent it may be gone by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Write {
    /// None is followed at the moment.
    None,
    /// Sent, and not at the database yet.
    Sent(Epoch),
    /// Past the check of its epoch; its transaction is open.
    Open(Epoch),
}

impl Worker {
    /// One that has not started yet.
    pub(crate) fn new(good_for: u8) -> Self {
        Self {
            session: Session::None,
            lease_age: good_for,
            heartbeat_age: 0,
            locks: [false; SHARDS],
            owns: [false; SHARDS],
            held: [None; SHARDS],
            was_replaced: false,
        }
    }

    /// Whether the server has a session of it.
    pub(crate) fn has_backend(self) -> bool {
        matches!(self.session, Session::Open | Session::Orphaned)
    }

    /// Whether the worker believes that it has a session.
    pub(crate) fn has_connection(self) -> bool {
        matches!(self.session, Session::Open | Session::Ended)
    }
}

impl State {
    /// The one of all states that differ only in who is who that stands for them.
    pub(crate) fn representative(mut self) -> Self {
        for worker in &mut self.workers {
            // Nobody asks how old the heartbeat of a worker is that has nothing and is not connected.
            if worker.session != Session::Open && worker.owns == [false; SHARDS] {
                worker.heartbeat_age = 0;
            }
        }
        let mut mirrored = self.clone();
        mirrored.writes.reverse();
        for worker in &mut mirrored.workers {
            worker.locks.reverse();
            worker.owns.reverse();
            worker.held.reverse();
        }
        let sorted = |mut state: Self| {
            state.workers.sort_unstable();
            state
        };
        sorted(self).min(sorted(mirrored))
    }
}
