//! `ii-claw-gateway`: the gateway role in a process of its own.

use std::process::ExitCode;
use std::time::Duration;

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

fn refuse(line: &str) -> ExitCode {
    eprintln!("ii-claw-gateway: {line}");
    ExitCode::from(BAD_SETTING)
}

fn fail(line: &str) -> ExitCode {
    eprintln!("ii-claw-gateway: {line}");
    ExitCode::FAILURE
}

/// The error's first line, with the environment variable of the flag that it is about.
fn explain(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let command = Cli::command();
    let variable = command.get_arguments().find_map(|arg| {
        let flag = format!("--{} ", arg.get_long()?);
        line.contains(&flag).then(|| arg.get_env())?
    });
    match variable {
        Some(variable) => format!("{}: {line}", variable.to_string_lossy()),
        None => line.to_owned(),
    }
}
