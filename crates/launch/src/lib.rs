//! The frame around every binary's `main`: settings, logging, TLS, the runtime, and one line for what went wrong; and
//! what the members of a cluster do alike at their start.

mod explain;
mod export;
mod join;
mod memory;
mod observe;
mod open_files;
mod sealed;
mod time;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};
use claw_config::LogSettings;
use claw_runtime::Lifecycle;
use claw_telemetry::LogFormat;

pub use export::{TraceError, trace};
pub use join::{JoinError, Joined, join};
pub use observe::observe;
pub use open_files::raise_open_files;
pub use sealed::warn_of_unknown_keys;
pub use time::keep_time;

/// What is in flight may finish for this long after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(25);
/// The exit code for settings that can't be read, as is usual for command lines.
const BAD_SETTING: u8 = 2;

/// The settings of a role and of logging.
#[derive(Parser)]
struct Role<S: Args> {
    #[command(flatten)]
    settings: S,
    #[command(flatten)]
    log: LogSettings,
}

/// The `main` of a binary that is one role: `start` starts it, the lifecycle ends it.
pub fn role<S, F>(name: &'static str, about: &'static str, start: F) -> ExitCode
where
    S: Args,
    F: AsyncFnOnce(S, Lifecycle) -> anyhow::Result<()>,
{
    let command = Role::<S>::command().name(name).version(env!("CARGO_PKG_VERSION")).about(about);
    let cli = match parse::<Role<S>>(command) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    run(&cli.log, async move |lifecycle| {
        start(cli.settings, lifecycle.clone()).await?;
        Ok(lifecycle.run_until_signal(GRACE).await?)
    })
}

/// Reads flags and environment. Help and version are printed; a bad setting becomes one line that names it.
///
/// # Errors
/// The exit code, when there is nothing more to do.
#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
pub fn parse<C: FromArgMatches>(mut command: Command) -> Result<C, ExitCode> {
    let parsed = command.try_get_matches_from_mut(std::env::args_os()).and_then(|m| C::from_arg_matches(&m));
    parsed.map_err(|error| match explain::on_one_line(&error, &command) {
        Some(line) => {
            eprintln!("ii-claw: {line}");
            ExitCode::from(BAD_SETTING)
        }
        // Help, version, or an unknown flag, which clap explains best.
        None => error.exit(),
    })
}

/// Runs `work` to its end.
pub fn run<F>(log: &LogSettings, work: F) -> ExitCode
where
    F: AsyncFnOnce(Lifecycle) -> anyhow::Result<()>,
{
    match try_run(log, work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn try_run<F>(log: &LogSettings, work: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(Lifecycle) -> anyhow::Result<()>,
{
    let format = if log.format == "json" { LogFormat::Json } else { LogFormat::Text };
    claw_telemetry::setup(&log.level, format)?;
    if let Err(error) = raise_open_files() {
        tracing::warn!("the limit of open files can't be raised, raise it by `ulimit -n`: {error}");
    }
    // With several TLS providers linked in, rustls can't choose by itself.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow!("a TLS provider was installed before"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the runtime can't start")?.block_on(async {
        let ended = work(Lifecycle::new()).await;
        export::finish().await;
        ended
    })
}

#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("ii-claw: {error:#}");
    ExitCode::FAILURE
}
