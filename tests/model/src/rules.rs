//! The rules that keep the cluster safe; each can be broken, to see that it is needed.

use std::time::Duration;

use claw_types::placement::{LEASE_GOOD_FOR, TAKEN_OVER_AFTER};

/// Limits in half seconds, and what claims and writes do.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a test breaks by itself")]
pub struct Rules {
    /// A worker acts no longer than this after the heartbeat that was answered last was sent ([`LEASE_GOOD_FOR`]).
    pub good_for: u8,
    /// What was not given back can be claimed this long after its owner's last heartbeat ([`TAKEN_OVER_AFTER`]).
    pub taken_over_after: u8,
    /// Claims keep to that. If not, a free lock is enough.
    pub claims_wait: bool,
    /// The deadline counts from when the heartbeat was sent, not from when its answer came.
    pub deadline_from_sending: bool,
    /// A write touches nothing when its epoch is not the newest.
    pub writes_check_epoch: bool,
    /// A write keeps its shard's row locked from the check until its commit, so that a claim waits for it.
    pub writes_lock_row: bool,
}

impl Rules {
    /// What the code does.
    pub const REAL: Self = Self {
        good_for: half_seconds(LEASE_GOOD_FOR),
        taken_over_after: half_seconds(TAKEN_OVER_AFTER),
        claims_wait: true,
        deadline_from_sending: true,
        writes_check_epoch: true,
        writes_lock_row: true,
    };
}

/// The model's unit, of which the limits are multiples, and few.
const fn half_seconds(limit: Duration) -> u8 {
    let halves = limit.as_millis() / 500;
    assert!(limit.as_millis().is_multiple_of(500) && halves < 60);
    #[expect(clippy::cast_possible_truncation, reason = "below 60")]
    {
        halves as u8
    }
}
