//! What the tests of this crate share: a directory that goes away, a database
//! client, and a stand-in for a caller that is killed.

#![allow(dead_code, reason = "each test program uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test, and one caller talks to another"
)]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use claw_devstack::{Nats, Postgres};

/// A new directory, removed at the end together with what it points to.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let unique = format!("claw-devstack-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs one statement and returns what it printed.
pub(crate) fn sql(url: &str, statement: &str) -> String {
    let output =
        Command::new("psql").args(["-X", "-w", "-q", "-A", "-t", "-c", statement, url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `kill -9`, as the out-of-memory killer would.
pub(crate) fn kill_9(pid: u32) {
    signal(pid, "KILL");
}

pub(crate) fn signal(pid: u32, name: &str) {
    let status =
        Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Whether a process exists and is not a zombie.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
}

/// The command lines of all processes that have `dir` in them.
pub(crate) fn processes_mentioning(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(dir))
        .collect()
}

/// Waits until `done`, for a bounded time.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The variable that tells a test program to be the caller to be killed.
const CALLER: &str = "CLAW_DEVSTACK_TEST_CALLER";
/// Whether its servers are to end with it.
const TETHERED: &str = "CLAW_DEVSTACK_TEST_TETHER";

/// Starts this test program again as a caller of its own, which starts the
/// servers in `dir`, prints their process ids and waits to be killed.
pub(crate) fn caller(dir: &Path, tethered: bool) -> (Child, Vec<u32>) {
    let mut child = caller_unready(dir, tethered);
    let pids = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .find_map(|line| Some(line.unwrap().split_once("servers: ")?.1.to_owned()))
        .expect("the caller starts its servers")
        .split(' ')
        .map(|pid| pid.parse().unwrap())
        .collect();
    (child, pids)
}

/// The same, without waiting for its servers.
pub(crate) fn caller_unready(dir: &Path, tethered: bool) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "be_the_caller", "--nocapture", "--ignored"])
        .env(CALLER, dir)
        .env(TETHERED, tethered.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The body of the `be_the_caller` test.
pub(crate) async fn be_the_caller() {
    let Some(dir) = std::env::var_os(CALLER) else {
        return;
    };
    let dir = Path::new(&dir);
    let (mut postgres, mut nats) = tokio::try_join!(Postgres::start(dir), Nats::start(dir)).unwrap();
    if std::env::var(TETHERED).unwrap() == "true" {
        postgres.tether().unwrap();
        nats.tether().unwrap();
    }
    println!("servers: {} {}", postgres.pid(), nats.pid());
    tokio::time::sleep(Duration::from_mins(1)).await;
}
