//! Servers outlive a caller that is killed, and the next caller takes them.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use claw_devstack::{Devstack, Error};
use common::{Scratch, caller, kill_9, lives, sql, until};

#[tokio::test]
#[ignore = "not a test: the caller that the others kill"]
async fn be_the_caller() {
    common::be_the_caller().await;
}

#[tokio::test]
async fn servers_of_a_killed_caller_are_adopted() {
    let dir = Scratch::new("adopt");
    let (mut first, pids) = caller(dir.path(), false);
    let busy = Devstack::start(dir.path()).await.unwrap_err();
    assert!(matches!(busy, Error::Locked { .. }), "{busy}");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(pids.iter().all(|pid| lives(*pid)));

    let stack = Devstack::start(dir.path()).await.unwrap();
    assert_eq!([stack.postgres().pid(), stack.nats().pid()], pids[..]);
    assert_eq!(sql(stack.postgres().url(), "SELECT 1"), "1");
    stack.stop().await.unwrap();
    assert!(!pids.iter().any(|pid| lives(*pid)));
}

#[tokio::test]
async fn the_end_of_an_adopted_server_is_reported() {
    let dir = Scratch::new("watch");
    let (mut first, pids) = caller(dir.path(), false);
    first.kill().unwrap();
    first.wait().unwrap();
    let mut stack = Devstack::start(dir.path()).await.unwrap();
    let killer = async { kill_9(pids[1]) };
    let (gone, ()) = tokio::join!(stack.wait(), killer);
    assert!(matches!(gone, Error::Died { service: "nats-server", .. }), "{gone}");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn everything_killed_at_once_starts_again_with_its_data() {
    let dir = Scratch::new("everything");
    let (mut first, pids) = caller(dir.path(), false);
    first.kill().unwrap();
    for pid in &pids {
        kill_9(*pid);
    }
    first.wait().unwrap();
    let stack = Devstack::start(dir.path()).await.unwrap();
    assert_ne!([stack.postgres().pid(), stack.nats().pid()], pids[..]);
    assert_eq!(sql(stack.postgres().url(), "SELECT 1"), "1");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn tethered_servers_end_with_their_caller() {
    let dir = Scratch::new("tether");
    let (mut first, pids) = caller(dir.path(), true);
    first.kill().unwrap();
    first.wait().unwrap();
    until("the servers end", || !pids.iter().any(|pid| lives(*pid))).await;
}

#[tokio::test]
async fn servers_are_out_of_reach_of_the_terminal() {
    let dir = Scratch::new("group");
    let stack = Devstack::start(dir.path()).await.unwrap();
    for pid in [stack.postgres().pid(), stack.nats().pid()] {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let group = stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap().to_owned();
        assert_eq!(group, pid.to_string());
        // Root in a container may not be allowed to look.
        if let Ok(stdin) = std::fs::read_link(format!("/proc/{pid}/fd/0")) {
            assert_eq!(stdin.to_str(), Some("/dev/null"));
        }
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_killed_while_creating_leaves_nothing_in_the_way() {
    let dir = Scratch::new("creating");
    for pause in [5, 20, 150, 400, 900] {
        let mut first = common::caller_unready(dir.path(), false);
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        first.kill().unwrap();
        first.wait().unwrap();
    }
    let stack = Devstack::start(dir.path()).await.unwrap();
    assert_eq!(sql(stack.postgres().url(), "SELECT 1"), "1");
    stack.stop().await.unwrap();
    let left = common::processes_mentioning(dir.path());
    assert_eq!(left, Vec::<String>::new());
}
