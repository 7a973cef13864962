//! NATS: carries what is published to those who listen at that moment, and keeps nothing.

use std::collections::BTreeMap;

use claw_bus::Numbered;
use claw_types::{ShardId, Work};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::world::{HostId, Link, Server, World};

/// The server.
#[derive(Default)]
pub struct Road {
    work: Vec<(HostId, ShardId, mpsc::UnboundedSender<Numbered>)>,
    members: Vec<(HostId, mpsc::UnboundedSender<()>)>,
    numbers: BTreeMap<(u128, ShardId), u64>,
    /// One of so many messages is lost on its way.
    pub loses: f64,
}

impl Road {
    /// Begins to listen to a shard.
    pub fn subscribe(&mut self, host: HostId, shard: ShardId) -> mpsc::UnboundedReceiver<Numbered> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.work.retain(|(_, _, sender)| !sender.is_closed());
        self.work.push((host, shard, sender));
        receiver
    }

    /// Begins to listen to changes of the membership.
    pub fn subscribe_members(&mut self, host: HostId) -> mpsc::UnboundedReceiver<()> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.members.retain(|(_, sender)| !sender.is_closed());
        self.members.push((host, sender));
        receiver
    }

    /// A process died, and its connection with it.
    pub fn disconnect(&mut self, host: HostId) {
        self.work.retain(|(other, ..)| *other != host);
        self.members.retain(|(other, _)| *other != host);
    }
}

/// Publishes an accepted message; `publisher` is a gateway.
pub fn publish(world: &mut World, publisher: Uuid, work: Work) {
    let number = world.road.numbers.entry((publisher.as_u128(), work.shard)).or_insert(0);
    *number += 1;
    let number = *number;
    let shard = work.shard;
    let numbered = Numbered { publisher, number, work: Some(work) };
    let to: Vec<_> = world.road.work.iter().filter(|(_, of, _)| *of == shard).cloned().collect();
    for (host, _, sender) in to {
        let numbered = numbered.clone();
        deliver(world, host, move || {
            // Who listened may be gone.
            let _gone = sender.send(numbered);
        });
    }
}

/// Tells everybody that the membership changed.
pub fn tell_members(world: &mut World) {
    for (host, sender) in world.road.members.clone() {
        deliver(world, host, move || {
            let _gone = sender.send(());
        });
    }
}

fn deliver(world: &mut World, host: HostId, hand_over: impl FnOnce() + Send + 'static) {
    let loses = world.road.loses;
    if world.link(host, Server::Road) != Link::Up || world.chance(loses) {
        return;
    }
    // Now and then one overtakes another.
    let most = if world.chance(0.02) { 200 } else { 3 };
    let delay = world.up_to(std::time::Duration::from_millis(most));
    world.after(delay, move |_| hand_over());
}
