//! Real processes: the `ii-claw` binary in any role, and foreign emulators.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Set by `make test`; the binary under test.
fn binary() -> PathBuf {
    std::env::var_os("II_CLAW_BIN").map_or_else(
        || panic!("II_CLAW_BIN is not set: build with `cargo build -p ii-claw` and point it to the binary"),
        PathBuf::from,
    )
}

/// A running `ii-claw`; killed with its handle.
pub struct Claw {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Claw {
    /// Starts `ii-claw` with these arguments and environment, and nothing else of ours in the environment.
    ///
    /// # Panics
    /// When the binary can't be started.
    pub fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_program(&binary(), args, environment)
    }

    /// As [`Claw::start`], of another version.
    ///
    /// # Panics
    /// When the program can't be started.
    pub fn start_program(program: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let ours: HashMap<String, String> = std::env::vars()
            .filter(|(name, _)| {
                !["II_CLAW_", "AI_WEBHOOK", "OTEL_"].iter().any(|ours| name.starts_with(ours))
            })
            .filter(|(name, _)| name != "DATABASE_URL" && name != "NATS_URL")
            .collect();
        command.env_clear().envs(ours).envs(environment.iter().copied());
        let mut child = command.spawn().expect("ii-claw starts");
        let (sender, lines) = watch::channel(Vec::new());
        follow(child.stdout.take().expect("piped"), sender.clone());
        follow(child.stderr.take().expect("piped"), sender);
        Self { child, lines }
    }

    /// Waits until it has printed a line that holds `text`; answers the line.
    ///
    /// # Panics
    /// When it does not within a minute, or ends before; with everything it printed.
    pub async fn wait_for_line(&mut self, text: &str) -> String {
        let found = |lines: &Vec<String>| lines.iter().find(|line| line.contains(text)).cloned();
        let waited = tokio::time::timeout(
            Duration::from_secs(60),
            self.lines.wait_for(|lines| found(lines).is_some()),
        );
        let line = match waited.await {
            Ok(Ok(lines)) => found(&lines),
            _ => None,
        };
        line.unwrap_or_else(|| panic!("no line with {text:?} in:\n{}", self.output()))
    }

    /// Everything it printed so far.
    pub fn output(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// Everything it printed, once it has ended and both pipes are read to their end.
    ///
    /// # Panics
    /// When a pipe stays open.
    pub async fn all_output(&mut self) -> String {
        let closed = async { while self.lines.changed().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(10), closed).await.expect("its pipes close");
        self.output()
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a signal by name, e.g. `TERM`, `KILL`, `STOP`.
    ///
    /// # Panics
    /// When it can't be sent.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await.expect("kill runs");
        assert!(sent.success(), "signal {name} to {pid}");
    }

    /// Waits for its end; answers the exit code (`None` when a signal ended it).
    ///
    /// # Panics
    /// When it does not end within 40 s.
    pub async fn wait(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(Duration::from_secs(40), self.child.wait()).await;
        let Ok(status) = ended else { panic!("still running after 40 s:\n{}", self.output()) };
        status.expect("its status is known").code()
    }

    /// Whether it has ended, by itself or by a signal.
    ///
    /// # Panics
    /// When its status can't be read.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its status is known").is_some()
    }

    /// Kills it without notice and waits for its end.
    ///
    /// # Panics
    /// When it can't be killed.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

fn follow(pipe: impl tokio::io::AsyncRead + Unpin + Send + 'static, sender: watch::Sender<Vec<String>>) {
    let mut reader = BufReader::new(pipe).lines();
    #[expect(clippy::disallowed_methods, reason = "ends with the pipe")]
    tokio::spawn(async move {
        while let Ok(Some(line)) = reader.next_line().await {
            sender.send_modify(|lines| lines.push(line));
        }
    });
}

/// The Telegram emulator of `tests/peers/telegram`; answers its handle and base URL.
///
/// # Panics
/// When it can't be started: `make setup-test` installs it.
pub async fn emulator() -> (Child, String) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/telegram");
    let mut command = Command::new("node");
    command.args(["server.mjs", "--port", "0"]).current_dir(folder).stdout(Stdio::piped());
    let mut child = spawn_peer(&mut command);
    let output = child.stdout.take().expect("piped");
    let port = announced(output, "listening ").await;
    (child, format!("http://127.0.0.1:{port}"))
}

/// The S3 service of `tests/peers/s3`, with nothing in it; answers its handle and base URL.
///
/// # Panics
/// When it can't be started: `make setup-test` installs it.
pub async fn s3() -> (Child, String) {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/venv/bin/python");
    let mut command = Command::new(python);
    command.args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]).stderr(Stdio::piped());
    let mut child = spawn_peer(&mut command);
    let output = child.stderr.take().expect("piped");
    let url = announced(output, " * Running on ").await;
    (child, url)
}

pub(crate) fn spawn_peer(command: &mut Command) -> Child {
    let started = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
    started.unwrap_or_else(|error| {
        panic!("a peer does not start ({error}): run `scripts/setup.sh test`: {command:?}")
    })
}

/// What follows `prefix` on the line that says that a peer is ready.
async fn announced(output: impl tokio::io::AsyncRead + Unpin + Send + 'static, prefix: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    let mut seen = Vec::new();
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        while let Some(line) = lines.next_line().await.expect("its output can be read") {
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
            seen.push(line);
        }
        panic!("the peer ended: run `scripts/setup.sh test`; it said:\n{}", seen.join("\n"));
    });
    let found = found.await.expect("the peer listens within 30 s");
    // Its pipe must stay open as long as it runs.
    #[expect(clippy::disallowed_methods, reason = "ends with the pipe")]
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    found
}
