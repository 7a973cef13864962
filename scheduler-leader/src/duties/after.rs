//! What follows when runs are over: attempts to come, counts of failures, jobs that end, and the messages that tell their owners. It is
//! written with one statement, or one for each half where it is refused; what is queued is hurried after that, and is looked at
//! within 60 s if this process dies in between.
//!
//! A message that can't be sent changes nothing else: the count goes on, the job is paused, and the event and the log say why
//! nobody was told. It is not tried again, or an owner whose channel is gone would be told of old failures when it is back.

use std::collections::HashMap;

use claw_runtime::FlushError as _;
use claw_store::cron::message::ALERT;
use claw_store::{Aftermath, Channel, EndedJob, EndedRun, Error, JobAfter, NewMessage, News, Result, chain};
use claw_types::job::Overlap;
use claw_types::preferences::ChatRef;
use serde_json::json;
use tracing::{info, warn};
use uuid::Uuid;

use super::failures::Series;
use super::jobs::action::{self, Channels};
use super::runs::retry_in;
use super::timers::Timers;
use crate::elector::DUTY;

/// A job some of whose runs are over for good.
struct Judged<'r> {
    job: &'r EndedJob,
    runs: Vec<&'r EndedRun>,
    /// None: its series is as it was.
    series: Option<Series>,
    delete: bool,
}

/// Why an owner is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Untold {
    #[error("no chat is set for alerts")]
    NotSet,
    #[error("the chat that is set for alerts is not understood by this version: set it again")]
    NotUnderstood,
    #[error("the channel that is set for alerts is not there any more")]
    NoChannel,
    #[error("the channel that is set for alerts is switched off")]
    ChannelOff,
}

/// Does it for up to `limit` runs; tells for how many. A job about which nothing can be written keeps no other waiting: where a
/// statement is refused, each half of its jobs has one of its own, down to the one that it is.
pub(super) async fn follow(timers: &Timers, term: i64, limit: i64) -> Result<u64> {
    let jobs = by_job(timers.store.runs_over(limit).await?);
    let (mut followed, mut parts) = (0, vec![&*jobs]);
    while let Some(part) = parts.pop() {
        match write(timers, term, part).await {
            Ok(runs) => followed += runs,
            Err(error) if part.is_empty() || !error.may_be_one_item() => return Err(error),
            Err(error) if part.len() == 1 => refused(part, &error),
            Err(_) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
        }
    }
    Ok(followed)
}

/// The runs of each job, which are judged together, in the order in which they began.
fn by_job(over: Vec<EndedRun>) -> Vec<Vec<EndedRun>> {
    let (mut jobs, mut places) = (Vec::<Vec<EndedRun>>::new(), HashMap::new());
    for run in over {
        let next = jobs.len();
        let place = run.job.as_ref().map_or(next, |job| *places.entry(job.id).or_insert(next));
        match jobs.get_mut(place) {
            Some(runs) => runs.push(run),
            None => jobs.push(vec![run]),
        }
    }
    jobs
}

fn refused(jobs: &[Vec<EndedRun>], error: &Error) {
    for run in jobs.iter().flatten() {
        let job = run.job.as_ref().map(|job| job.id).unwrap_or_default();
        warn!(run.id = %run.id, job.id = %job, "what follows from a run can't be written, trying again later: {}", chain(error));
    }
}

/// Does it for the runs of these jobs.
async fn write(timers: &Timers, term: i64, jobs: &[Vec<EndedRun>]) -> Result<u64> {
    let over = || jobs.iter().flatten();
    let retries: Vec<_> = over().map(|run| retry_in(run, &*timers.random)).collect();
    let for_good = over().zip(&retries).filter(|(_, again)| again.is_none()).map(|(run, _)| run);
    let for_good: Vec<&EndedRun> = for_good.collect();
    let waited_for: Vec<Uuid> = for_good.iter().filter_map(|run| queues(run)).collect();
    let judged = judge(for_good.into_iter());
    let targets = judged.values().filter_map(|judged| judged.chat()?.ok().map(|chat| (judged, chat)));
    let targets = targets.map(|(judged, chat)| (judged.job.user_id.clone(), chat.channel)).collect();
    let channels = timers.store.channels_meant(targets).await?;
    let jobs = judged.values().map(|judged| judged.written(timers, &channels)).collect::<Result<Vec<_>>>()?;
    let after = over().zip(retries).map(|(run, retry_in)| {
        let job = run.job.as_ref().map(|job| job.id);
        let job = job.filter(|job| retry_in.is_none() && judged.contains_key(job));
        Aftermath { run: run.id, attempt: run.attempt, told_at: run.told_at, retry_in, job }
    });
    let after: Vec<_> = after.collect();
    let followed = timers.store.runs_follow(DUTY, term, &after, &jobs).await?;
    timers.bus.publish_made(&followed.messages).await;
    for judged in followed.jobs.iter().filter_map(|job| judged.get(job)) {
        judged.log(&channels);
    }
    // Only now is the run over for whoever asks whether the job is busy.
    if !waited_for.is_empty() {
        timers.store.queued_hurry(DUTY, term, &waited_for).await?;
    }
    Ok(followed.runs)
}

/// The job of this run, if a later run may wait for it.
fn queues(run: &EndedRun) -> Option<Uuid> {
    let job = run.job.as_ref()?;
    let (options, _) = action::options(&job.options);
    (options.overlap == Overlap::Queue).then_some(job.id)
}

/// The jobs of these runs, which are in order, about which something changes.
fn judge<'r>(runs: impl Iterator<Item = &'r EndedRun>) -> HashMap<Uuid, Judged<'r>> {
    let mut jobs: HashMap<Uuid, Judged<'r>> = HashMap::new();
    for run in runs {
        let Some(job) = &run.job else { continue };
        let judged = Judged { job, runs: Vec::new(), series: None, delete: false };
        jobs.entry(job.id).or_insert(judged).runs.push(run);
    }
    jobs.retain(|_, judged| judged.decide());
    jobs
}

impl Judged<'_> {
    /// Whether something changes.
    fn decide(&mut self) -> bool {
        let (options, _) = action::options(&self.job.options);
        self.series = Series::after(self.job, &options, &self.runs);
        // Whoever switched it off wants to keep it.
        self.delete = options.delete_after_run && self.runs.iter().any(|run| run.goes_on);
        self.series.is_some() || self.delete
    }

    fn told(&self) -> Option<&Series> {
        self.series.as_ref().filter(|series| series.tells())
    }

    /// Where its owner is to be told; `None` when there is nothing to tell.
    fn chat(&self) -> Option<std::result::Result<ChatRef, Untold>> {
        self.told()?;
        let stored = self.job.alerts.as_deref().ok_or(Untold::NotSet);
        Some(stored.and_then(|stored| serde_json::from_str(stored).map_err(|_| Untold::NotUnderstood)))
    }

    /// The same with its channel.
    fn place<'c>(
        &self,
        channels: &'c Channels,
    ) -> Option<std::result::Result<(ChatRef, &'c Channel), Untold>> {
        let chat = match self.chat()? {
            Ok(chat) => chat,
            Err(untold) => return Some(Err(untold)),
        };
        let known = channels.get(&(self.job.user_id.clone(), chat.channel.clone()));
        Some(match known {
            Some(Ok(channel)) if channel.enabled => Ok((chat, channel)),
            Some(Ok(_)) => Err(Untold::ChannelOff),
            Some(Err(_)) | None => Err(Untold::NoChannel),
        })
    }

    fn written(&self, timers: &Timers, channels: &Channels) -> Result<JobAfter> {
        let job = self.job;
        let mut after = JobAfter {
            job: job.id,
            runs: u32::try_from(self.runs.len()).unwrap_or(u32::MAX),
            was_changed: job.updated_at,
            was_failures: job.failures,
            failures: job.failures,
            failing_since: job.failing_since,
            alerted: job.alerted,
            paused: None,
            delete: self.delete,
            message: None,
            news: Vec::new(),
        };
        let Some(series) = &self.series else { return Ok(after) };
        (after.failures, after.failing_since, after.alerted) =
            (series.failures, series.since, series.alerted);
        after.paused.clone_from(&series.paused);
        match self.place(channels) {
            Some(Ok((chat, channel))) => {
                let body = series.message(job, chat);
                let message = NewMessage::outbound(channel, &body, &timers.make.ids, None)?;
                let message = NewMessage { source: Some(ALERT.to_owned()), ..message };
                after.news = self.news(series, "accepted", Some(&message));
                after.message = Some(message);
            }
            Some(Err(untold)) => after.news = self.news(series, untold.code(), None),
            None => {}
        }
        Ok(after)
    }

    fn news(&self, series: &Series, alert: &str, message: Option<&NewMessage>) -> Vec<News> {
        let data = json!({"job_id": self.job.id, "failures": series.failures, "since": series.since, "alert": alert});
        let of = |kind| News {
            kind,
            channel: message.map(|message| message.channel_id),
            message: message.map(|message| message.id),
            data: data.clone(),
        };
        let failing = series.alert.then(|| of("cron.job_failing"));
        let paused = series.paused.is_some().then(|| of("cron.job_paused"));
        failing.into_iter().chain(paused).collect()
    }

    fn log(&self, channels: &Channels) {
        let (Some(series), Some(place)) = (self.told(), self.place(channels)) else { return };
        let (job, user, failures) = (self.job.id, &self.job.user_id, series.failures);
        let what = if series.is_off(self.job) { "was paused" } else { "fails" };
        match place {
            Ok(_) => info!(job.id = %job, user.id = %user, failures, "a job {what}: told its owner"),
            Err(why) => {
                warn!(job.id = %job, user.id = %user, failures, "a job {what}, its owner is not told: {why}");
            }
        }
    }
}

impl Untold {
    /// As the event has it.
    fn code(self) -> &'static str {
        match self {
            Self::NotSet => "not_set",
            Self::NotUnderstood => "not_understood",
            Self::NoChannel => "no_channel",
            Self::ChannelOff => "channel_off",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::DateTime;
    use claw_store::RunStatus;

    use super::*;

    /// The first attempt of a run of a job with these options.
    pub(in super::super) fn ended(status: RunStatus, options: &str) -> EndedRun {
        let time = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let job = EndedJob {
            id: Uuid::from_u128(1),
            user_id: "ada".parse().unwrap(),
            name: "Stand-up".to_owned(),
            options: options.to_owned(),
            enabled: true,
            paused: false,
            failures: 0,
            failing_since: None,
            alerted: false,
            updated_at: time,
            alert_after: Some(3),
            pause_after: Some(5),
            alerts: None,
        };
        EndedRun {
            id: Uuid::nil(),
            status,
            attempt: 1,
            told_at: time,
            started_at: time,
            error: (status != RunStatus::Ok).then(|| "away".to_owned()),
            uncounted: false,
            goes_on: true,
            last: false,
            job: Some(job),
        }
    }

    #[test]
    fn a_run_that_changes_nothing_leaves_its_job_alone() {
        let changes = |run: &EndedRun| !judge([run].into_iter()).is_empty();
        assert!(!changes(&ended(RunStatus::Ok, "{}")));
        assert!(changes(&ended(RunStatus::Error, "{}")));
        assert!(changes(&ended(RunStatus::Ok, r#"{"delete_after_run":true}"#)));
        let off = EndedRun { goes_on: false, ..ended(RunStatus::Ok, r#"{"delete_after_run":true}"#) };
        assert!(!changes(&off), "whoever switched it off wants to keep it");
        assert!(!changes(&EndedRun { job: None, ..ended(RunStatus::Error, "{}") }), "it is gone");
    }

    #[test]
    fn the_runs_of_a_job_are_judged_together() {
        let runs = [RunStatus::Error, RunStatus::Timeout].map(|status| ended(status, "{}"));
        let judged = judge(runs.iter());
        let one = judged.values().next().unwrap();
        assert_eq!((judged.len(), one.runs.len(), one.series.as_ref().unwrap().failures), (1, 2, 2));
    }

    #[test]
    fn where_the_owner_is_told_is_asked_only_when_there_is_something_to_tell() {
        let chat = |alerts: Option<&str>, failures| {
            let mut run = ended(RunStatus::Error, "{}");
            let job = run.job.as_mut().unwrap();
            (job.alerts, job.failures) = (alerts.map(str::to_owned), failures);
            let judged = judge([&run].into_iter());
            judged.values().next().unwrap().chat()
        };
        let set = r#"{"channel":"page","recipient":"1","later":true}"#;
        assert_eq!(chat(Some(set), 0), None);
        assert_eq!(chat(Some(set), 2).unwrap().unwrap().channel, "page");
        assert_eq!(chat(None, 2), Some(Err(Untold::NotSet)));
        assert_eq!(chat(Some("{}"), 2), Some(Err(Untold::NotUnderstood)));
    }
}
