//! `ii-claw-gateway`: the gateway role in a process of its own.

use std::error::Error as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, Parser};
use claw_config::{GatewaySettings, LogSettings};
use claw_gateway::Gateway;
use claw_runtime::Lifecycle;
use claw_telemetry::LogFormat;

/// What a drain may take.
const GRACE: Duration = Duration::from_secs(25);
/// A setting is wrong, as in clap.
const BAD_SETTING: u8 = 2;

/// The gateway of ii-claw: REST, platform webhooks and web chat
#[derive(Parser)]
#[command(name = "ii-claw-gateway", version)]
struct Cli {
    #[command(flatten)]
    gateway: GatewaySettings,
    #[command(flatten)]
    log: LogSettings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return refuse(&explain(&error)),
        Err(help) => help.exit(),
    };
    let format = if cli.log.format == "json" { LogFormat::Json } else { LogFormat::Text };
    if let Err(error) = claw_telemetry::setup(&cli.log.level, format) {
        return refuse(&error.to_string());
    }
    // Refused only when one is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let lifecycle = Lifecycle::new();
    match Gateway::start(cli.gateway, None, &lifecycle).await {
        Err(error) if error.is_setting() => return refuse(&error.line()),
        Err(error) => return fail(&error.line()),
        Ok(_) => {}
    }
    match lifecycle.run_until_signal(GRACE).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
fn refuse(line: &str) -> ExitCode {
    eprintln!("ii-claw-gateway: {line}");
    ExitCode::from(BAD_SETTING)
}

#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
fn fail(line: &str) -> ExitCode {
    eprintln!("ii-claw-gateway: {line}");
    ExitCode::FAILURE
}

/// Names the setting by its variable and its flag. Never shows the value: it may be a secret.
fn explain(error: &clap::Error) -> String {
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let argument = text(ContextKind::InvalidArg);
    let flag = argument.split([' ', '=']).next().unwrap_or_default();
    let command = Cli::command();
    let known = command.get_arguments().find(|arg| arg.get_long() == flag.strip_prefix("--"));
    let why = match (error.kind(), error.source()) {
        (ErrorKind::ValueValidation, Some(why)) => why.to_string(),
        (ErrorKind::InvalidValue, _) => format!("must be one of: {}", text(ContextKind::ValidValue)),
        (other, _) => other.to_string(),
    };
    match known.and_then(clap::Arg::get_env) {
        Some(variable) => format!("{} (or {flag}): {why}", variable.to_string_lossy()),
        None => format!("{argument}: {why}"),
    }
}
