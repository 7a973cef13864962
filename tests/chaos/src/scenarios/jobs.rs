//! Scheduled jobs while the leader is struck: each scheduled time is seen once, by the backend or on the platform.
//!
//! All intervals begin at whole seconds, so all of a second's times are due at its beginning, and that is when the leader is
//! struck: while it reads, decides, writes or publishes. What is due when is computed by the checker, and what was sent is
//! what receivers got; the database's own history is not asked.
//!
//! A frozen leader may have committed what it has not published yet, and publishes when it goes on. So some freezes last until workers have
//! delivered all of that by their sweeps and have forgotten it: who still takes such a word for news sends its message again. No worker is
//! struck there, so nothing has a reason to be seen again, not even under the same id. A killed leader publishes nothing.

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
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::{CALM, Options, Run, TOLD_EVERY};
use crate::load::{BOTS, BUSY};
use crate::report;
use crate::world::Slot;

/// A scheduled time is seen within this time of it, whoever was struck.
const LATE: Duration = Duration::from_secs(10);
/// Another scheduler leads within this time of a kill.
const LEADS_WITHIN: Duration = Duration::from_secs(5);
/// Longer than a term is trusted without being renewed, and than the lock of a silent leader stays: sometimes it goes on just when another
/// one begins to lead.
const FROZEN: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(15));
/// Longer than a worker remembers what it has done, which is two minutes at most.
const FROZEN_LONG: Duration = Duration::from_secs(150);
/// Every so many freezes one is long.
const LONG_EVERY: u32 = 10;
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
/// The last digit of the number of a job that writes to a person every other second, and of one that does so every minute.
const OFTEN_TO_PEOPLE: u64 = 3;
const SELDOM_TO_PEOPLE: u64 = 7;
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
        let (place, term) = leader(&mut run.database, &run.world.slots, 0).await?;
        tick(&run).await?;
        run.world.slots[place].process.kill().await;
        let killed = Instant::now();
        // The one that stood by: the new process would be there as soon.
        leader(&mut run.database, &run.world.slots, term).await?;
        takeovers.push(killed.elapsed());
        run.world.restart(place)?;
        tokio::time::sleep(CALM).await;
        tell(report, &run, round);
    }
    let again = finish(report, run, from).await?;
    report.tell(&format!("  seen again under the same id, which receivers leave out: {again}"));
    report::spread(report, "kill until another one led", &Spread::of(takeovers), LEADS_WITHIN);
    Ok(())
}

/// The leader is stopped in its tracks at the tick, until its term is over or long after that, and goes on as if nothing had happened.
pub(crate) async fn freeze(report: &mut Report, options: Options) -> anyhow::Result<()> {
    let mut run = Run::start(report, "jobs-freeze", options).await?;
    let from = stock(&mut run, options.jobs).await?;
    let mut takeovers = Vec::new();
    for round in 1..=options.rounds {
        run.world.supervise()?;
        let (place, term) = leader(&mut run.database, &run.world.slots, 0).await?;
        tick(&run).await?;
        let lasts = freeze_lasts(round, run.random.unit());
        takeovers.push(stopped(&mut run, place, term, lasts).await?);
        // Were it to act in its old term, or to tell of what it committed then, it would do so at once or at its next tick.
        tokio::time::sleep(CALM * 2).await;
        tell(report, &run, round);
    }
    let again = finish(report, run, from).await?;
    report.at_most("seen again under the same id", again, 0);
    report::spread(report, "freeze until another one led", &Spread::of(takeovers), LATE);
    Ok(())
}

/// How long the freeze of a round lasts, with a number drawn from [0, 1).
fn freeze_lasts(round: u32, drawn: f64) -> Duration {
    let (least, most) = FROZEN;
    if round.is_multiple_of(LONG_EVERY) {
        FROZEN_LONG
    } else {
        least + most.saturating_sub(least).mul_f64(drawn)
    }
}

/// Stops the leader of this term for so long; answers after how much of it there was a later term.
async fn stopped(run: &mut Run, place: usize, term: i64, lasts: Duration) -> anyhow::Result<Duration> {
    let Run { world, database, .. } = run;
    let process = &world.slots[place].process;
    process.signal("STOP").await;
    let from = Instant::now();
    let goes_on = async {
        tokio::time::sleep_until(from + lasts).await;
        process.signal("CONT").await;
    };
    let led = async { leader(database, &world.slots, term).await.map(|_| from.elapsed()) };
    let (led, ()) = tokio::join!(led, goes_on);
    led
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
        let anchor = anchor(number, from)?;
        let (schedule, plan, due) = schedule(number, anchor)?;
        let (user, action) = action(number);
        run.world.witness.jobs().plan(number, plan);
        // What passes while nobody leads must be made up for, each time of it.
        let options = json!({"misfire": "all", "misfire_limit": 100});
        jobs.push(StoredJob { number, user, schedule, action, options, anchor, due });
    }
    store(&mut run.database, &jobs).await?;
    let ahead = (from - SystemClock.now()).to_std();
    tokio::time::sleep(ahead.context("it took too long to store the jobs: they are due by now")?).await;
    Ok(from)
}

/// From where a job's intervals are counted. Those of two seconds are not all due in the same ones.
fn anchor(number: u64, from: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    let later = if number % 10 == OFTEN_TO_PEOPLE { i64::try_from(number / 10 % 2)? } else { 0 };
    Ok(from + TimeDelta::seconds(later))
}

/// Of ten jobs three run every second and one every other second, four every minute by the calendar, and two once. The first time of
/// each comes last.
fn schedule(number: u64, from: DateTime<Utc>) -> anyhow::Result<(Value, Plan, DateTime<Utc>)> {
    let second = TimeDelta::seconds(1);
    Ok(match number % 10 {
        kind @ 0..=3 => {
            // No chat takes more than one message a second, and what was late must come beside what is due.
            let secs = if kind == OFTEN_TO_PEOPLE { 2 } else { 1 };
            let plan = Plan::Every { anchor: from.timestamp_millis(), every: secs * 1_000 };
            (json!({"type": "every", "every_secs": secs}), plan, from + TimeDelta::seconds(secs))
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

/// Those of every other second, and one of those by the calendar, write to a person by a bot that nobody else uses, the others give an
/// agent something to do.
fn action(number: u64) -> (String, Value) {
    if ![OFTEN_TO_PEOPLE, SELDOM_TO_PEOPLE].contains(&(number % 10)) {
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
async fn leader(database: &mut PgConnection, slots: &[Slot], after: i64) -> anyhow::Result<(usize, i64)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let row = sqlx::query("select leader, term from leaders where duty = 'scheduler' and term > $1");
        let row = row.bind(after).fetch_optional(&mut *database).await?;
        let found = row.map(|row| anyhow::Ok((row.try_get("leader")?, row.try_get("term")?)));
        let (name, term): (Option<String>, i64) = found.transpose()?.unwrap_or_default();
        let place = slots.iter().position(|slot| Some(&slot.name) == name.as_ref());
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

/// Waits until everything that was due so far was seen, and asks both checkers. Answers how often something was seen again.
async fn finish(report: &mut Report, mut run: Run, from: DateTime<Utc>) -> anyhow::Result<usize> {
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
    run.finish(report).await?;
    Ok(verdict.again)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenth_freeze_is_longer_than_a_worker_remembers_and_the_others_are_drawn() {
        let long: Vec<u32> = (1..=30).filter(|round| freeze_lasts(*round, 0.5) == FROZEN_LONG).collect();
        assert_eq!(long, [10, 20, 30]);
        assert_eq!([0.0, 0.5, 1.0].map(|drawn| freeze_lasts(11, drawn).as_millis()), [6_000, 10_500, 15_000]);
    }

    #[test]
    fn jobs_that_write_to_people_often_are_due_in_turns_and_go_by_quiet_bots() {
        let from: DateTime<Utc> = "2026-11-28T09:00:00Z".parse().unwrap();
        let of = |number| schedule(number, anchor(number, from).unwrap()).unwrap();
        let [(every, plan, first), (_, _, second)] = [of(3), of(13)];
        assert_eq!((&every["every_secs"], second - first), (&json!(2), TimeDelta::seconds(1)));
        assert_eq!(plan, Plan::Every { anchor: from.timestamp_millis(), every: 2_000 });
        assert_eq!(of(2).2, from + TimeDelta::seconds(1));
        for number in [3, 13, 7, 993] {
            let (user, action) = action(number);
            let bot: u32 = user.strip_prefix("bot-").unwrap().parse().unwrap();
            assert!((BUSY + 1..=BOTS).contains(&bot), "{user}");
            assert_eq!(action["type"], "channel_message");
        }
        assert_eq!(action(2).1["type"], "assistant_task");
    }
}
