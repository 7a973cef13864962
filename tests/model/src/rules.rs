//! The rules that keep the cluster safe; each can be broken, to see that it is needed.

/// Limits in seconds, and what writes do.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a test breaks by itself")]
pub struct Rules {
    /// A worker acts no longer than this after the heartbeat that was answered last was sent (`GOOD_FOR` of the
    /// worker's `placement`).
    pub good_for: u8,
    /// The server may end a session that has been silent for this long (`idle_session_timeout` of the lease).
    pub idle: u8,
    /// Others may end the session of a worker whose heartbeat is older than this (`STALE` of the lease).
    pub stale: u8,
    /// The deadline counts from when the heartbeat was sent, not from when its answer came.
    pub deadline_from_sending: bool,
    /// A write touches nothing when its epoch is not the newest.
    pub writes_check_epoch: bool,
    /// A write keeps its shard's row locked from the check until its commit, so that a claim waits for it.
    pub writes_lock_row: bool,
    /// The server ends no session but for the two reasons above: it is not restarted and no operator ends one.
    pub sessions_last: bool,
}

impl Rules {
    /// What the code does.
    pub const REAL: Self = Self {
        good_for: 4,
        idle: 5,
        stale: 6,
        deadline_from_sending: true,
        writes_check_epoch: true,
        writes_lock_row: true,
        sessions_last: true,
    };
}
