//! `ii-claw`: every role, the all-in-one, and the operator's commands in one binary.

mod commands;
mod echo;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use claw_config::{GatewaySettings, LogSettings, SchedulerSettings, WorkerSettings};

use commands::{doctor::DoctorSettings, migrate::MigrateSettings, up::UpSettings};

/// A gateway between people on chat platforms and an AI backend.
#[derive(Parser)]
#[command(name = "ii-claw", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Subcommand)]
enum Command {
    /// Run every role in this process, with a private database and broker unless told where others are
    Up(Box<UpSettings>),
    /// Run a gateway: API, platform webhooks, web chat
    Gateway(Box<GatewaySettings>),
    /// Run a shard-worker: adapter connections and deliveries
    Worker(Box<WorkerSettings>),
    /// Run a scheduler: one leads, the others stand by
    Scheduler(Box<SchedulerSettings>),
    /// Create or upgrade the database's schema
    Migrate(MigrateSettings),
    /// Check settings, database, NATS and the backend, and say what is wrong
    Doctor(Box<DoctorSettings>),
}

fn main() -> ExitCode {
    let cli: Cli = match claw_launch::parse(Cli::command()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    claw_launch::run(&cli.log, async move |lifecycle| match cli.command {
        Command::Up(settings) => commands::up::run(*settings, lifecycle).await,
        Command::Gateway(settings) => commands::roles::gateway(*settings, lifecycle).await,
        Command::Worker(settings) => commands::roles::worker(*settings, lifecycle).await,
        Command::Scheduler(settings) => commands::roles::scheduler(*settings, lifecycle).await,
        Command::Migrate(settings) => commands::migrate::run(settings).await,
        Command::Doctor(settings) => commands::doctor::run(*settings).await,
    })
}
