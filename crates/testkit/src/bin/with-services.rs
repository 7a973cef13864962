//! Runs a command with a Postgres and a NATS of its own: `with-services cargo test ...`. The servers live as long as
//! the command, in a folder that is removed afterwards; the command finds them in `TEST_DATABASE_URL` and
//! `TEST_NATS_URL`, and its exit code is ours.
//!
//! A signal that asks us to end ends the command first, with all that it started, then the servers: they have process groups of their
//! own and would live on. After a `kill -9`, of which nobody hears, they end by themselves, and only the folder is left.

use std::future::poll_fn;
use std::path::Path;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use claw_devstack::Devstack;
use nix::sys::signal::{Signal, killpg};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::timeout;

/// How long the command may take to end when it was asked to.
const GRACE: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().context("usage: with-services COMMAND [ARGUMENT ...]")?;
    // What comes while the servers start is heard when they have started.
    let mut signals = Signals::listen()?;
    let folder = tempfile::Builder::new().prefix("ii-claw-test-").tempdir()?;
    let mut stack = Devstack::start(folder.path()).await?;
    stack.tether()?;
    let command = Command::new(&program)
        .args(args)
        .env("TEST_DATABASE_URL", stack.postgres().url())
        .env("TEST_NATS_URL", stack.nats().url())
        // So that a signal reaches what it starts, too.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let code = match command {
        Ok(child) => end_of(child, &mut signals).await,
        Err(error) => Err(error),
    };
    stack.stop().await?;
    if !matches!(code, Ok(0)) {
        tell_of_servers(folder.path());
    }
    let code = code.with_context(|| format!("can't run {}", program.display()))?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// What the servers said that fails any command: tests only see that nobody answers.
fn tell_of_servers(folder: &Path) {
    const BAD: [&str; 4] = ["PANIC", "terminated by signal", "No space left on device", "ut of memory"];
    for log in ["postgres.log", "nats.log"] {
        let said = std::fs::read_to_string(folder.join(log)).unwrap_or_default();
        for line in said.lines().filter(|line| BAD.iter().any(|bad| line.contains(bad))).take(10) {
            eprintln!("with-services: {log}: {line}");
        }
    }
    if let Ok(disk) = statvfs(folder) {
        let mib = disk.blocks_available() * disk.fragment_size() / (1 << 20);
        eprintln!("with-services: {mib} MiB are free in {}", folder.display());
    }
}

/// The exit code of the command; as shells tell it, when a signal came first.
async fn end_of(mut child: Child, signals: &mut Signals) -> std::io::Result<i32> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let tell = |signal| {
        // Whoever is not there any more needs no signal.
        let _told = group.map(|group| killpg(group, signal));
    };
    tokio::select! {
        biased;
        signal = signals.next() => {
            tell(signal);
            if timeout(GRACE, child.wait()).await.is_err() {
                eprintln!("with-services: the command did not end within {GRACE:?} of {signal}");
            }
            tell(Signal::SIGKILL);
            child.wait().await?;
            Ok(128 + signal as i32)
        }
        status = child.wait() => Ok(status?.code().unwrap_or(1)),
    }
}

/// The signals that ask a process to end.
struct Signals([(Signal, unix::Signal); 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            (Signal::SIGTERM, unix::signal(SignalKind::terminate())?),
            (Signal::SIGINT, unix::signal(SignalKind::interrupt())?),
            (Signal::SIGHUP, unix::signal(SignalKind::hangup())?),
        ]))
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            let came =
                self.0.iter_mut().find_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
