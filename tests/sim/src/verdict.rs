//! What was seen, and what of it should not have been.

use std::collections::{BTreeMap, BTreeSet};

use claw_types::{Epoch, ShardId, Work};

use crate::world::{HostId, Time};

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Findings {
    /// What went wrong, in order.
    pub faults: Vec<String>,
    accepted: BTreeMap<String, Vec<u128>>,
    first: BTreeMap<String, Vec<u128>>,
    delivered: BTreeSet<u128>,
    /// Deliveries that came again.
    pub again: u64,
    epochs: BTreeMap<ShardId, Epoch>,
}

impl Findings {
    /// A message is in somebody's hands who keeps it.
    pub fn accepted(&mut self, conversation: &str, id: u128) {
        tracing::debug!("accepted {id:x} in {conversation}");
        self.accepted.entry(conversation.to_owned()).or_default().push(id);
    }

    /// The backend took a message.
    pub fn delivered(&mut self, work: &Work) {
        let id = work.id.0.as_u128();
        tracing::debug!("delivered {id:x} at place {} in {}", work.seq, work.conversation);
        if self.delivered.insert(id) {
            self.first.entry(work.conversation.clone()).or_default().push(id);
        } else {
            self.again += 1;
        }
    }

    /// An owner's write was taken.
    pub fn committed(&mut self, now: Time, shard: ShardId, epoch: Epoch, newest: Epoch) {
        let last = self.epochs.entry(shard).or_insert(epoch);
        if epoch < newest || epoch < *last {
            self.faults
                .push(format!("{now:?}: a write of epoch {} for shard {shard} after {}", epoch.0, newest.0));
        }
        *last = epoch.max(*last);
    }

    /// Two processes that could know better are connected as the same bot.
    pub fn twice(&mut self, now: Time, bot: usize, hosts: &[HostId]) {
        self.faults.push(format!("{now:?}: bot {bot} is connected by {hosts:?}"));
    }

    /// How many messages were accepted.
    pub fn accepted_in_all(&self) -> usize {
        self.accepted.values().map(Vec::len).sum()
    }

    /// How many of them were delivered.
    pub fn delivered_in_all(&self) -> usize {
        self.delivered.len()
    }

    /// Looks at everything at the end, when nothing is on its way any more.
    pub fn close(&mut self) {
        for (conversation, accepted) in &self.accepted {
            let none = Vec::new();
            let first = self.first.get(conversation).unwrap_or(&none);
            if first == accepted {
                continue;
            }
            let lost = accepted.iter().filter(|id| !self.delivered.contains(id)).count();
            let what = if lost > 0 { format!("{lost} lost") } else { "out of order".to_owned() };
            self.faults.push(format!("{conversation}: {what} of {}", accepted.len()));
        }
    }
}
