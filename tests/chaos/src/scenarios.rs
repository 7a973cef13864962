//! The scenarios. Each starts a cluster and its load, breaks things round by round, and ends with the checker's verdict.

pub(crate) mod jobs;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use claw_runtime::{Random as _, SeededRandom};
use claw_testkit::fault_proxy::{End, Mode};
use claw_testkit::{Report, Spread};
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use crate::load::Load;
use crate::report;
use crate::watch::{self, Frozen};
use crate::world::World;

/// The owner has stopped within this time of losing Postgres, and others have taken over within the other.
const STOPS_WITHIN: Duration = Duration::from_secs(4);
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// A fault of Postgres lasts longer than a takeover may take, so that a late one is measured, not cut short.
const FAULT_LASTS: Duration = Duration::from_secs(12);
/// A fault of NATS lasts until its client has noticed and has seen some sweeps.
const NATS_FAULT_LASTS: Duration = Duration::from_secs(10);
/// Everything accepted is delivered within this time of the end of the faults.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);
/// A worker that is there owns something within this time.
const OWNS_WITHIN: Duration = Duration::from_secs(60);
/// The load between two rounds.
const CALM: Duration = Duration::from_secs(1);
/// A round is told of every so many.
const TOLD_EVERY: u32 = 10;

/// What the command line asks for.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) rounds: u32,
    pub(crate) rate: u32,
    pub(crate) seed: u64,
    /// Scheduled jobs, where a scenario has some.
    pub(crate) jobs: u64,
}

/// Which way of a worker fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Postgres,
    Nats,
}

/// A scenario under way.
struct Run {
    world: World,
    load: Load,
    database: PgConnection,
    random: SeededRandom,
    began: Instant,
    frozen: Vec<Frozen>,
}

impl Run {
    async fn start(report: &Report, name: &str, options: Options) -> anyhow::Result<Self> {
        let Options { rounds, rate, seed, .. } = options;
        report.tell(&format!("{name}: {rounds} rounds under {rate} messages a second, seed {seed}"));
        let began = Instant::now();
        let mut world = World::start().await?;
        let mut database = world.database().await?;
        watch::note_writes(&mut database).await?;
        let load = Load::start(&world, rate).await?;
        world.healthy().await?;
        Ok(Self { world, load, database, random: SeededRandom::new(seed), began, frozen: Vec::new() })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small"
    )]
    fn pick(&self, places: &[usize]) -> usize {
        places[(self.random.unit() * places.len() as f64) as usize]
    }

    /// The place of a random worker and the bots that it holds: at least one, which a worker that came back may have to wait
    /// for.
    async fn pick_owner(&mut self) -> anyhow::Result<(usize, BTreeSet<u32>)> {
        let place = self.pick(&self.world.places("worker"));
        let deadline = Instant::now() + OWNS_WITHIN;
        loop {
            self.world.supervise()?;
            let bots = watch::bots_of(&mut self.database, &self.world.slots[place].name).await?;
            if !bots.is_empty() {
                return Ok((place, bots));
            }
            ensure!(Instant::now() < deadline, "{} owns nothing", self.world.slots[place].name);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until all is delivered and asks the checker.
    async fn finish(mut self, report: &mut Report) -> anyhow::Result<()> {
        self.world.healthy().await?;
        let refused = self.load.stop().await?;
        let deadline = Instant::now() + SETTLES_WITHIN;
        let mut told = 0;
        loop {
            let sent = self.world.platform.sent();
            for message in sent[told..].iter().filter(|message| !jobs::is_of_a_job(message)) {
                self.world.witness.delivered(&message.text, &message.text, message.text.as_bytes());
            }
            told = sent.len();
            let outstanding = self.world.witness.checker().outstanding();
            if outstanding == 0 || Instant::now() > deadline {
                break;
            }
            self.world.supervise()?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let writes = watch::tell_writes(&mut self.database, &self.world.witness).await?;
        watch::tell_polls(&self.world.platform, &self.world.witness, self.began, &self.frozen);
        let verdict = self.world.witness.checker().verdict();
        report.tell(&format!("  {writes} owners' writes looked at; {refused} attempts of senders refused"));
        report::verdict(report, &verdict);
        self.world.stop().await
    }
}

/// A process of a random role ends without notice, and another one takes its place.
pub(crate) async fn kill(report: &mut Report, options: Options) -> anyhow::Result<()> {
    let mut run = Run::start(report, "kill", options).await?;
    let all: Vec<usize> = (0..run.world.slots.len()).collect();
    for round in 1..=options.rounds {
        let place = run.pick(&all);
        run.world.slots[place].process.kill().await;
        run.world.restart(place)?;
        run.world.healthy().await?;
        tokio::time::sleep(CALM).await;
        if round % TOLD_EVERY == 0 {
            report.tell(&format!("  {round} kills after {:.0?}", run.began.elapsed()));
        }
    }
    run.finish(report).await
}

/// An owner is stopped in its tracks for 30 s and goes on as if nothing had happened.
pub(crate) async fn freeze(report: &mut Report, options: Options) -> anyhow::Result<()> {
    let mut run = Run::start(report, "freeze", options).await?;
    for _ in 0..options.rounds {
        let (place, bots) = run.pick_owner().await?;
        let from = Instant::now();
        run.world.slots[place].process.signal("STOP").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let until = Instant::now();
        run.world.slots[place].process.signal("CONT").await;
        run.frozen.push(Frozen { bots, from, until });
        run.world.healthy().await?;
        tokio::time::sleep(CALM).await;
    }
    run.finish(report).await
}

/// One worker's way to Postgres or NATS fails in this mode, and is well again later.
pub(crate) async fn way_fails(
    report: &mut Report,
    name: &str,
    options: Options,
    way: Way,
    modes: &[Mode],
) -> anyhow::Result<()> {
    let mut run = Run::start(report, name, options).await?;
    let (mut stops, mut takeovers) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let (place, bots) = run.pick_owner().await?;
        let mode = modes[round as usize % modes.len()];
        let slot = &run.world.slots[place];
        let (proxy, lasts) = match way {
            Way::Postgres => (&slot.postgres, FAULT_LASTS),
            Way::Nats => (&slot.nats, NATS_FAULT_LASTS),
        };
        let fault = Instant::now();
        proxy.set(mode);
        tokio::time::sleep(lasts).await;
        proxy.set(Mode::Pass);
        if way == Way::Postgres {
            let times = bots.iter().filter_map(|bot| watch::handed_over(&run.world.platform, *bot, fault));
            let (stopped, taken): (Vec<_>, Vec<_>) = times.unzip();
            stops.extend(stopped);
            takeovers.extend(taken);
        }
        run.world.healthy().await?;
        tokio::time::sleep(CALM).await;
        if round % TOLD_EVERY == 0 {
            report.tell(&format!("  {round} rounds after {:.0?}", run.began.elapsed()));
        }
    }
    if way == Way::Postgres {
        report::spread(report, "fault until the owner let a bot go", &Spread::of(stops), STOPS_WITHIN);
        report::spread(report, "fault until others polled it", &Spread::of(takeovers), TAKEN_WITHIN);
    }
    run.finish(report).await
}

/// The modes in which a connection is open at one end only.
pub(crate) const HALF_OPEN: [Mode; 2] =
    [Mode::HalfOpen { closed: End::Server }, Mode::HalfOpen { closed: End::Client }];

/// NATS is away for a minute, or comes back with nothing of what it kept.
pub(crate) async fn nats_away(report: &mut Report, options: Options, wiped: bool) -> anyhow::Result<()> {
    let name = if wiped { "nats-wipe" } else { "nats-minute" };
    let mut run = Run::start(report, name, options).await?;
    for _ in 0..options.rounds {
        tokio::time::sleep(CALM).await;
        run.world.stop_nats().await?;
        tokio::time::sleep(Duration::from_secs(if wiped { 5 } else { 60 })).await;
        run.world.start_nats(wiped).await?;
        run.world.healthy().await?;
    }
    run.finish(report).await
}

/// Postgres is restarted under load.
pub(crate) async fn postgres_restart(report: &mut Report, options: Options) -> anyhow::Result<()> {
    let mut run = Run::start(report, "postgres-restart", options).await?;
    for _ in 0..options.rounds {
        tokio::time::sleep(CALM).await;
        run.world.restart_postgres().await?;
        run.world.healthy().await?;
        run.database = run.world.database().await?;
    }
    run.finish(report).await
}
