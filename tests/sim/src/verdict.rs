//! What was seen, told to the checker that all layers of proof share, and what the simulation finds by itself.

use claw_checker::{Checker, Event};
use claw_types::{Epoch, ShardId, Work};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{HostId, Time};

/// Everything that was seen.
#[derive(Default)]
pub struct Findings {
    checker: Checker,
    /// What only the simulation can see.
    pub faults: Vec<String>,
    /// Who could know that it is connected as a bot, by bot.
    holders: Vec<Vec<HostId>>,
    /// Accepted so far.
    pub accepted: usize,
    /// Taken by the backend so far, each counted once.
    pub delivered: usize,
    /// Deliveries that came again, under the same id.
    pub again: usize,
    /// Deliveries of several messages.
    pub joined: usize,
}

fn name(id: u128) -> String {
    format!("{id:x}")
}

fn millis(time: Time) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Findings {
    /// A message is in somebody's hands who keeps it.
    pub fn accepted(&mut self, conversation: &str, id: u128) {
        tracing::debug!("accepted {id:x} in {conversation}");
        self.checker.record(Event::Accepted { conversation: conversation.to_owned(), id: name(id) });
    }

    /// The backend took a message.
    pub fn delivered(&mut self, work: &Work) {
        tracing::debug!("delivered {:x} at place {} in {}", work.id.0, work.seq, work.conversation);
        let body: Value = serde_json::from_str(work.payload.get()).unwrap_or_default();
        let merged = body["metadata"]["merged"].as_array();
        let ids =
            merged.map(|merged| merged.iter().filter_map(|part| part["id"].as_str()?.parse().ok()).collect());
        let ids: Vec<Uuid> = ids.unwrap_or_else(|| vec![work.id.0]);
        self.joined += usize::from(ids.len() > 1);
        for (n, id) in ids.iter().enumerate() {
            // A receiver goes by the webhook's id. What came under it before must have been the same messages.
            let (conversation, key) = (work.conversation.clone(), format!("{} {n}", work.id));
            let (id, digest) = (name(id.as_u128()), work.payload.get().to_owned());
            self.checker.record(Event::Delivered { conversation, id, key, digest });
        }
    }

    /// An owner's write was taken.
    pub fn committed(&mut self, shard: ShardId, epoch: Epoch, newest: Epoch) {
        self.checker.record(Event::Committed { shard: shard.0, epoch: epoch.0, newest: newest.0 });
    }

    /// Who is connected as a bot right now, as far as they could know.
    pub fn holders(&mut self, now: Time, bot: usize, hosts: &[HostId]) {
        if self.holders.len() <= bot {
            self.holders.resize(bot + 1, Vec::new());
        }
        let before = std::mem::replace(&mut self.holders[bot], hosts.to_vec());
        let (bot, at) = (bot.to_string(), millis(now));
        let by = |host: &HostId| format!("host {}", host.0);
        for gone in before.iter().filter(|host| !hosts.contains(host)) {
            self.checker.record(Event::LetGo { bot: bot.clone(), by: by(gone), at });
        }
        for new in hosts.iter().filter(|host| !before.contains(host)) {
            self.checker.record(Event::Held { bot: bot.clone(), by: by(new), at });
        }
    }

    /// The verdict, when nothing is on its way any more.
    pub fn close(&mut self) {
        let report = self.checker.verdict();
        (self.accepted, self.delivered, self.again) = (report.accepted, report.delivered, report.again);
        let kinds = [
            ("lost", report.lost),
            ("duplicate", report.duplicates),
            ("out of order", report.out_of_order),
            ("stale write", report.stale_writes),
            ("held twice", report.held_twice),
        ];
        for (kind, found) in kinds {
            self.faults.extend(found.into_iter().map(|fault| format!("{kind}: {fault}")));
        }
    }
}
