//! Firing jobs: each scheduled time becomes a run and its message, once.
//!
//! Page by page: what is due is read, decided about in memory ([`plan`], [`action`]), and written by two statements side by
//! side while the next page is read. Whatever can't be written because it has changed meanwhile stays due.

pub(super) mod action;
mod plan;

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::Random;
use claw_schedule::{Limits, Schedule};
use claw_store::cron::START;
use claw_store::{DueJob, DuePage, Fired, Firing, News, Result, RunOf};
use claw_telemetry::metrics::{Counter, Histogram};
use claw_types::Action;
use claw_types::job::Options;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use uuid::Uuid;

use self::action::Found;
use self::plan::{Due, Verdict};
use super::timers::Timers;
use crate::elector::DUTY;

/// Jobs on a page.
const PAGE: i64 = 1_000;

/// A job and what becomes of it.
struct Decided {
    job: DueJob,
    options: Options,
    verdict: Verdict,
    paused: Option<String>,
    /// What it does; looked at when it runs only.
    action: std::result::Result<Action, String>,
}

/// Fires all jobs that are due, as long as this process leads. Tells how many runs began.
pub(super) async fn fire_all(timers: &Timers, stop: &CancellationToken) -> Result<u64> {
    let mut runs = 0;
    loop {
        let pass = pass(timers, stop).await?;
        runs += pass.runs;
        if !pass.again || stop.is_cancelled() || timers.leadership.term().is_none() {
            return Ok(runs);
        }
    }
}

/// One look at everything that is due.
#[derive(Debug, Default)]
struct Pass {
    runs: u64,
    /// Whether some of the jobs that moved on are due at once: they make up for several times.
    again: bool,
}

async fn pass(timers: &Timers, stop: &CancellationToken) -> Result<Pass> {
    let mut pass = Pass::default();
    let mut page = timers.store.jobs_due(START, PAGE).await?;
    while !page.jobs.is_empty()
        && !stop.is_cancelled()
        && let Some(term) = timers.leadership.term()
    {
        let now = page.now;
        let firings = decide_all(timers, page.jobs, now).await?;
        let (one, two) = firings.split_at(firings.len().div_ceil(2));
        let next = async {
            match page.next {
                Some(place) => timers.store.jobs_due(place, PAGE).await,
                None => Ok(DuePage { now, jobs: Vec::new(), next: None }),
            }
        };
        let (one, two, next) = tokio::join!(write(timers, term, one), write(timers, term, two), next);
        let (one, two) = (one?, two?);
        pass.runs += one.runs + two.runs;
        put_off(timers, term, &firings).await?;
        let late =
            |firing: &Firing| firing.next_due_at.is_some_and(|next| next <= now) && firing.jitter_ms == 0;
        pass.again |= one.jobs + two.jobs > 0 && firings.iter().any(late);
        page = next?;
    }
    Ok(pass)
}

/// What has waited for an earlier run for longer than a row can hold would be due at each tick.
async fn put_off(timers: &Timers, term: i64, firings: &[Firing]) -> Result<()> {
    let longest = firings.iter().filter(|firing| firing.jitter_ms == plan::LONGEST);
    let jobs: Vec<Uuid> = longest.map(|firing| firing.job).collect();
    if !jobs.is_empty() {
        let wait = plan::MOST_QUEUED.to_std().unwrap_or_default().as_secs_f64();
        timers.store.queued_put_off(DUTY, term, &jobs, wait).await?;
    }
    Ok(())
}

async fn write(timers: &Timers, term: i64, firings: &[Firing]) -> Result<Fired> {
    if firings.is_empty() {
        return Ok(Fired::default());
    }
    let fired = timers.store.jobs_fire(DUTY, term, firings).await?;
    let tried = u64::try_from(firings.len()).unwrap_or(u64::MAX);
    Counter::CronDuplicates.add_many(&[], tried.saturating_sub(fired.jobs));
    Counter::CronRuns.add_many(&[], fired.runs);
    debug!(jobs = fired.jobs, runs = fired.runs, "fired {} jobs, {} runs began", fired.jobs, fired.runs);
    // After the commit. Were this process to die here, the owners' sweeps would find the messages.
    timers.bus.publish_made(&fired.messages).await;
    Ok(fired)
}

async fn decide_all(timers: &Timers, jobs: Vec<DueJob>, now: DateTime<Utc>) -> Result<Vec<Firing>> {
    let decided: Vec<Decided> = jobs.into_iter().map(|job| decide(job, now, &*timers.random)).collect();
    let runs = decided.iter().filter(|decided| decided.verdict.run.is_some());
    let actions = runs.map(|decided| (&decided.job.user_id, &decided.action));
    let found = Found::look_up(&timers.store, actions).await?;
    for decided in &decided {
        decided.measure(now);
    }
    let overlapped = decided.iter().filter(|decided| decided.verdict.overlapped).count();
    if overlapped > 0 {
        info!(overlapped, "passed over the times of {overlapped} jobs, because their earlier runs go on");
    }
    Ok(decided.into_iter().map(|decided| decided.firing(timers, &found)).collect())
}

fn decide(job: DueJob, now: DateTime<Utc>, random: &dyn Random) -> Decided {
    let (options, readable) = action::options(&job.options);
    let schedule = serde_json::from_str::<Map<String, Value>>(&job.schedule)
        .map_err(|error| error.to_string())
        .and_then(|stored| Schedule::parse(&stored, Limits::default()).map_err(|error| error.to_string()));
    match schedule {
        Ok(schedule) => {
            let due = Due {
                schedule: &schedule,
                options: &options,
                one_shot: job.one_shot,
                anchor: job.anchor_at,
                time: job.next_due_at,
                jitter_ms: job.jitter_ms,
                runs: job.runs,
                busy: job.busy,
            };
            let verdict = due.verdict(now, random);
            let action = readable.and_then(|()| action::action(&job.action));
            Decided { job, options, verdict, paused: None, action }
        }
        // There is no telling when it is due next.
        Err(why) => {
            let why =
                format!("the job's schedule is not understood by this version, save the job again: {why}");
            let run = Some(job.next_due_at);
            // It is paused, not over.
            let verdict = Verdict { run, next: None, jitter_ms: 0, overlapped: false, over: None };
            Decided { job, options, verdict, paused: Some(why.clone()), action: Err(why) }
        }
    }
}

impl Decided {
    /// What is counted of it, once it was looked at: how late its run is, or why there is none.
    fn measure(&self, now: DateTime<Utc>) {
        let Verdict { run, next, overlapped, .. } = self.verdict;
        if let Some(time) = run {
            let lag = now - time - TimeDelta::milliseconds(self.job.jitter_ms.into());
            Histogram::CronLag.observe(&[], lag.to_std().unwrap_or_default().as_secs_f64());
        } else if overlapped {
            Counter::CronPassed.add(&["overlapped"]);
        } else if next != Some(self.job.next_due_at) {
            Counter::CronPassed.add(&["missed"]);
        }
    }

    /// What others are told: of a job that is paused, or of times that are passed over, once however many they are.
    fn news(&self) -> Option<News> {
        let Verdict { run, next, overlapped, .. } = self.verdict;
        let (job, time) = (self.job.id, self.job.next_due_at);
        let (kind, data) = if self.paused.is_some() {
            ("cron.job_paused", json!({"job_id": job, "why": "schedule"}))
        } else if run.is_none() && next != Some(time) {
            let why = if overlapped { "overlap" } else { "missed" };
            ("cron.time_skipped", json!({"job_id": job, "scheduled_for": time, "why": why}))
        } else {
            return None;
        };
        Some(News { kind, channel: None, message: None, data })
    }

    fn firing(self, timers: &Timers, found: &Found) -> Firing {
        let news = self.news();
        let Self { job, options, verdict, paused, action } = self;
        let run = verdict.run.map(|time| {
            let run = timers.make.ids.next();
            let of = RunOf {
                user: &job.user_id,
                job: job.id,
                job_name: &job.name,
                label: job.label.as_deref(),
                metadata: job.metadata.as_deref(),
                run,
                attempt: 1,
                scheduled_for: Some(time),
            };
            timers.make.run(&of, action, &options, time, found)
        });
        Firing {
            job: job.id,
            was_due: job.next_due_at,
            was_changed: job.updated_at,
            next_due_at: verdict.next,
            jitter_ms: verdict.jitter_ms,
            over: verdict.over,
            paused,
            delete: options.delete_after_run,
            run,
            news,
        }
    }
}
