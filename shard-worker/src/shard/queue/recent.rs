//! What was done lately, so that a late word of it is not taken for a new message.
//!
//! It is no more than that: it begins empty with each claim, and forgets. A word of what may be done longer ago, or by the owner before,
//! has to be looked up in the database ([`ShardQueue::offer_late`](super::ShardQueue::offer_late)).

use std::collections::HashMap;
use std::time::Duration;

use claw_types::{MessageId, Work};
use tokio::time::Instant;

/// Done messages are remembered at least this long. A publish may come later, when who committed the message was frozen before it
/// published: such a one is not believed (`tasks/published.rs`).
pub(crate) const REMEMBER: Duration = Duration::from_secs(60);

/// Remembers ids, each with the retries it had, for [`REMEMBER`] to twice that.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<MessageId, u32>,
    old: HashMap<MessageId, u32>,
    turned: Option<Instant>,
}

impl Recent {
    pub(super) fn insert(&mut self, work: &Work, now: Instant) {
        if self.turned.is_none_or(|turned| now.duration_since(turned) >= REMEMBER) {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
        self.young.insert(work.id, work.retries);
    }

    /// Whether it is done, whatever became of it since.
    pub(super) fn has(&self, id: MessageId) -> bool {
        [&self.young, &self.old].iter().any(|done| done.contains_key(&id))
    }

    /// Whether it is done, unless it was set back to work since.
    pub(super) fn contains(&self, id: MessageId, retries: u32) -> bool {
        [&self.young, &self.old].iter().any(|done| done.get(&id).is_some_and(|n| *n >= retries))
    }
}
