//! `make chaos`: a cluster of real processes under load while processes and networks fail, judged by the checker that all
//! layers share.
//!
//! Each scenario prints its figures at its end; a broken rule or bound ends in exit code 1. Which processes are struck is
//! drawn from a seed, which is printed; what then happens in real processes is not repeatable.

mod backend;
mod load;
mod report;
mod scenarios;
mod watch;
mod world;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use claw_runtime::{OsRandom, Random as _};
use claw_testkit::Report;
use claw_testkit::fault_proxy::Mode;
use tokio::signal::unix::{SignalKind, signal};

use crate::scenarios::{HALF_OPEN, Options, Way};

#[derive(Parser)]
#[command(name = "claw-chaos", about = "Real processes under load while processes and networks fail")]
struct Cli {
    /// What fails; everything, one after the other, when none is named
    scenarios: Vec<Scenario>,
    /// Rounds of each scenario, instead of its own number; of jobs-freeze every tenth takes 150 s
    #[arg(long)]
    rounds: Option<u32>,
    /// Messages a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Scheduled jobs, where a scenario has some
    #[arg(long, default_value_t = 1_000)]
    jobs: u64,
    /// What random choices are drawn from; a random one when not given
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    Kill,
    Freeze,
    BlackholePostgres,
    HalfopenPostgres,
    BlackholeNats,
    HalfopenNats,
    NatsMinute,
    NatsWipe,
    PostgresRestart,
    JobsKill,
    JobsFreeze,
}

impl Scenario {
    fn rounds(self) -> u32 {
        match self {
            Self::Kill => 300,
            Self::JobsKill | Self::JobsFreeze => 100,
            Self::BlackholePostgres | Self::HalfopenPostgres | Self::BlackholeNats | Self::HalfopenNats => 50,
            Self::Freeze | Self::NatsMinute | Self::NatsWipe | Self::PostgresRestart => 1,
        }
    }

    async fn run(self, report: &mut Report, options: Options) -> anyhow::Result<()> {
        let hole = [Mode::BlackHole];
        match self {
            Self::Kill => scenarios::kill(report, options).await,
            Self::Freeze => scenarios::freeze(report, options).await,
            Self::BlackholePostgres => {
                scenarios::way_fails(report, "blackhole-postgres", options, Way::Postgres, &hole).await
            }
            Self::HalfopenPostgres => {
                scenarios::way_fails(report, "halfopen-postgres", options, Way::Postgres, &HALF_OPEN).await
            }
            Self::BlackholeNats => {
                scenarios::way_fails(report, "blackhole-nats", options, Way::Nats, &hole).await
            }
            Self::HalfopenNats => {
                scenarios::way_fails(report, "halfopen-nats", options, Way::Nats, &HALF_OPEN).await
            }
            Self::NatsMinute => scenarios::nats_away(report, options, false).await,
            Self::NatsWipe => scenarios::nats_away(report, options, true).await,
            Self::PostgresRestart => scenarios::postgres_restart(report, options).await,
            Self::JobsKill => scenarios::jobs::kill(report, options).await,
            Self::JobsFreeze => scenarios::jobs::freeze(report, options).await,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    claw_testkit::install_tls();
    let cli = Cli::parse();
    let mut drawn = [0; 8];
    OsRandom.fill(&mut drawn);
    let seed = cli.seed.unwrap_or(u64::from_le_bytes(drawn));
    let all = Scenario::value_variants();
    let chosen = if cli.scenarios.is_empty() { all } else { &cli.scenarios };
    let mut report = Report::default();
    let mut terminate = signal(SignalKind::terminate())?;
    let scenarios = async {
        for scenario in chosen {
            let rounds = cli.rounds.unwrap_or(scenario.rounds());
            scenario.run(&mut report, Options { rounds, rate: cli.rate, seed, jobs: cli.jobs }).await?;
        }
        anyhow::Ok(())
    };
    // What runs is dropped then, and the processes end with it.
    tokio::select! {
        done = scenarios => done?,
        _ = terminate.recv() => anyhow::bail!("told to stop before the end"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped before the end"),
    }
    Ok(if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
