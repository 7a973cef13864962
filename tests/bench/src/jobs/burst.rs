//! Everybody's report at nine: very many jobs are due in the same second, while people chat.
//!
//! A run is recorded when its row is committed, and handed over by the scheduler when the owner of its shard was told of its
//! message: when NATS carried it. From there on it is a message like any other, and how fast the backend gets them is the relay's own rate. A
//! run's `handed_at` is later, when the backend has it: that is told as "until the backend had all", and has no bound but that people who chat
//! are served all the while.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound as _, TimeDelta, Timelike as _, Utc};
use claw_checker::jobs::Plan;
use claw_runtime::{Clock as _, SystemClock};
use claw_testkit::jobs::{StoredJob, store};
use claw_testkit::{Report, Spread};
use serde_json::json;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, timeout};

use super::handed::Handed;
use super::{instant_of, millis, settle, task, user_of};
use crate::load::{Load, Outcome};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::stack::Stack;

/// People who chat, and messages of theirs a second.
const PEOPLE: usize = 256;
const CHAT: u32 = 100;
const ALONE: Duration = Duration::from_secs(10);
/// All runs are recorded, and handed over to the workers, within this time.
const WITHIN: Duration = Duration::from_secs(10);
/// What chatting may take meanwhile, and from then on until the backend has all.
const CHAT_P99: Duration = Duration::from_millis(100);
/// What is not done by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(180);
/// Storing so many jobs takes a second, and everything else before they are due half a minute.
const STORED_A_SECOND: u64 = 3_000;
/// How often the database is asked whether something is still due.
const LOOK: Duration = Duration::from_millis(50);

/// What was measured; `None` for what did not happen within [`PATIENCE`].
struct Burst {
    recorded: Option<Duration>,
    /// To workers, by the scheduler.
    handed: Option<Duration>,
    /// How many of them NATS was told of.
    published: u64,
    delivered: Option<Duration>,
    /// Until all were handed over to workers.
    used: Usage,
    transactions: i64,
    log_bytes: i64,
    chat: Outcome,
    /// From there on until the backend had all.
    chat_later: Outcome,
}

pub(super) async fn run(report: &mut Report, count: u64, connections: u32) -> anyhow::Result<()> {
    let receiver = Arc::new(Receiver::start().await?);
    let stack = Stack::start(&receiver.url(), connections).await?;
    report.tell(&format!("database: {}", stack.describe_database().await?));
    let load = Load::prepare(&stack, Arc::clone(&receiver), PEOPLE).await?;
    load.fixed_rate(CHAT, ALONE).await;
    let alone = load.fixed_rate(CHAT, ALONE).await;
    let due = stock(&stack, &receiver, count).await?;
    let burst = measure(&stack, &load, &receiver, due, count).await?;
    let users = count.div_ceil(super::OF_A_USER);
    report.tell(&format!("burst: {count} jobs of {users} users due in the same second"));
    tell_chat(report, "chat alone", &alone);
    tell(report, &burst, count);
    once(report, &receiver, due);
    stack.stop().await
}

async fn measure(
    stack: &Stack,
    load: &Load,
    receiver: &Receiver,
    due: DateTime<Utc>,
    count: u64,
) -> anyhow::Result<Burst> {
    let mut database = stack.database().await?;
    let mut road = Handed::start(stack.nats_url()).await?;
    let nine = instant_of(due)?;
    tokio::time::sleep_until(nine).await;
    let (before, work_before) = (Usage::of(&stack.processes()), stack.database_work().await?);
    let (mut recorded, mut handed, mut used) = (None, None, Usage::default());
    let both = async {
        let record = async { recorded = all_recorded(&mut database, due, nine).await };
        let hand = async {
            let all = timeout(PATIENCE, road.reached(count)).await;
            handed = all.is_ok_and(|all| all.is_ok()).then(|| nine.elapsed());
        };
        tokio::join!(record, hand);
        used = Usage::of(&stack.processes()).since(&before);
    };
    let chats = async {
        let until_handed = load.fixed_rate_until(CHAT, 0, both).await;
        (until_handed, load.fixed_rate_until(CHAT, 0, receiver.fired(count)).await)
    };
    let deliver = async { timeout(PATIENCE, receiver.fired(count)).await.ok().map(|()| nine.elapsed()) };
    let ((chat, chat_later), delivered) = tokio::join!(chats, deliver);
    let work = stack.database_work().await?;
    let (transactions, log_bytes) = (work.0 - work_before.0, work.1 - work_before.1);
    let published = road.so_far();
    Ok(Burst { recorded, handed, published, delivered, used, transactions, log_bytes, chat, chat_later })
}

fn tell(report: &mut Report, burst: &Burst, count: u64) {
    let time = |time: Option<Duration>| time.unwrap_or(Duration::MAX);
    report.at_most("until all runs were recorded", time(burst.recorded), WITHIN);
    report.at_most("until all were handed over to workers", time(burst.handed), WITHIN);
    report.at_most("not handed over by NATS", count.saturating_sub(burst.published), 0);
    let delivered = burst.delivered.map_or_else(|| "too long".to_owned(), |time| format!("{time:.2?}"));
    report.tell(&format!("  until the backend had all: {delivered}"));
    report.tell(&format!(
        "  until all were handed over to workers, CPU a run: {}",
        burst.used.per_message(count)
    ));
    let bytes = u64::try_from(burst.log_bytes).unwrap_or(0) / count.max(1);
    let transactions = burst.transactions;
    report.tell(&format!(
        "  until the backend had all: {transactions} transactions, {bytes} bytes of write-ahead log a run"
    ));
    tell_chat(report, "chat until all were handed over to workers", &burst.chat);
    tell_chat(report, "chat from then until the backend had all", &burst.chat_later);
    report.at_most("chat p99 until all were handed over to workers", quantile(&burst.chat, 0.99), CHAT_P99);
    report.at_most("chat p99 until the backend had all", quantile(&burst.chat_later, 0.99), CHAT_P99);
    let late = |chat: &Outcome| chat.accepted.saturating_sub(chat.delivered);
    report.at_most("chat refused", burst.chat.refused + burst.chat_later.refused, 0);
    report.at_most("chat that was not delivered in 20 s", late(&burst.chat) + late(&burst.chat_later), 0);
}

/// Stores the jobs; tells when they are due.
async fn stock(stack: &Stack, receiver: &Receiver, count: u64) -> anyhow::Result<DateTime<Utc>> {
    let ready = SystemClock.now()
        + TimeDelta::try_seconds(i64::try_from(30 + count / STORED_A_SECOND)?).unwrap_or_default();
    let due = (ready + TimeDelta::minutes(1)).duration_trunc(TimeDelta::minutes(1))?;
    let schedule = json!({"type": "cron", "expr": format!("{} {} * * *", due.minute(), due.hour())});
    let jobs: Vec<StoredJob> = (1..=count)
        .map(|number| StoredJob {
            number,
            user: user_of(number),
            schedule: schedule.clone(),
            action: task(),
            options: json!({}),
            anchor: SystemClock.now(),
            due,
        })
        .collect();
    store(&mut stack.database().await?, &jobs).await?;
    let at = due.timestamp_millis();
    (1..=count).for_each(|number| receiver.jobs().plan(number, Plan::At { at }));
    settle(stack).await?;
    Ok(due)
}

/// When nothing was due any more; `None` when that took too long.
async fn all_recorded(database: &mut PgConnection, due: DateTime<Utc>, since: Instant) -> Option<Duration> {
    while since.elapsed() < PATIENCE {
        let open =
            sqlx::query_scalar("select exists (select from timers where kind = 'cron' and due_at <= $1)");
        if !open.bind(due).fetch_one(&mut *database).await.unwrap_or(true) {
            return Some(since.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// Each job must have come once.
fn once(report: &mut Report, receiver: &Receiver, due: DateTime<Utc>) {
    let due = due.timestamp_millis();
    let verdict = receiver.jobs().verdict(due - 1, due);
    report.must(verdict.is_clean());
    let late = Spread::of(verdict.late.iter().copied());
    report.tell(&format!("  at the backend: {verdict}"));
    report.tell(&format!(
        "  due to there: p50 {}, p99 {}, max {}",
        millis(late.percentile(50)),
        millis(late.percentile(99)),
        millis(late.max())
    ));
}

fn tell_chat(report: &Report, what: &str, chat: &Outcome) {
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|q| quantile(chat, q));
    let count = chat.accepted;
    report.tell(&format!(
        "  {what}, {CHAT}/s: {count} messages, p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, max {max:.1?}"
    ));
}

fn quantile(chat: &Outcome, q: f64) -> Duration {
    Duration::from_micros(chat.latency.value_at_quantile(q))
}
