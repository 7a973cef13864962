//! Noticing lost publishes.
//!
//! Each publisher numbers what it publishes to each shard, from 1. A subscriber that sees a number it did not expect
//! knows that something before it is missing, sweeps, and so keeps conversations in order even on a lossy road.

use std::collections::HashMap;

use claw_types::Work;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A message with its publisher's number.
#[derive(Debug, Clone, Deserialize)]
pub struct Numbered {
    /// The publisher, new with each start of a process.
    pub publisher: Uuid,
    /// Counts what this publisher sent to this shard.
    pub number: u64,
    /// The message; absent when it was too large to travel: look it up.
    pub work: Option<Work>,
}

/// A [`Numbered`] as it is sent.
#[derive(Serialize)]
pub(crate) struct Sent<'a> {
    pub(crate) publisher: Uuid,
    pub(crate) number: u64,
    pub(crate) work: Option<&'a Work>,
}

/// What one subscriber has seen of each publisher.
#[derive(Debug, Default)]
pub struct Gaps {
    last: HashMap<Uuid, u64>,
}

impl Gaps {
    /// Whether something before this number did not arrive. A number seen before is not a gap.
    pub fn missed_before(&mut self, publisher: Uuid, number: u64) -> bool {
        let last = self.last.entry(publisher).or_insert(0);
        let gap = number > *last + 1;
        *last = number.max(*last);
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_number_is_a_gap() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut gaps = Gaps::default();
        assert!(!gaps.missed_before(a, 1));
        assert!(!gaps.missed_before(a, 2));
        assert!(!gaps.missed_before(b, 1));
        assert!(gaps.missed_before(a, 4));
        assert!(!gaps.missed_before(a, 5));
        assert!(!gaps.missed_before(a, 3), "late, not missing");
        assert!(gaps.missed_before(Uuid::from_u128(3), 7), "joined in the middle");
    }
}
