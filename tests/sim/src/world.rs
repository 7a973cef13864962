//! Everything outside of the workers: the time, the network between them and the servers, and the servers themselves.
//!
//! What happens in it is a queue of events in the order of their time; nothing else moves it. A request that was sent
//! is an event of its own, so it arrives, and is committed, even when its sender has died meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::oneshot;

use crate::backend::Backend;
use crate::database::Database;
use crate::platform::Platform;
use crate::road::Road;
use crate::verdict::Findings;

/// Since the beginning of the simulation.
pub type Time = Duration;

/// A simulated process: its number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// What a host talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// Postgres, lease connection and pool alike.
    Database,
    /// NATS.
    Road,
    /// The backend.
    Backend,
    /// The chat platform.
    Platform,
}

/// The way between a host and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Things arrive within milliseconds.
    #[default]
    Up,
    /// Things arrive late.
    Slow,
    /// Connections are reset and refused.
    Cut,
    /// Nothing arrives and nobody is told. What was sent may arrive when it ends.
    BlackHole,
}

type Event = Box<dyn FnOnce(&mut World) + Send>;

/// The connection was reset, or the server is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The world outside of the workers.
pub struct World {
    /// The database's clock and everybody's: clocks that differ are left to other tests.
    pub now: Time,
    /// The one source of every random choice.
    pub random: StdRng,
    /// Postgres.
    pub database: Database,
    /// NATS.
    pub road: Road,
    /// The backend.
    pub backend: Backend,
    /// The chat platform.
    pub platform: Platform,
    /// What was seen to go wrong.
    pub findings: Findings,
    /// Hosts that are stopped by a signal right now.
    pub frozen: BTreeSet<HostId>,
    /// When a host was last woken again.
    pub thawed: BTreeMap<HostId, Time>,
    links: BTreeMap<(HostId, Server), Link>,
    down: BTreeSet<Server>,
    events: BTreeMap<(Time, u64), Event>,
    /// What a black hole swallowed, by where.
    swallowed: Vec<(HostId, Server, Event)>,
    next: u64,
}

impl World {
    /// An empty one.
    pub fn new(seed: u64, database: Database, platform: Platform) -> Self {
        Self {
            now: Time::ZERO,
            random: StdRng::seed_from_u64(seed),
            database,
            road: Road::default(),
            backend: Backend::default(),
            platform,
            findings: Findings::default(),
            frozen: BTreeSet::new(),
            thawed: BTreeMap::new(),
            links: BTreeMap::new(),
            down: BTreeSet::new(),
            events: BTreeMap::new(),
            swallowed: Vec::new(),
            next: 0,
        }
    }

    /// Has something happen in a while; in order with whatever happens at the same time.
    pub fn after(&mut self, delay: Duration, event: impl FnOnce(&mut Self) + Send + 'static) {
        self.next += 1;
        self.events.insert((self.now + delay, self.next), Box::new(event));
    }

    /// Lets everything happen up to this time.
    pub fn run_until(&mut self, time: Time) {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > time {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            event(self);
        }
        self.now = time;
    }

    /// A duration up to this one.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.random.random_range(0..micros))
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    /// The way between a host and a server.
    pub fn link(&self, host: HostId, server: Server) -> Link {
        if self.down.contains(&server) {
            return Link::Cut;
        }
        self.links.get(&(host, server)).copied().unwrap_or_default()
    }

    /// Changes the way. When a black hole ends, what it swallowed arrives late or its connection is reset.
    pub fn set_link(&mut self, host: HostId, server: Server, link: Link) {
        self.links.insert((host, server), link);
        let swallowed = std::mem::take(&mut self.swallowed);
        for (from, to, event) in swallowed {
            let here = (from, to) == (host, server);
            if !here || link == Link::BlackHole {
                self.swallowed.push((from, to, event));
            } else if link != Link::Cut && self.chance(0.5) {
                let delay = self.up_to(Duration::from_millis(50));
                self.after(delay, event);
            }
            // Otherwise it is dropped, and with it whoever waits for its answer hears of a reset.
        }
    }

    /// Stops a server (or lets it run again). Its connections are reset.
    pub fn set_down(&mut self, server: Server, down: bool) {
        if down {
            self.down.insert(server);
        } else {
            self.down.remove(&server);
        }
    }

    /// How long something takes on this way.
    fn latency(&mut self, link: Link) -> Duration {
        let usual = self.up_to(Duration::from_millis(2));
        match link {
            Link::Slow => usual + self.up_to(Duration::from_millis(1500)),
            _ => usual,
        }
    }

    fn carry(&mut self, host: HostId, server: Server, event: Event) {
        match self.link(host, server) {
            Link::Cut => {}
            Link::BlackHole => self.swallowed.push((host, server, event)),
            link => {
                let latency = self.latency(link);
                // Whether it is still open when it arrives is another question.
                self.after(latency, event);
            }
        }
    }
}

/// Everybody's handle on the world.
#[derive(Clone)]
pub struct Net(Arc<Mutex<World>>);

impl Net {
    /// Of this world.
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The world; never held across an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request to a server and its answer. The request takes effect when it arrives, whatever becomes of who sent
    /// it; the answer may be lost on its way.
    ///
    /// # Errors
    /// When the connection was reset.
    pub async fn call<R: Send + 'static>(
        &self,
        host: HostId,
        server: Server,
        request: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        let (answer, answered) = oneshot::channel();
        self.world().carry(
            host,
            server,
            Box::new(move |world| {
                if world.link(host, server) == Link::Cut {
                    return;
                }
                let result = request(world);
                let back: Event = Box::new(move |_| {
                    // Who asked may be gone.
                    drop(answer.send(result));
                });
                world.carry(host, server, back);
            }),
        );
        answered.await.map_err(|_| Gone)
    }
}
