//! So many jobs a second, each every second, spread evenly over it: how late does the backend get them?

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use claw_checker::jobs::{Plan, Verdict};
use claw_runtime::{Clock as _, SystemClock};
use claw_testkit::jobs::{StoredJob, store};
use claw_testkit::{Report, Spread};
use serde_json::json;

use super::{instant_of, millis, settle, task, user_of};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::stack::Stack;

/// From a scheduled time to the backend, of 99 in 100.
const LAG_P99: Duration = Duration::from_millis(250);
/// From the start to the first scheduled time, and from there to what counts.
const AHEAD: TimeDelta = TimeDelta::seconds(10);
const WARM_UP: TimeDelta = TimeDelta::seconds(5);
/// What is not there by then is missed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(
    report: &mut Report,
    fires: u64,
    seconds: i64,
    connections: u32,
) -> anyhow::Result<()> {
    let receiver = Arc::new(Receiver::start().await?);
    let stack = Stack::start(&receiver.url(), connections).await?;
    let began = SystemClock.now() + AHEAD;
    let jobs = plan(&receiver, fires, began);
    store(&mut stack.database().await?, &jobs).await?;
    settle(&stack).await?;
    let from = began + WARM_UP;
    let to = from + TimeDelta::seconds(seconds);
    let (first, last) = (instant_of(from)?, instant_of(to)?);
    tokio::time::sleep_until(first).await;
    let before = Usage::of(&stack.processes());
    tokio::time::sleep_until(last).await;
    let used = Usage::of(&stack.processes()).since(&before);
    let span = (from.timestamp_millis(), to.timestamp_millis());
    while receiver.jobs().outstanding(span.0, span.1) > 0 && last.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let verdict = receiver.jobs().verdict(span.0, span.1);
    report.tell(&format!("sustained: {fires} fires a second for {seconds} s, spread evenly over the second"));
    let due = u64::try_from(verdict.due)?;
    tell(report, verdict);
    report.tell(&format!("  CPU a fire: {}", used.per_message(due)));
    report.tell(&format!("  RSS: {}", stack.memory()));
    stack.stop().await
}

fn plan(receiver: &Receiver, fires: u64, began: DateTime<Utc>) -> Vec<StoredJob> {
    let second = TimeDelta::seconds(1);
    let job = |number: u64| {
        // Milliseconds are all that a plan knows.
        let phase = TimeDelta::milliseconds(i64::try_from(number * 1_000 / fires).unwrap_or(0));
        let due = (began + phase).trunc_subsecs(3);
        let anchor = due - second;
        let plan = Plan::Every { anchor: anchor.timestamp_millis(), every: second.num_milliseconds() };
        receiver.jobs().plan(number, plan);
        StoredJob {
            number,
            user: user_of(number),
            schedule: json!({"type": "every", "every_secs": 1}),
            action: task(),
            // A time that is passed over would be missed.
            options: json!({"misfire": "all", "misfire_limit": 100}),
            anchor,
            due,
        }
    };
    (1..=fires).map(job).collect()
}

fn tell(report: &mut Report, verdict: Verdict) {
    report.must(verdict.is_clean());
    report.tell(&format!("  at the backend: {verdict}"));
    let lag = Spread::of(verdict.late);
    report.tell(&format!(
        "  scheduled time to the backend: p50 {}, p90 {}, max {}",
        millis(lag.percentile(50)),
        millis(lag.percentile(90)),
        millis(lag.max())
    ));
    report.at_most("scheduled time to the backend, p99", lag.percentile(99), LAG_P99);
}
