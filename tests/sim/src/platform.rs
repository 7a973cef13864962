//! The chat platform: bots with updates that are handed out until they are confirmed, and who is connected as which bot.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use claw_types::ShardId;

use crate::world::{HostId, Time, World};

/// What somebody wrote to a bot.
#[derive(Debug, Clone)]
pub struct Update {
    /// Counts up.
    pub id: u64,
    /// The chat.
    pub conversation: String,
}

/// A connection of a bot.
pub type ConnectionId = u64;

/// A bot's side of the platform.
#[derive(Debug)]
pub struct Bot {
    /// Its channel's shard.
    pub shard: ShardId,
    updates: VecDeque<Update>,
    connected: BTreeMap<ConnectionId, HostId>,
    last_update: u64,
}

/// A process that was frozen sees that it was within this, and lets go of its connections.
const NOTICES: Duration = Duration::from_millis(100);

/// The server.
#[derive(Debug)]
pub struct Platform {
    /// By their number.
    pub bots: Vec<Bot>,
    next_connection: ConnectionId,
}

impl Platform {
    /// With bots whose channels are in these shards.
    pub fn new(shards: Vec<ShardId>) -> Self {
        let bot = |shard| Bot { shard, updates: VecDeque::new(), connected: BTreeMap::new(), last_update: 0 };
        Self { bots: shards.into_iter().map(bot).collect(), next_connection: 0 }
    }

    /// Somebody writes.
    pub fn write(&mut self, bot: usize, conversation: &str) -> u64 {
        let bot = &mut self.bots[bot];
        bot.last_update += 1;
        bot.updates.push_back(Update { id: bot.last_update, conversation: conversation.to_owned() });
        bot.last_update
    }

    /// What is behind `confirmed`; what is not is forgotten.
    pub fn poll(&mut self, bot: usize, confirmed: u64) -> Vec<Update> {
        let bot = &mut self.bots[bot];
        bot.updates.retain(|update| update.id > confirmed);
        bot.updates.iter().take(10).cloned().collect()
    }

    /// How many updates nobody has confirmed.
    pub fn waiting(&self) -> usize {
        self.bots.iter().map(|bot| bot.updates.len()).sum()
    }

    /// How many bots are connected.
    pub fn connected(&self) -> usize {
        self.bots.iter().filter(|bot| !bot.connected.is_empty()).count()
    }

    /// A bot connects.
    pub fn connect(&mut self, bot: usize, host: HostId) -> ConnectionId {
        self.next_connection += 1;
        self.bots[bot].connected.insert(self.next_connection, host);
        self.next_connection
    }

    /// It lets go.
    pub fn disconnect(&mut self, bot: usize, connection: ConnectionId) {
        self.bots[bot].connected.remove(&connection);
    }

    /// A process died; its kernel closes its connections.
    pub fn disconnect_host(&mut self, host: HostId) {
        for bot in &mut self.bots {
            bot.connected.retain(|_, other| *other != host);
        }
    }
}

/// Tells who is connected as which bot. A frozen process can't let go; it does not know, and does nothing.
pub fn inspect(world: &mut World) {
    let aware = |host: &HostId, now: Time| {
        let thawed = world.thawed.get(host).is_none_or(|at| now - *at > NOTICES);
        !world.frozen.contains(host) && thawed
    };
    for number in 0..world.platform.bots.len() {
        let connected = world.platform.bots[number].connected.values().copied();
        let hosts: Vec<HostId> = connected.filter(|host| aware(host, world.now)).collect();
        world.findings.holders(world.now, number, &hosts);
    }
}
