//! What `with-services` leaves behind when it is told to end: nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't be set up must fail loudly")]

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use claw_testkit::eventually;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_secs(120);
/// It tells where the servers are and starts something of its own, whose number it tells, too; then it waits.
const COMMAND: &str = r#"sleep 600 & echo "$TEST_DATABASE_URL"; echo "$TEST_NATS_URL"; echo $!; wait"#;

/// A run of it.
struct Run {
    child: Child,
    /// Its temporary folder.
    folder: TempDir,
    servers: [SocketAddr; 2],
    /// What the command started.
    started: u32,
}

impl Run {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_with-services"))
            .args(["sh", "-c", COMMAND])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = Vec::new();
        while told.len() < 3 {
            let line = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap();
            told.push(line.expect("it ended before it told where the servers are"));
        }
        let server = |url: &str| {
            let url = reqwest::Url::parse(url).unwrap();
            url.socket_addrs(|| None).unwrap()[0]
        };
        let servers = [server(&told[0]), server(&told[1])];
        for server in servers {
            TcpStream::connect(server).await.unwrap();
        }
        Self { child, folder, servers, started: told[2].parse().unwrap() }
    }

    async fn end_by(&mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success());
        tokio::time::timeout(LIMIT, self.child.wait()).await.expect("it ends").unwrap()
    }

    async fn servers_are_gone(&self) -> bool {
        for server in self.servers {
            if TcpStream::connect(server).await.is_ok() {
                return false;
            }
        }
        true
    }
}

/// Whether a process exists and is not merely waiting for its parent to hear of its end.
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
}

async fn ends_all(signal: &str, number: i32) {
    let mut run = Run::begin().await;
    assert_eq!(run.end_by(signal).await.code(), Some(128 + number), "{signal}");
    assert!(run.servers_are_gone().await, "{signal}: a server goes on");
    assert!(!lives(run.started), "{signal}: what the command had started goes on");
    let left: Vec<_> = std::fs::read_dir(run.folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{signal}: {left:?}");
}

#[tokio::test]
async fn a_signal_ends_the_command_and_the_servers_and_removes_the_folder() {
    tokio::join!(ends_all("TERM", 15), ends_all("INT", 2), ends_all("HUP", 1));
}

#[tokio::test]
async fn servers_do_not_outlive_a_killed_run() {
    let mut run = Run::begin().await;
    assert_eq!(run.end_by("KILL").await.code(), None);
    let gone = async || run.servers_are_gone().await.then_some(());
    eventually("the servers to end", LIMIT, gone).await;
    assert!(
        Command::new("kill").arg(run.started.to_string()).status().await.unwrap().success(),
        "nobody told it"
    );
}
