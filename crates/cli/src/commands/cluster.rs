//! `ii-claw status`, `ii-claw cluster watch`, and what tells a worker or the leading scheduler to go.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use claw_config::{SchedulerSettings, WorkerSettings};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::api::{self, Api, ApiSettings, cell, table};

mod changes;

/// How often the cluster is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Changes that stay on the screen.
const KEPT: usize = 12;
/// Cursor home, clear the screen: what every terminal understands.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// The cluster's processes, shards, leader and lag
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    api: ApiSettings,
}

/// The cluster, live
#[derive(Args)]
pub(crate) struct Cluster {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the cluster every second, and what changed, until Ctrl-C
    Watch {
        /// End after this many looks
        #[arg(long)]
        rounds: Option<u64>,
    },
}

/// A shard-worker; without a subcommand it is run
#[derive(Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) settings: WorkerSettings,
    #[command(subcommand)]
    pub(crate) what: Option<OfWorker>,
}

/// What can be asked of a running worker.
#[derive(Subcommand)]
pub(crate) enum OfWorker {
    /// Have a running worker hand every shard over and own none, without ending it
    Drain(Drain),
}

#[derive(Args)]
pub(crate) struct Drain {
    /// The worker, as `ii-claw status` names it
    name: String,
    /// Take it back: the worker takes its share again
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    api: ApiSettings,
}

/// A scheduler; without a subcommand it is run
#[derive(Args)]
pub(crate) struct Scheduler {
    #[command(flatten)]
    pub(crate) settings: SchedulerSettings,
    #[command(subcommand)]
    pub(crate) what: Option<OfScheduler>,
}

/// What can be asked of the leading scheduler.
#[derive(Subcommand)]
pub(crate) enum OfScheduler {
    /// Have the leading scheduler resign, so that another one is elected
    StepDown(StepDown),
}

#[derive(Args)]
pub(crate) struct StepDown {
    #[command(flatten)]
    api: ApiSettings,
}

pub(crate) async fn status(command: Status) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    let cluster = api.get(&["cluster"], &[]).await?;
    api.show(&cluster, |cluster| format!("{}\n{}", summary(cluster), members(cluster)))
}

pub(crate) async fn run(command: Cluster) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    let What::Watch { rounds } = command.what;
    tokio::select! {
        ended = watch(&api, rounds) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

pub(crate) async fn drain(command: Drain) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    let path = ["cluster", "workers", command.name.as_str(), "drain"];
    let told = api.post(&path, &json!({"drain": !command.undo})).await?;
    api.show(&told, |told| {
        let (name, shards) = (cell(&told["name"]), cell(&told["shards"]));
        if told["drain"] == true {
            format!("{name} hands its {shards} shards over; `ii-claw cluster watch` shows them go")
        } else {
            format!("{name} takes its share of the shards again; it has {shards} now")
        }
    })
}

pub(crate) async fn step_down(command: StepDown) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    let done = api.post(&["cluster", "scheduler", "step-down"], &json!({})).await?;
    api.show(&done, |done| format!("{} resigned, term {} is over", cell(&done["name"]), cell(&done["term"])))
}

/// A screen every second, or a snapshot after the other where nobody looks at a screen.
async fn watch(api: &Api, rounds: Option<u64>) -> anyhow::Result<()> {
    let screen = std::io::stdout().is_terminal() && !api.is_json();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut seen, mut looks) = (None, VecDeque::new(), 0);
    while rounds.is_none_or(|most| looks < most) {
        tick.tick().await;
        looks += 1;
        let text = match api.get(&["cluster"], &[]).await {
            Ok(now) if api.is_json() => now.to_string(),
            Ok(now) => {
                let new = before.as_ref().map(|before| changes::between(before, &now)).unwrap_or_default();
                let time = cell(&now["time"]);
                seen.extend(new.into_iter().map(|change| format!("{time}  {change}")));
                seen.drain(..seen.len().saturating_sub(KEPT));
                let text = page(&now, seen.make_contiguous());
                if !screen {
                    // Each snapshot tells only what is new.
                    seen.clear();
                }
                before = Some(now);
                text
            }
            // A gateway that restarts is part of what one watches.
            Err(error) => format!("{error:#}\n"),
        };
        let text = if screen { format!("{CLEAR}{text}") } else { text };
        if !api::print(&text)? {
            break;
        }
    }
    Ok(())
}

fn page(cluster: &Value, changes: &[String]) -> String {
    let mut page = format!("{}\n{}", summary(cluster), members(cluster));
    if !changes.is_empty() {
        page.push_str("\nchanges\n");
        page.extend(changes.iter().map(|change| format!("  {change}\n")));
    }
    page
}

fn summary(cluster: &Value) -> String {
    let leader = match &cluster["leader"] {
        Value::Null => "nobody leads".to_owned(),
        leader => {
            let silent = if leader["live"] == false { ", not heard of for over 6 s" } else { "" };
            format!("{}, term {}{silent}", cell(&leader["name"]), cell(&leader["term"]))
        }
    };
    let (shards, adapters, lag) = (&cluster["shards"], &cluster["adapters"], &cluster["lag"]);
    let many = if lag["pending"] == lag["counted_up_to"] { " or more" } else { "" };
    let unknown = adapters["unknown_workers"].as_array().map_or(0, Vec::len);
    let unknown = if unknown == 0 { String::new() } else { format!(", unknown of {unknown} workers") };
    let lines = [
        ("cluster", format!("{}, schema {}", cell(&cluster["id"]), cell(&cluster["schema"]["version"]))),
        ("leader", leader),
        (
            "shards",
            format!("{} owned, {} unowned of {}", shards["owned"], shards["unowned"], shards["count"]),
        ),
        ("adapters", format!("{} running, {} failed{unknown}", adapters["running"], adapters["failed"])),
        ("lag", format!("{}{many} pending, oldest {}", lag["pending"], seconds(&lag["oldest_ms"]))),
        ("messages", partitions(cluster["partitions"].as_array().map_or(&[], Vec::as_slice))),
    ];
    lines.map(|(what, text)| format!("{what:<10}{text}\n")).concat()
}

/// How many partitions of messages there are, and what was dropped last.
fn partitions(all: &[Value]) -> String {
    let (dropped, there): (Vec<_>, Vec<_>) = all.iter().partition(|one| !one["dropped_at"].is_null());
    let until = there.last().map_or_else(|| "-".to_owned(), |last| cell(&last["until"]));
    let last = dropped.last().map_or_else(String::new, |last| {
        let (name, forgotten) = (cell(&last["name"]), cell(&last["forgotten"]));
        format!("; dropped last: {name}, about {forgotten} messages")
    });
    format!("partitions: {}, up to {until}{last}", there.len())
}

fn members(cluster: &Value) -> String {
    let members = cluster["members"].as_array().into_iter().flatten();
    let rows: Vec<[String; 8]> = members
        .map(|member| {
            [
                cell(&member["role"]),
                cell(&member["name"]),
                cell(&member["version"]),
                state(member),
                seconds(&member["heartbeat_age_ms"]),
                if member["role"] == "worker" { cell(&member["shards"]) } else { "-".to_owned() },
                cell(&member["channels"]),
                cell(&member["rpc_address"]),
            ]
        })
        .collect();
    table(["role", "name", "version", "state", "heard of", "shards", "channels", "address"], &rows)
}

fn state(member: &Value) -> String {
    match member["unreachable"].as_str() {
        _ if member["live"] == false => "silent".to_owned(),
        Some(_) => "unreachable".to_owned(),
        None if member["draining"] == true => "draining".to_owned(),
        None => "live".to_owned(),
    }
}

fn seconds(ms: &Value) -> String {
    let ms = ms.as_u64().unwrap_or_default();
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_who_does_what_and_what_waits() {
        let worker = json!({"role": "worker", "name": "one", "version": "1", "live": true, "draining": true,
            "heartbeat_age_ms": 1250, "shards": 7, "channels": 3, "rpc_address": "h:1", "unreachable": null});
        let cluster = json!({"id": "x", "schema": {"version": 10}, "leader": null, "members": [worker],
            "shards": {"count": 8, "owned": 7, "unowned": 1},
            "adapters": {"running": 2, "failed": 1, "unknown_workers": ["two"]},
            "lag": {"pending": 10_000, "counted_up_to": 10_000, "oldest_ms": 61_900},
            "partitions": [
                {"name": "messages_initial", "dropped_at": "2027-01-03T00:00:00Z", "forgotten": 12},
                {"name": "messages_20270101", "until": "2027-02-01T00:00:00Z", "dropped_at": null}]});
        let expected = "cluster   x, schema 10\nleader    nobody leads\nshards    7 owned, 1 unowned of 8\n\
            adapters  2 running, 1 failed, unknown of 1 workers\nlag       10000 or more pending, oldest 61.9 s\n\
            messages  partitions: 1, up to 2027-02-01T00:00:00Z; dropped last: messages_initial, about 12 messages\n";
        assert_eq!(summary(&cluster), expected);
        let rows = members(&cluster);
        assert!(rows.lines().nth(1).unwrap().starts_with("worker  one   1        draining  1.2 s"), "{rows}");
        assert!(page(&cluster, &["one left".to_owned()]).ends_with("\nchanges\n  one left\n"));
    }
}
