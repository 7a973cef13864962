//! The worker alone, for images that carry one role; `ii-claw worker` is the same.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use claw_config::{LogSettings, WorkerSettings};
use claw_runtime::Lifecycle;
use claw_telemetry::LogFormat;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    settings: WorkerSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last word of a process goes to the terminal")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ii-claw: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("a TLS provider was installed before"))?;
    let format = if cli.log.format == "json" { LogFormat::Json } else { LogFormat::Text };
    claw_telemetry::setup(&cli.log.level, format)?;
    let lifecycle = Lifecycle::new();
    claw_shard_worker::start(cli.settings, &lifecycle).await?;
    Ok(lifecycle.run_until_signal(Duration::from_secs(25)).await?)
}
