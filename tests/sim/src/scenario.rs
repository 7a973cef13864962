//! One run: a cluster under load, things that go wrong at random, then peace, then the verdict. Everything follows from
//! the seed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claw_types::{ShardCount, ShardId};

use crate::database::{Broken, Database};
use crate::host::Host;
use crate::messages;
use crate::platform::{self, Platform};
use crate::world::{HostId, Link, Net, Server, Time, World};

/// What a step of simulated time is.
const TICK: Duration = Duration::from_millis(5);
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(60);
/// How long everything may take to come right afterwards: the longest wait between attempts by then, and a takeover.
const PEACE: Duration = Duration::from_secs(180);
/// So many shards, bots, chats of each bot on each way, messages of each chat by gateways.
const SHARDS: u16 = 8;
const BOTS: usize = 12;
const CHATS: u32 = 2;
const PUSHES: u64 = 40;
/// Workers at the beginning, and at most.
const WORKERS: u32 = 3;
const MOST_WORKERS: usize = 5;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which one.
    pub seed: u64,
    /// Messages accepted.
    pub accepted: usize,
    /// Messages delivered.
    pub delivered: usize,
    /// Deliveries that came again, under the same id.
    pub again: usize,
    /// Deliveries of several messages that one person wrote in a burst.
    pub joined: usize,
    /// What was done to it.
    pub troubles: BTreeMap<&'static str, u32>,
    /// Statements that the database answered, in all.
    pub statements: u64,
    /// When everything was delivered.
    pub ended: Time,
    /// What went wrong: nothing.
    pub faults: Vec<String>,
}

struct Run {
    net: Net,
    hosts: BTreeMap<HostId, Host>,
    shards: ShardCount,
    next_host: u32,
    seed: u64,
    troubles: BTreeMap<&'static str, u32>,
    /// What is to be undone, and when.
    undo: Vec<(Time, Undo)>,
}

#[derive(Debug, Clone)]
enum Undo {
    Thaw(HostId),
    Link(HostId, Server),
    Server(Server),
    Start(String),
    Drain(HostId),
    Backend,
    Losses,
}

/// Runs a seed against a world that works, or one that is broken on purpose.
///
/// # Errors
/// When the machine does not give what a runtime needs.
pub fn run(seed: u64, broken: Broken) -> std::io::Result<Outcome> {
    let mut run = Run::new(seed, broken)?;
    while run.now() < TROUBLE {
        run.make_trouble()?;
        run.step()?;
    }
    run.make_peace()?;
    while !run.is_done() && run.now() < TROUBLE + PEACE {
        run.step()?;
    }
    Ok(run.close())
}

/// Runs every seed, on as many threads as there are cores; the outcomes come in the order of the seeds.
///
/// # Errors
/// When the machine does not give what a runtime needs.
pub fn run_all(seeds: Range<u64>, broken: Broken) -> std::io::Result<Vec<Outcome>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, outcomes) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return std::io::Result::Ok(());
            }
            let outcome = run(seed, broken)?;
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let panicked = |_| std::io::Error::other("a seed panicked");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(panicked)?)
    })?;
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|outcome| outcome.seed);
    Ok(outcomes)
}

impl Run {
    fn new(seed: u64, broken: Broken) -> std::io::Result<Self> {
        let shards = ShardCount::new(SHARDS).unwrap_or(ShardCount::DEFAULT);
        let of_bot = |bot: usize| ShardId(u16::try_from(bot).unwrap_or_default() % SHARDS);
        let platform = Platform::new((0..BOTS).map(of_bot).collect());
        let net = Net::new(World::new(seed, Database::new(shards, broken), platform));
        let mut run = Self {
            net,
            hosts: BTreeMap::new(),
            shards,
            next_host: 0,
            seed,
            troubles: BTreeMap::new(),
            undo: Vec::new(),
        };
        for n in 0..WORKERS {
            run.start(&format!("worker-{n}"))?;
        }
        let mut world = run.net.world();
        for bot in 0..BOTS {
            for chat in 0..CHATS {
                let begins = world.up_to(Duration::from_secs(3));
                world.after(begins, move |world| messages::push(world, bot, chat, 0, PUSHES));
            }
        }
        drop(world);
        Ok(run)
    }

    fn now(&self) -> Time {
        self.net.world().now
    }

    fn start(&mut self, name: &str) -> std::io::Result<()> {
        self.next_host += 1;
        let id = HostId(self.next_host);
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(id.0));
        self.hosts.insert(id, Host::start(&self.net, id, name, self.shards, seed)?);
        Ok(())
    }

    /// A tick of time for the world and for everybody who lives.
    fn step(&mut self) -> std::io::Result<()> {
        let mut world = self.net.world();
        let next = world.now + TICK;
        world.run_until(next);
        world.database.tick(next);
        if world.chance(0.05) && next < TROUBLE {
            let (bot, chat) = (pick(&mut world, BOTS), u32::from(world.chance(0.5)));
            messages::write(&mut world, bot, chat);
        }
        let frozen = world.frozen.clone();
        drop(world);
        for host in self.hosts.values_mut() {
            if frozen.contains(&host.id) {
                host.miss(TICK);
            } else {
                host.step(TICK);
            }
        }
        platform::inspect(&mut self.net.world());
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.undo).into_iter().partition(|(at, _)| *at <= next);
        self.undo = later;
        for (_, undo) in due {
            self.undo(undo)?;
        }
        Ok(())
    }

    /// Now and then something goes wrong: about every second and a half.
    fn make_trouble(&mut self) -> std::io::Result<()> {
        if !self.net.world().chance(TICK.as_secs_f64() / 1.5) {
            return Ok(());
        }
        let what = pick(&mut self.net.world(), 13);
        let Some(host) = self.any_host() else { return Ok(()) };
        let lasts = self.net.world().up_to(Duration::from_secs(12)) + Duration::from_millis(200);
        let name = match what {
            0 | 1 => self.crash(host, lasts),
            2 | 3 => self.freeze(host, lasts),
            4 | 5 => self.bend(host, Server::Database, Link::BlackHole, lasts),
            6 => self.bend(host, Server::Database, Link::Cut, lasts),
            7 => self.bend(host, Server::Database, Link::Slow, lasts),
            8 => self.bend(host, Server::Road, Link::Cut, lasts),
            9 => self.server_down(lasts),
            10 => self.leave_or_join(host)?,
            11 => self.drain(host, lasts),
            _ => self.backend_or_losses(lasts),
        };
        *self.troubles.entry(name).or_insert(0) += 1;
        Ok(())
    }

    fn any_host(&self) -> Option<HostId> {
        let hosts: Vec<HostId> = self.hosts.keys().copied().collect();
        (!hosts.is_empty()).then(|| hosts[pick(&mut self.net.world(), hosts.len())])
    }

    fn later(&mut self, lasts: Duration, undo: Undo) {
        self.undo.push((self.now() + lasts, undo));
    }

    fn crash(&mut self, id: HostId, lasts: Duration) -> &'static str {
        let Some(host) = self.hosts.remove(&id) else { return "crash" };
        // A process of the same name comes back, or one that nobody has heard of.
        let again = self.net.world().chance(0.5);
        let name = if again { host.name.clone() } else { format!("worker-{}-again", self.next_host) };
        self.gone(id);
        drop(host);
        self.later(lasts / 2, Undo::Start(name));
        "crash"
    }

    /// The kernel closes what a process had open, a moment later for the server.
    fn gone(&mut self, id: HostId) {
        let mut world = self.net.world();
        world.frozen.remove(&id);
        world.platform.disconnect_host(id);
        world.road.disconnect(id);
        // A machine that dies says nothing: then the server waits for its time-out.
        if world.chance(0.7) {
            let delay = world.up_to(Duration::from_millis(50));
            world.after(delay, move |world| world.database.disconnect(id));
        }
    }

    fn freeze(&mut self, id: HostId, lasts: Duration) -> &'static str {
        if self.net.world().frozen.insert(id) {
            self.later(lasts, Undo::Thaw(id));
        }
        "freeze"
    }

    fn bend(&mut self, id: HostId, server: Server, link: Link, lasts: Duration) -> &'static str {
        self.net.world().set_link(id, server, link);
        if server == Server::Database && link == Link::Cut {
            self.net.world().database.disconnect(id);
        }
        self.later(lasts, Undo::Link(id, server));
        match (server, link) {
            (Server::Road, _) => "no NATS",
            (_, Link::BlackHole) => "black hole",
            (_, Link::Cut) => "cut",
            _ => "slow",
        }
    }

    fn server_down(&mut self, lasts: Duration) -> &'static str {
        let mut world = self.net.world();
        let server = if world.chance(0.5) { Server::Database } else { Server::Road };
        world.set_down(server, true);
        if server == Server::Database {
            world.database.restart();
        }
        drop(world);
        self.later(lasts / 3, Undo::Server(server));
        if server == Server::Database { "database restart" } else { "NATS down" }
    }

    fn leave_or_join(&mut self, id: HostId) -> std::io::Result<&'static str> {
        if self.hosts.len() < MOST_WORKERS && self.net.world().chance(0.6) {
            self.start(&format!("worker-{}", self.next_host))?;
            return Ok("join");
        }
        if let Some(host) = self.hosts.get(&id) {
            host.terminate();
        }
        Ok("leave")
    }

    fn drain(&mut self, id: HostId, lasts: Duration) -> &'static str {
        if let Some(host) = self.hosts.get(&id) {
            host.drain(true);
            self.later(lasts, Undo::Drain(id));
        }
        "drain"
    }

    fn backend_or_losses(&mut self, lasts: Duration) -> &'static str {
        let mut world = self.net.world();
        if world.chance(0.5) {
            world.backend.refuses = true;
            drop(world);
            self.later(lasts / 3, Undo::Backend);
            return "backend refuses";
        }
        world.road.loses = 0.3;
        drop(world);
        self.later(lasts, Undo::Losses);
        "NATS loses"
    }

    fn undo(&mut self, undo: Undo) -> std::io::Result<()> {
        match undo {
            Undo::Thaw(id) => {
                let mut world = self.net.world();
                if world.frozen.remove(&id) {
                    let now = world.now;
                    world.thawed.insert(id, now);
                }
            }
            Undo::Link(id, server) => self.net.world().set_link(id, server, Link::Up),
            Undo::Server(server) => self.net.world().set_down(server, false),
            Undo::Start(name) => self.start(&name)?,
            Undo::Drain(id) => {
                if let Some(host) = self.hosts.get(&id) {
                    host.drain(false);
                }
            }
            Undo::Backend => self.net.world().backend.refuses = false,
            Undo::Losses => self.net.world().road.loses = 0.0,
        }
        Ok(())
    }

    /// Everything works again, and somebody is there.
    fn make_peace(&mut self) -> std::io::Result<()> {
        for (_, undo) in std::mem::take(&mut self.undo) {
            self.undo(undo)?;
        }
        self.start("last")
    }

    fn is_done(&self) -> bool {
        let world = self.net.world();
        world.platform.waiting() == 0
            && world.database.pending() == 0
            && world.platform.connected() == BOTS
            && world.database.owned() == usize::from(SHARDS)
    }

    fn close(self) -> Outcome {
        let mut world = self.net.world();
        let (waiting, pending) = (world.platform.waiting(), world.database.pending());
        let (connected, owned) = (world.platform.connected(), world.database.owned());
        if !(waiting == 0 && pending == 0 && connected == BOTS && owned == usize::from(SHARDS)) {
            world.findings.faults.push(format!(
                "not right again after {PEACE:?}: {waiting} updates wait at the platform, {pending} messages are pending, \
                 {connected} of {BOTS} bots are connected, {owned} of {SHARDS} shards are owned"
            ));
        }
        world.findings.close();
        Outcome {
            seed: self.seed,
            accepted: world.findings.accepted,
            delivered: world.findings.delivered,
            again: world.findings.again,
            joined: world.findings.joined,
            troubles: self.troubles.clone(),
            statements: world.database.statements.values().sum(),
            ended: world.now,
            faults: world.findings.faults.clone(),
        }
    }
}

fn pick(world: &mut World, of: usize) -> usize {
    use rand::Rng as _;
    world.random.random_range(0..of)
}
