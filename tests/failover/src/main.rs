//! `make failover` and `make idle`: what people notice when workers die, leave and join, and what a silent channel costs.
//!
//! Real processes on a private Postgres and NATS; the platform is in this process and records every long poll, so a channel
//! is in service exactly while the platform has a poll of its bot open. What breaks a bound ends in exit code 1.

mod cluster;
mod gaps;
mod measure;
mod sockets;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use claw_testkit::Report;

#[derive(Parser)]
#[command(name = "claw-failover", about = "How long channels are without service, and what they cost")]
struct Cli {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// One of two workers is killed, and one of three
    Takeover(Size),
    /// One of two workers is told to end
    Drain(Size),
    /// A third worker comes
    Join(Size),
    /// Takeover, drain and join
    All(Size),
    /// Memory and start of one worker with channels on which nothing happens
    Idle {
        /// Channels
        #[arg(long, default_value_t = 5000)]
        channels: u32,
        /// A platform to which each bot holds a WebSocket, in place of Telegram's long polls
        #[arg(long = "type")]
        kind: Option<sockets::Kind>,
    },
}

#[derive(Args)]
struct Size {
    /// Telegram channels
    #[arg(long, default_value_t = 1000)]
    channels: u32,
    /// How often a worker is killed, of two and of three
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

async fn takeovers(report: &mut Report, size: &Size) -> anyhow::Result<()> {
    for _ in 0..size.rounds {
        measure::takeover(report, size.channels, &[measure::TWO]).await?;
        measure::takeover(report, size.channels, &[measure::TWO, measure::THREE]).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    claw_testkit::install_tls();
    // The platform has a connection for each channel.
    claw_launch::raise_open_files()?;
    let mut report = Report::default();
    report.tell(&format!("machine: {}", claw_testkit::machine::describe()));
    match Cli::parse().measurement {
        Measurement::Takeover(size) => takeovers(&mut report, &size).await?,
        Measurement::Drain(size) => measure::drain(&mut report, size.channels).await?,
        Measurement::Join(size) => measure::join(&mut report, size.channels).await?,
        Measurement::All(size) => {
            takeovers(&mut report, &size).await?;
            measure::drain(&mut report, size.channels).await?;
            measure::join(&mut report, size.channels).await?;
        }
        Measurement::Idle { channels, kind: None } => measure::idle(&mut report, channels).await?,
        Measurement::Idle { channels, kind: Some(kind) } => {
            measure::idle_sockets(&mut report, kind, channels).await?;
        }
    }
    Ok(if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
