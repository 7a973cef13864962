//! `ii-claw`: every role, the all-in-one, and the operator's commands in one binary.

mod api;
mod commands;
mod echo;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use claw_config::{GatewaySettings, LogSettings};

use commands::backends::Backends;
use commands::channels::Channels;
use commands::cluster::{self, Cluster, OfScheduler, OfWorker, Scheduler, Status, Worker};
use commands::cron::Cron;
use commands::dead_letters::DeadLetters;
use commands::keys::Keys;
use commands::messages::Messages;
use commands::shell::{self, Completions, Man};
use commands::users::Users;
use commands::{
    doctor::DoctorSettings, migrate::MigrateSettings, reseal::ResealSettings, reshard::ReshardSettings,
    up::UpSettings,
};

/// A gateway between people on chat platforms and an AI backend.
#[derive(Parser)]
#[command(name = "ii-claw", version)]
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
    Worker(Box<Worker>),
    /// Run a scheduler: one leads, the others stand by
    Scheduler(Box<Scheduler>),
    /// Create or upgrade the database's schema
    Migrate(MigrateSettings),
    /// Change the number of shards, while no gateway, worker or scheduler runs
    Reshard(ReshardSettings),
    /// Seal everything under the current master key, while the cluster runs
    Reseal(ResealSettings),
    /// Check settings, database, NATS, members, the backend, the public URL and channels, and say what is wrong
    Doctor(Box<DoctorSettings>),
    /// Show who is in the cluster, who owns how much, who leads and what waits
    Status(Status),
    /// Watch the cluster
    Cluster(Cluster),
    /// List channels, make, change, test and delete them; let people in; try the adapters
    Channels(Box<Channels>),
    /// List messages, look at one, try it again, put it aside
    Messages(Box<Messages>),
    /// List messages that ended without success, try them again, put them aside
    DeadLetters(Box<DeadLetters>),
    /// Show and change where a user's messages go instead of the operator's backend
    Backends(Box<Backends>),
    /// List scheduled jobs and their runs, make, switch, test and delete them
    Cron(Box<Cron>),
    /// Make, list and revoke keys to the API
    Keys(Box<Keys>),
    /// Remove everything that is kept of a user
    Users(Box<Users>),
    /// Print what a shell needs to complete these commands
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    Man(Man),
}

fn main() -> ExitCode {
    let cli: Cli = match claw_launch::parse(Cli::command()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    claw_launch::run(&cli.log, async move |lifecycle| match cli.command {
        Command::Up(settings) => commands::up::run(*settings, lifecycle).await,
        Command::Gateway(settings) => commands::roles::gateway(*settings, lifecycle).await,
        Command::Worker(worker) => match worker.what {
            None => commands::roles::worker(worker.settings, lifecycle).await,
            Some(OfWorker::Drain(command)) => cluster::drain(command).await,
        },
        Command::Scheduler(scheduler) => match scheduler.what {
            None => commands::roles::scheduler(scheduler.settings, lifecycle).await,
            Some(OfScheduler::StepDown(command)) => cluster::step_down(command).await,
        },
        Command::Status(command) => cluster::status(command).await,
        Command::Cluster(command) => cluster::run(command).await,
        Command::Migrate(settings) => commands::migrate::run(settings).await,
        Command::Reshard(settings) => commands::reshard::run(settings).await,
        Command::Reseal(settings) => commands::reseal::run(settings).await,
        Command::Doctor(settings) => commands::doctor::run(*settings).await,
        Command::Channels(command) => commands::channels::run(*command).await,
        Command::Messages(command) => commands::messages::run(*command).await,
        Command::DeadLetters(command) => commands::dead_letters::run(*command).await,
        Command::Backends(command) => commands::backends::run(*command).await,
        Command::Cron(command) => commands::cron::run(*command).await,
        Command::Keys(command) => commands::keys::run(*command).await,
        Command::Users(command) => commands::users::run(*command).await,
        Command::Completions(command) => shell::completions(&command, Cli::command()),
        Command::Man(command) => shell::man(&command, Cli::command()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_of_settings_is_complete() {
        let cli = Cli::command();
        let commands = std::iter::once(&cli).chain(cli.get_subcommands());
        let variables = commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_env);
        let known: BTreeSet<String> = variables.map(|name| name.to_string_lossy().into_owned()).collect();
        let table = include_str!("../../../docs/settings.md");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let documented: BTreeSet<String> = rows.map(str::to_owned).collect();
        assert_eq!(documented.intersection(&known).count(), known.len(), "missing in docs/settings.md");
    }
}
