//! The frame around every command: logging, the runtime, one line for what went wrong.

use std::process::ExitCode;

use anyhow::Context as _;
use claw_config::LogSettings;
use claw_runtime::Lifecycle;
use claw_telemetry::LogFormat;

/// Runs a command to its end.
pub(crate) fn block_on<F>(log: LogSettings, command: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(Lifecycle) -> anyhow::Result<()>,
{
    let format = if log.format == "json" { LogFormat::Json } else { LogFormat::Text };
    claw_telemetry::setup(&log.level, format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(command(Lifecycle::new()))
}

/// Prints the error and its causes on one line.
#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("ii-claw: {error:#}");
    ExitCode::FAILURE
}

/// Help and version as clap writes them; a bad setting on one line that names it.
#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
pub(crate) fn usage(error: &clap::Error) -> ! {
    use clap::error::ErrorKind;
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        error.exit();
    }
    eprintln!("ii-claw: {}", one_line(error));
    std::process::exit(2);
}

/// Names the setting by its variable as well as its flag, and never shows the value of a secret.
fn one_line(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    use std::error::Error as _;
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    let name = flag.trim_start_matches("--").split([' ', '=']).next().unwrap_or_default().to_owned();
    let variable = variable_of(&name);
    let why = match error.source() {
        Some(source) => source.to_string(),
        None => format!("must be one of: {}", text(ContextKind::ValidValue)),
    };
    format!("{variable} (or --{name}): {why}")
}

fn variable_of(flag: &str) -> String {
    use clap::CommandFactory as _;
    let cli = crate::Cli::command();
    let all = std::iter::once(&cli).chain(cli.get_subcommands());
    let argument = all.flat_map(|c| c.get_arguments()).find(|a| a.get_long() == Some(flag));
    argument
        .and_then(|a| a.get_env())
        .map_or_else(|| format!("--{flag}"), |name| name.to_string_lossy().into_owned())
}
