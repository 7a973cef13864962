//! The rules that keep the cluster safe; each can be broken, to see that it is needed.

use std::time::Duration;

use claw_types::placement::{LEASE_GOOD_FOR, LEASE_IDLE, LEASE_STALE};

/// Limits in seconds, and what writes do.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a test breaks by itself")]
pub struct Rules {
    /// A worker acts no longer than this after the heartbeat that was answered last was sent ([`LEASE_GOOD_FOR`]).
    pub good_for: u8,
    /// The server may end a session that has been silent for this long ([`LEASE_IDLE`]).
    pub idle: u8,
    /// Others may end the session of a worker whose heartbeat is older than this ([`LEASE_STALE`]).
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
        good_for: seconds(LEASE_GOOD_FOR),
        idle: seconds(LEASE_IDLE),
        stale: seconds(LEASE_STALE),
        deadline_from_sending: true,
        writes_check_epoch: true,
        writes_lock_row: true,
        sessions_last: true,
    };
}

/// The model's unit. All limits are whole seconds, and few.
const fn seconds(limit: Duration) -> u8 {
    let seconds = limit.as_secs();
    assert!(limit.subsec_nanos() == 0 && seconds < 60);
    #[expect(clippy::cast_possible_truncation, reason = "below 60")]
    {
        seconds as u8
    }
}
