//! What jobs cost that are not due: the same idle cluster with few of them and with very many.
//!
//! Processor time tells it with the machine's noise; how many rows and entries of indexes Postgres read while nothing was
//! due tells it exactly, and must not grow with the number of jobs.

use std::time::Duration;

use chrono::TimeDelta;
use claw_runtime::{Clock as _, SystemClock};
use claw_testkit::Report;
use claw_testkit::jobs::{StoredJob, store};
use serde_json::json;
use sqlx::postgres::PgConnection;

use super::{settle, task, user_of};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::stack::{SCHEDULER, Stack};

/// To compare with.
const FEW: u64 = 1_000;
/// How long nothing happens, and how long before that to let go what a start leaves.
const IDLE: Duration = Duration::from_secs(20);
const CALM: Duration = Duration::from_secs(5);
/// Of the leader, in KiB.
const MEMORY: u64 = 100 * 1024;
/// From the start of the process to leading.
const LEADS_WITHIN: Duration = Duration::from_secs(5);
/// What both together may use more of a second than with few jobs: the noise of such figures.
const MORE: Duration = Duration::from_millis(10);
/// Jobs are made and stored in lots, so that they take no memory here.
const LOT: u64 = 50_000;

/// An idle time.
struct Idle {
    used: Usage,
    /// Rows and entries of indexes that were read, a second.
    read: u64,
}

pub(super) async fn run(report: &mut Report, many: u64, connections: u32) -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let mut stack = Stack::start(&receiver.url(), connections).await?;
    quiet(&stack).await?;
    stock(&stack, 1..=FEW.min(many)).await?;
    let few = idle(&mut stack).await?;
    stock(&stack, FEW + 1..=many).await?;
    let leading_after = stack.restart_scheduler().await?;
    let at_start = stack.scheduler_memory()?;
    let very_many = idle(&mut stack).await?;
    let memory = at_start.max(stack.scheduler_memory()?);

    report.tell(&format!("stored: {many} jobs that are not due"));
    report.at_most("KiB of the leader", memory, MEMORY);
    report.at_most("from the start of the scheduler to leading", leading_after, LEADS_WITHIN);
    for (count, idle) in [(FEW, &few), (many, &very_many)] {
        report.tell(&format!(
            "  a second with {count}: {} rows and entries of indexes read; CPU {}",
            idle.read,
            idle.used.per_second(IDLE)
        ));
    }
    // Each look may find a page more in a deeper index, but no more rows.
    report.at_most("rows and entries read a second with the many", very_many.read, few.read + 2);
    let both = |idle: &Idle| {
        (idle.used.role("postgres") + idle.used.role(SCHEDULER)) / u32::try_from(IDLE.as_secs()).unwrap_or(1)
    };
    report.at_most("CPU of Postgres and leader a second with the many", both(&very_many), both(&few) + MORE);
    stack.stop().await
}

/// Keeps autovacuum from working through what was stored while something is measured.
async fn quiet(stack: &Stack) -> anyhow::Result<()> {
    let mut database = stack.database().await?;
    for statement in ["alter system set autovacuum = off", "select pg_reload_conf()"] {
        sqlx::query(statement).execute(&mut database).await?;
    }
    Ok(())
}

/// Stores jobs that are due in a month.
async fn stock(stack: &Stack, numbers: std::ops::RangeInclusive<u64>) -> anyhow::Result<()> {
    let mut database = stack.database().await?;
    let now = SystemClock.now();
    let schedule = json!({"type": "cron", "expr": "0 9 * * 1-5", "tz": "Europe/Berlin"});
    let (mut next, last) = numbers.into_inner();
    while next <= last {
        let until = last.min(next + LOT - 1);
        let jobs: Vec<StoredJob> = (next..=until)
            .map(|number| StoredJob {
                number,
                user: user_of(number),
                schedule: schedule.clone(),
                action: task(),
                options: json!({}),
                anchor: now,
                due: now
                    + TimeDelta::days(30)
                    + TimeDelta::seconds(i64::try_from(number % 86_400).unwrap_or(0)),
            })
            .collect();
        store(&mut database, &jobs).await?;
        next = until + 1;
    }
    settle(stack).await
}

/// Lets nothing happen.
async fn idle(stack: &mut Stack) -> anyhow::Result<Idle> {
    let mut database = stack.database().await?;
    tokio::time::sleep(CALM).await;
    let (before, read_before) = (Usage::of(&stack.processes()), read(&mut database).await?);
    tokio::time::sleep(IDLE).await;
    let (used, read) =
        (Usage::of(&stack.processes()).since(&before), read(&mut database).await? - read_before);
    Ok(Idle { used, read: u64::try_from(read)?.div_ceil(IDLE.as_secs()) })
}

/// Rows that were read one after the other, and entries of indexes, in the tables that scheduled jobs are in. Processes
/// report them within a second.
async fn read(database: &mut PgConnection) -> anyhow::Result<i64> {
    let all = sqlx::query_scalar(
        "select (coalesce((select sum(seq_tup_read) from pg_stat_user_tables where relname = any($1)), 0)
                 + coalesce((select sum(idx_tup_read) from pg_stat_user_indexes where relname = any($1)), 0))::bigint",
    );
    Ok(all.bind(vec!["cron_jobs", "timers", "cron_runs"]).fetch_one(database).await?)
}
