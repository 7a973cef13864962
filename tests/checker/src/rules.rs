//! The rules themselves, each with what it has to remember.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Rules 1 to 3.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// By conversation, in the order of acceptance.
    accepted: BTreeMap<String, Vec<String>>,
    known: HashSet<String>,
    /// By conversation, in the order of first deliveries.
    first: BTreeMap<String, Vec<String>>,
    delivered: HashMap<String, Seen>,
    /// Which message came under a key.
    keys: HashMap<String, String>,
    again: usize,
    outstanding: usize,
    duplicates: Vec<String>,
}

/// How a message came first.
#[derive(Debug)]
struct Seen {
    conversation: String,
    key: String,
    digest: String,
}

impl Messages {
    pub(crate) fn accepted(&mut self, conversation: String, id: String) {
        if !self.known.insert(id.clone()) {
            self.duplicates.push(format!("{id} was accepted twice: the test names its messages badly"));
            return;
        }
        if !self.delivered.contains_key(&id) {
            self.outstanding += 1;
        }
        self.accepted.entry(conversation).or_default().push(id);
    }

    pub(crate) fn delivered(&mut self, conversation: String, id: String, key: String, digest: String) {
        let owner = self.keys.entry(key.clone()).or_insert_with(|| id.clone());
        if *owner != id {
            self.duplicates.push(format!("{id} came under the key of {owner}: a receiver leaves it out"));
        }
        let Some(before) = self.delivered.get(&id) else {
            if self.known.contains(&id) {
                self.outstanding -= 1;
            }
            self.first.entry(conversation.clone()).or_default().push(id.clone());
            self.delivered.insert(id, Seen { conversation, key, digest });
            return;
        };
        self.again += 1;
        if before.key != key {
            self.duplicates.push(format!("{id} came under the keys {} and {key}", before.key));
        } else if before.digest != digest {
            self.duplicates.push(format!("{id} came again with another body"));
        } else if before.conversation != conversation {
            self.duplicates.push(format!("{id} came in {} and in {conversation}", before.conversation));
        }
    }

    pub(crate) fn accepted_in_all(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn delivered_in_all(&self) -> usize {
        self.delivered.len()
    }

    pub(crate) fn again(&self) -> usize {
        self.again
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    pub(crate) fn duplicates(&self) -> Vec<String> {
        self.duplicates.clone()
    }

    pub(crate) fn lost(&self) -> Vec<String> {
        let all =
            self.accepted.iter().flat_map(|(conversation, ids)| ids.iter().map(move |id| (conversation, id)));
        let lost = all.filter(|(_, id)| !self.delivered.contains_key(*id));
        lost.map(|(conversation, id)| format!("{id} of {conversation}")).collect()
    }

    /// The first message of each conversation that overtook another. Those that are lost are not counted once more, and
    /// those whose sender never heard that they are in have no place of their own.
    pub(crate) fn out_of_order(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (conversation, accepted) in &self.accepted {
            let came = self.first.get(conversation).map(Vec::as_slice).unwrap_or_default();
            let came: Vec<&String> = came.iter().filter(|id| self.known.contains(*id)).collect();
            let here: BTreeSet<&String> = came.iter().copied().collect();
            let due: Vec<&String> = accepted.iter().filter(|id| here.contains(id)).collect();
            if let Some((due, came)) = due.iter().zip(&came).find(|(due, came)| due != came) {
                faults.push(format!("{conversation}: {came} came before {due}"));
            } else if due.len() != came.len() {
                faults.push(format!("{conversation}: it got messages that were accepted in another one"));
            }
        }
        faults
    }
}

/// Rule 4.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    newest: BTreeMap<u16, i64>,
    faults: Vec<String>,
}

impl Epochs {
    pub(crate) fn committed(&mut self, shard: u16, epoch: i64, newest: i64) {
        let last = self.newest.entry(shard).or_insert(newest);
        if epoch < newest {
            self.faults.push(format!("shard {shard}: a write of epoch {epoch} when {newest} was the newest"));
        } else if newest < *last {
            self.faults.push(format!("shard {shard}: epoch {newest} was the newest after {last} had been"));
        }
        *last = (*last).max(newest).max(epoch);
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }
}

/// Rule 5.
#[derive(Debug, Default)]
pub(crate) struct Bots {
    held: HashMap<String, Vec<String>>,
    faults: Vec<String>,
}

impl Bots {
    pub(crate) fn held(&mut self, bot: &str, by: String, at: u64) {
        let holders = self.held.entry(bot.to_owned()).or_default();
        if !holders.is_empty() {
            self.faults.push(format!("at {at} ms: {bot} is held by {by} and by {}", holders.join(", ")));
        }
        holders.push(by);
    }

    pub(crate) fn let_go(&mut self, bot: &str, by: &str, at: u64) {
        let holders = self.held.entry(bot.to_owned()).or_default();
        match holders.iter().position(|holder| holder == by) {
            Some(place) => drop(holders.swap_remove(place)),
            None => self.faults.push(format!("at {at} ms: {by} let go of {bot} without holding it")),
        }
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }
}
