//! Runs a command with a Postgres and a NATS of its own: `with-services cargo test ...`. The servers live as long as
//! the command, in a folder that is removed afterwards; the command finds them in `TEST_DATABASE_URL` and
//! `TEST_NATS_URL`, and its exit code is ours.

use std::process::ExitCode;

use anyhow::Context as _;
use claw_devstack::Devstack;
use tokio::process::Command;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().context("usage: with-services COMMAND [ARGUMENT ...]")?;
    let folder = tempfile::Builder::new().prefix("ii-claw-test-").tempdir()?;
    let stack = Devstack::start(folder.path()).await?;
    let status = Command::new(&program)
        .args(args)
        .env("TEST_DATABASE_URL", stack.postgres().url())
        .env("TEST_NATS_URL", stack.nats().url())
        .status()
        .await;
    stack.stop().await?;
    let status = status.with_context(|| format!("can't run {}", program.display()))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
