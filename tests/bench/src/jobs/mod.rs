//! `--jobs`: what scheduled jobs cost, and how late they are. Each measurement has a stack of its own.
//!
//! - **Burst**: very many jobs are due in the same second, while people chat.
//! - **Sustained**: so many jobs a second, spread evenly, for a while.
//! - **Stored**: what jobs cost that are not due, few and very many.
//!
//! Bounds that are broken end in exit code 1. The jobs are put straight into the database ([`claw_testkit::jobs`]): the API
//! is not what is measured, and it would neither let a user have so many nor take anchors.

mod burst;
mod handed;
mod stored;
mod sustained;

use std::time::Duration;

use anyhow::ensure;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use claw_runtime::{Clock as _, SystemClock};
use claw_testkit::Report;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::receiver::TASK;
use crate::stack::Stack;

/// Jobs of one user: as many users as that makes share the shards.
const OF_A_USER: u64 = 100;

/// What is measured.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Measurement {
    Burst,
    Sustained,
    Stored,
}

/// How much.
#[derive(Debug, Args)]
pub(crate) struct Sizes {
    /// What to measure of scheduled jobs, in place of all other measurements
    #[arg(long, value_enum, value_delimiter = ',')]
    jobs: Vec<Measurement>,
    /// Jobs that are due in the same second
    #[arg(long, default_value_t = 100_000)]
    due: u64,
    /// Jobs that fire every second
    #[arg(long, default_value_t = 1_000)]
    fires: u64,
    /// Seconds for which they do
    #[arg(long, default_value_t = 30)]
    fire_seconds: i64,
    /// Jobs that are stored and not due
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
}

impl Sizes {
    /// Whether it is jobs that are to be measured.
    pub(crate) fn asked(&self) -> bool {
        !self.jobs.is_empty()
    }
}

/// Measures what is asked for; tells what it found.
pub(crate) async fn run(sizes: &Sizes, connections: u32) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report.tell(&format!("machine: {}", claw_testkit::machine::describe()));
    for measurement in &sizes.jobs {
        match measurement {
            Measurement::Burst => burst::run(&mut report, sizes.due, connections).await?,
            Measurement::Sustained => {
                sustained::run(&mut report, sizes.fires, sizes.fire_seconds, connections).await?;
            }
            Measurement::Stored => stored::run(&mut report, sizes.stored, connections).await?,
        }
    }
    Ok(report)
}

/// Whose job `number` is.
fn user_of(number: u64) -> String {
    format!("planner-{}", number / OF_A_USER)
}

/// What the jobs do: something for the agent, whose webhook says for which time it is.
fn task() -> Value {
    json!({"type": "assistant_task", "agent_id": "general", "context": TASK})
}

/// The moment of this time of day. It must not have passed.
fn instant_of(time: DateTime<Utc>) -> anyhow::Result<Instant> {
    let ahead = time - SystemClock.now();
    ensure!(ahead > chrono::TimeDelta::zero(), "it took too long to store the jobs: they are due by now");
    Ok(Instant::now() + ahead.to_std()?)
}

/// Brings the planner's statistics up to date, as autovacuum would in time.
async fn settle(stack: &Stack) -> anyhow::Result<()> {
    let mut database = stack.database().await?;
    for statement in ["vacuum analyze cron_jobs, timers, cron_runs", "checkpoint"] {
        sqlx::query(statement).execute(&mut database).await?;
    }
    Ok(())
}

/// For a report: in milliseconds.
fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
