//! How much there is in memory, for metrics.

use super::ShardQueue;

/// What a shard has in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Conversations whose next message is attempted, or could be.
    pub ready: u32,
    /// Conversations that wait for another attempt, or for more of a burst.
    pub waiting: u32,
    /// Since when the oldest message of the ready ones that was never attempted is to be delivered, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Whether there is more in the database that is to be read in order.
    pub catching_up: bool,
}

impl ShardQueue {
    /// Counts; takes a look at each conversation's first message.
    pub fn census(&self) -> Census {
        let mut census = Census { catching_up: self.catching_up, ..Census::default() };
        for lane in self.lanes.values() {
            if lane.waiting {
                census.waiting += 1;
                continue;
            }
            let Some(first) = lane.works.front() else { continue };
            census.ready += 1;
            // What failed before is old because of that, not because nobody gets to it.
            if first.attempts == 0 {
                let at = first.fresh_at_ms();
                census.oldest_ms = Some(census.oldest_ms.map_or(at, |oldest| oldest.min(at)));
            }
        }
        census
    }
}

impl Census {
    /// This one and another shard's.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            ready: self.ready + other.ready,
            waiting: self.waiting + other.waiting,
            oldest_ms: self.oldest_ms.into_iter().chain(other.oldest_ms).min(),
            catching_up: self.catching_up || other.catching_up,
        }
    }
}
