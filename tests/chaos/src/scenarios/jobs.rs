//! Scheduled jobs while the leader is struck: each scheduled time is seen once, by the backend or on the platform.
//!
//! All intervals begin at whole seconds, so all of a second's times are due at its beginning, and that is when the leader is
//! struck: while it reads, decides, writes or publishes. What is due when is computed by the checker, and what was sent is
//! what receivers got; the database's own history is not asked.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use claw_checker::jobs::{Arrival, Plan};
use claw_runtime::{Clock as _, Random as _, SystemClock};
use claw_testkit::jobs::{StoredJob, store};
use claw_testkit::platform::Sent;
use claw_testkit::{Report, Spread};
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::time::Instant;

use super::{CALM, Options, Run, TOLD_EVERY};
use crate::load::{BOTS, BUSY};
use crate::report;

/// A scheduled time is seen within this time of it, whoever was struck.
const LATE: Duration = Duration::from_secs(10);
/// Another scheduler leads within this time of a kill.
const LEADS_WITHIN: Duration = Duration::from_secs(5);
/// Longer than a term is trusted without being renewed, and than the lock of a silent leader stays.
const FROZEN: Duration = Duration::from_secs(15);
/// The leader is struck so soon after the beginning of a second.
const AFTER_TICK: Duration = Duration::from_millis(300);
/// A whole minute that is so near is waited for: then all jobs of the calendar are due, too.
const MINUTE_NEAR: TimeDelta = TimeDelta::seconds(4);
/// Somebody leads within this time, or the cluster is not well.
const PATIENCE: Duration = Duration::from_secs(60);
/// What was not seen after this time is missed.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
/// From storing the jobs to their first times.
const AHEAD: TimeDelta = TimeDelta::seconds(5);
/// Seconds between the times of two one-time jobs and those of the next two.
const APART: i64 = 4;
/// What jobs write to people begins so; their number follows.
const TEXT: &str = "scheduled job ";

/// Whether a bot sent this because a job said so.
pub(super) fn is_of_a_job(sent: &Sent) -> bool {
    sent.text.starts_with(TEXT)
}

/// The leader is killed at the tick, and another scheduler takes its place.
pub(crate) async fn kill(report: &mut Report, options: Options) -> anyhow::Result<()> {
    let mut run = Run::start(report, "jobs-kill", options).await?;
    let from = stock(&mut run, options.jobs).await?;
    let mut takeovers = Vec::new();
    for round in 1..=options.rounds {
        run.world.supervise()?;
        let (place, term) = leader(&mut run, 0).await?;
        tick(&run).await?;
        run.world.slots[place].process.kill().await;
        let killed = Instant::now();
        // The one that stood by: the new process would be there as soon.
        leader(&mut run, term).await?;
        takeovers.push(killed.elapsed());
        run.world.restart(place)?;
        tokio::time::sleep(CALM).await;
        tell(report, &run, round);
    }
    finish(report, run, from).await?;
    report::spread(report, "kill until another one led", &Spread::of(takeovers), LEADS_WITHIN);
    Ok(())
}

/// The leader is stopped in its tracks at the tick, until long after its term is over, and goes on as if nothing had happened.
pub(crate) async fn freeze(report: &mut Report, options: Options) -> anyhow::Result<()> {
    let mut run = Run::start(report, "jobs-freeze", options).await?;
    let from = stock(&mut run, options.jobs).await?;
    let mut takeovers = Vec::new();
    for round in 1..=options.rounds {
        run.world.supervise()?;
        let (place, term) = leader(&mut run, 0).await?;
        tick(&run).await?;
        run.world.slots[place].process.signal("STOP").await;
        let (frozen, thawed) = (Instant::now(), Instant::now() + FROZEN);
        leader(&mut run, term).await?;
        takeovers.push(frozen.elapsed());
        tokio::time::sleep_until(thawed).await;
        run.world.slots[place].process.signal("CONT").await;
        // Were it to act in its old term, it would do so at once or at its next tick.
        tokio::time::sleep(CALM * 2).await;
        tell(report, &run, round);
    }
    finish(report, run, from).await?;
    report::spread(report, "freeze until another one led", &Spread::of(takeovers), LATE);
    Ok(())
}

fn tell(report: &Report, run: &Run, round: u32) {
    if round.is_multiple_of(TOLD_EVERY) {
        report.tell(&format!("  {round} rounds after {:.0?}", run.began.elapsed()));
    }
}

/// Stores the jobs, tells the checker of their plans, and returns at the moment after which they are due.
async fn stock(run: &mut Run, count: u64) -> anyhow::Result<DateTime<Utc>> {
    let from = (SystemClock.now() + AHEAD).duration_trunc(TimeDelta::seconds(1))?;
    let mut jobs = Vec::new();
    for number in 1..=count {
        let (schedule, plan, due) = schedule(number, from)?;
        let (user, action) = action(number);
        run.world.witness.jobs().plan(number, plan);
        // What passes while nobody leads must be made up for, each time of it.
        let options = json!({"misfire": "all", "misfire_limit": 100});
        jobs.push(StoredJob { number, user, schedule, action, options, anchor: from, due });
    }
    store(&mut run.database, &jobs).await?;
    let ahead = (from - SystemClock.now()).to_std();
    tokio::time::sleep(ahead.context("it took too long to store the jobs: they are due by now")?).await;
    Ok(from)
}

/// Of ten jobs four run every second, four every minute by the calendar, and two once. The first time of each comes last.
fn schedule(number: u64, from: DateTime<Utc>) -> anyhow::Result<(Value, Plan, DateTime<Utc>)> {
    let second = TimeDelta::seconds(1);
    Ok(match number % 10 {
        0..=3 => {
            let plan = Plan::Every { anchor: from.timestamp_millis(), every: second.num_milliseconds() };
            (json!({"type": "every", "every_secs": 1}), plan, from + second)
        }
        4..=7 => {
            let due = from.duration_trunc(TimeDelta::minutes(1))? + TimeDelta::minutes(1);
            (json!({"type": "cron", "expr": "* * * * *", "tz": "UTC"}), Plan::EACH_MINUTE, due)
        }
        _ => {
            let at = from + second * i32::try_from(1 + APART * i64::try_from(number / 10)?)?;
            (json!({"type": "at", "at": at}), Plan::At { at: at.timestamp_millis() }, at)
        }
    })
}

/// One of those by the calendar writes to a person by a bot that nobody else uses, the others give an agent something to do.
fn action(number: u64) -> (String, Value) {
    if number % 10 != 7 {
        let task = json!({"type": "assistant_task", "agent_id": "general", "context": "a scheduled task"});
        return (format!("planner-{}", number / 20), task);
    }
    let bot = u64::from(BUSY) + 1 + number / 10 % u64::from(BOTS - BUSY);
    let recipient = (100_000 + number).to_string();
    let message = json!({
        "type": "channel_message", "channel": "main", "recipient": recipient, "message": format!("{TEXT}{number}"),
    });
    (format!("bot-{bot}"), message)
}

/// Waits until somebody leads in a later term than this one; answers the place of its process and the term.
async fn leader(run: &mut Run, after: i64) -> anyhow::Result<(usize, i64)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let row = sqlx::query("select leader, term from leaders where duty = 'scheduler' and term > $1");
        let row = row.bind(after).fetch_optional(&mut run.database).await?;
        let found = row.map(|row| anyhow::Ok((row.try_get("leader")?, row.try_get("term")?)));
        let (name, term): (Option<String>, i64) = found.transpose()?.unwrap_or_default();
        let place = run.world.slots.iter().position(|slot| Some(&slot.name) == name.as_ref());
        if let Some(place) = place {
            return Ok((place, term));
        }
        ensure!(Instant::now() < deadline, "nobody leads after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns a drawn moment after the next whole second, or whole minute when that is near.
async fn tick(run: &Run) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let after = |step: TimeDelta| anyhow::Ok(now.duration_trunc(step)? + step);
    let (second, minute) = (after(TimeDelta::seconds(1))?, after(TimeDelta::minutes(1))?);
    let tick = if minute - now < MINUTE_NEAR { minute } else { second };
    tokio::time::sleep((tick - now).to_std()? + AFTER_TICK.mul_f64(run.random.unit())).await;
    Ok(())
}

/// Waits until everything that was due so far was seen, and asks both checkers.
async fn finish(report: &mut Report, mut run: Run, from: DateTime<Utc>) -> anyhow::Result<()> {
    let (from, to) = (from.timestamp_millis(), SystemClock.now().timestamp_millis());
    let deadline = Instant::now() + SEEN_WITHIN;
    let mut told = 0;
    loop {
        told = tell_sent(&run, told);
        if run.world.witness.jobs().outstanding(from, to) == 0 || Instant::now() > deadline {
            break;
        }
        run.world.supervise()?;
        tokio::time::sleep(CALM).await;
    }
    let verdict = run.world.witness.jobs().verdict(from, to);
    report.must(verdict.is_clean());
    report.tell(&format!("  jobs: {verdict}"));
    report::spread(report, "scheduled time until it was seen", &Spread::of(verdict.late), LATE);
    run.finish(report).await
}

/// Tells the checker what bots sent for jobs, but for the first `told` messages. Answers how many there are.
fn tell_sent(run: &Run, told: usize) -> usize {
    let (sent, now, instant) = (run.world.platform.sent(), SystemClock.now(), Instant::now());
    for message in sent[told..].iter().filter(|message| is_of_a_job(message)) {
        let Some(job) = message.text[TEXT.len()..].parse().ok() else { continue };
        let ago = i64::try_from(instant.saturating_duration_since(message.at).as_millis()).unwrap_or(0);
        let (key, at) = (format!("{} of bot {}", message.id, message.bot), now.timestamp_millis() - ago);
        run.world.witness.jobs().arrived(Arrival { job, due: None, key, at });
    }
    sent.len()
}
