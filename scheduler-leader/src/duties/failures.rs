//! What becomes of a job when its runs fail: they are counted, its owner is told once, and one that goes on failing is paused.
//! Pure: the runs and their jobs were read before, the channel is looked up after.
//!
//! A series of failures begins with the first one behind a run that ended well, or behind the job's being switched on. Its
//! owner is told once in each series, however the numbers are changed while it lasts. A job that is off for good when it fails
//! will not fail as often as the number says: its owner is told at once.

use chrono::{DateTime, SecondsFormat, Utc};
use claw_store::{EndedJob, EndedRun, RunStatus};
use claw_types::job::Options;
use claw_types::preferences::{ALERT_AFTER, ChatRef, PAUSE_AFTER};
use claw_types::{Format, Outbound};

/// Longest part of a failure's text in a message, in characters.
const ERROR_LIMIT: usize = 400;

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    /// Runs in a row that failed.
    pub(super) failures: u32,
    /// When the first of them began.
    pub(super) since: Option<DateTime<Utc>>,
    /// Whether the owner was told of them, this time included.
    pub(super) alerted: bool,
    /// Whether the owner is told now that it fails.
    pub(super) alert: bool,
    /// Why it is switched off now.
    pub(super) paused: Option<String>,
    /// Why the last of them failed.
    error: String,
}

impl Series {
    /// The job's series after these runs of it, which are over for good, in order; `None` when it stays as it was.
    pub(super) fn after(job: &EndedJob, options: &Options, runs: &[&EndedRun]) -> Option<Self> {
        let ended_well = runs.iter().any(|run| run.status == RunStatus::Ok);
        let failed: Vec<_> =
            runs.iter().filter(|run| run.status != RunStatus::Ok && !run.uncounted).collect();
        let begins = ended_well || job.failures == 0;
        let before = if begins { 0 } else { job.failures };
        let failures = before.saturating_add(u32::try_from(failed.len()).unwrap_or(u32::MAX));
        if failed.is_empty() && failures == job.failures {
            return None;
        }
        let first = failed.first().map(|run| run.started_at);
        let since = if begins { first } else { job.failing_since.or(first) };
        let told = !begins && job.alerted;
        let why = failed.last().and_then(|run| run.error.as_deref()).unwrap_or("it did not say why");
        let reached = |after: u32| !failed.is_empty() && after > 0 && failures >= after;
        let alert_after = options.alert_after.or(job.alert_after).unwrap_or(ALERT_AFTER);
        // Zero is for failures; that a job was paused its owner hears in any case.
        let last = failed.iter().any(|run| run.last) && (alert_after > 0 || job.paused);
        let alert = (reached(alert_after) || last) && !told;
        let too_many = reached(options.pause_after.or(job.pause_after).unwrap_or(PAUSE_AFTER)) && job.enabled;
        let paused = too_many.then(|| {
            format!(
                "it failed {}; the last error: {why}. Switch it on again when that is set right",
                times(failures)
            )
        });
        let error = why.chars().take(ERROR_LIMIT).collect();
        Some(Self { failures, since, alerted: told || alert || too_many, alert, paused, error })
    }

    /// Whether the job is off from now on without anybody asking for it.
    pub(super) fn is_off(&self, job: &EndedJob) -> bool {
        self.paused.is_some() || job.paused
    }

    /// Whether there is something to tell the owner.
    pub(super) fn tells(&self) -> bool {
        self.alert || self.paused.is_some()
    }

    /// What tells the owner in this chat.
    pub(super) fn message(&self, job: &EndedJob, chat: ChatRef) -> Outbound {
        Outbound {
            recipient: chat.recipient.0,
            thread_id: chat.thread_id.map(|thread| thread.0),
            text: Some(self.text(job)),
            // The job's name and the error are nobody's Markdown.
            format: Format::Plain,
            ..Outbound::default()
        }
    }

    fn text(&self, job: &EndedJob) -> String {
        let Self { failures, error, .. } = self;
        let name = &job.name;
        let since = self.since.map_or_else(String::new, |since| {
            format!(", {} at {}", if *failures == 1 { "begun" } else { "the first time" }, shown(since))
        });
        let (what, next) = if self.is_off(job) {
            (
                "was paused: it",
                "It does not run again until you switch it on. Set right what the error says first.",
            )
        } else if job.enabled {
            ("fails: it", "It goes on at its times. Set right what the error says, or switch the job off.")
        } else {
            ("fails: it", "It is switched off, or has no further time.")
        };
        format!(
            "The scheduled job \"{name}\" {what} has failed {}{since}.\nThe last error: {error}\n{next}",
            times(*failures)
        )
    }
}

fn times(failures: u32) -> String {
    if failures == 1 { "once".to_owned() } else { format!("{failures} times in a row") }
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::super::after::tests::ended;
    use super::*;

    fn job(failures: u32, alerted: bool) -> EndedJob {
        let job = ended(RunStatus::Error, "{}").job.unwrap();
        EndedJob { failures, failing_since: (failures > 0).then_some(job.updated_at), alerted, ..job }
    }

    /// Runs that ended like this: `f`ailed, `o`k, or failed `u`ncounted.
    fn runs(ends: &str) -> Vec<EndedRun> {
        let run = |end: char| {
            let status = if end == 'o' { RunStatus::Ok } else { RunStatus::Error };
            EndedRun { uncounted: end == 'u', ..ended(status, "{}") }
        };
        ends.chars().map(run).collect()
    }

    fn after(job: &EndedJob, options: &Options, ends: &str) -> Option<Series> {
        Series::after(job, options, &runs(ends).iter().collect::<Vec<_>>())
    }

    /// Failures, whether it is told, whether it is paused.
    fn outcome(before: (u32, bool), ends: &str) -> Option<(u32, bool, bool)> {
        let series = after(&job(before.0, before.1), &Options::default(), ends)?;
        Some((series.failures, series.alert, series.paused.is_some()))
    }

    #[test]
    fn a_series_is_told_when_it_passes_the_number_and_once() {
        assert_eq!(outcome((0, false), "o"), None);
        assert_eq!(outcome((0, false), "u"), None);
        assert_eq!(outcome((4, false), "uuuuu"), None, "neither told nor paused");
        assert_eq!(outcome((0, false), "f"), Some((1, false, false)));
        assert_eq!(outcome((2, false), "f"), Some((3, true, false)));
        assert_eq!(outcome((1, false), "fff"), Some((4, true, false)), "several at once");
        assert_eq!(outcome((3, true), "f"), Some((4, false, false)), "once");
        assert_eq!(outcome((3, false), "f"), Some((4, true, false)), "the number was lowered meanwhile");
        assert_eq!(outcome((4, true), "f"), Some((5, false, true)));
        assert_eq!(outcome((0, false), "fffff"), Some((5, true, true)), "both at once");
        assert_eq!(outcome((4, true), "o"), Some((0, false, false)));
        assert_eq!(outcome((4, true), "uof"), Some((1, false, false)), "another series");
        assert_eq!(outcome((4, true), "offf"), Some((3, true, false)), "which is told anew");
        assert_eq!(outcome((1, true), "of"), Some((1, false, false)));
    }

    #[test]
    fn the_job_counts_more_than_its_owner_and_zero_is_never() {
        let options = |alert: u32, pause: u32| Options {
            alert_after: Some(alert),
            pause_after: Some(pause),
            ..Options::default()
        };
        let series = |options: Options, before, ends| after(&job(before, false), &options, ends).unwrap();
        assert!(series(options(1, 0), 0, "f").alert);
        let never = series(options(0, 0), 500, "ffff");
        assert!(!never.tells() && !never.alerted, "{never:?}");
        let owner = EndedJob { alert_after: None, pause_after: None, ..job(0, false) };
        let default = |ends| after(&owner, &Options::default(), ends).unwrap();
        assert!(!default("ff").alert && default("fff").alert);
        assert!(default("fffffffff").paused.is_none() && default("ffffffffff").paused.is_some());
    }

    /// The one that fails for good, of a job that is off by then.
    fn last(job: &EndedJob, options: &Options) -> Option<Series> {
        let run = EndedRun { last: true, ..ended(RunStatus::Error, "{}") };
        Series::after(job, options, &[&run])
    }

    #[test]
    fn a_job_that_is_off_when_it_fails_is_told_at_once_and_once() {
        let off = |failures, alerted| EndedJob { enabled: false, ..job(failures, alerted) };
        let plain = Options::default();
        let told = last(&off(0, false), &plain).unwrap();
        assert_eq!((told.failures, told.alert, told.alerted, &told.paused), (1, true, true, &None));
        let text = told.text(&off(0, false));
        assert!(text.contains("fails: it has failed once") && text.contains("no further time"), "{text}");
        assert!(!last(&off(1, true), &plain).unwrap().alert, "another run of it that went on");
        let never = Options { alert_after: Some(0), ..Options::default() };
        assert!(!last(&off(0, false), &never).unwrap().alert);
        let well = EndedRun { last: true, ..ended(RunStatus::Ok, "{}") };
        assert_eq!(Series::after(&off(0, false), &plain, &[&well]), None);

        let paused = EndedJob { paused: true, ..off(2, false) };
        let told = last(&paused, &never).unwrap();
        assert!(told.alert && told.paused.is_none(), "it is paused already");
        let text = told.text(&paused);
        assert!(text.contains("was paused: it has failed 3 times"), "{text}");
    }

    #[test]
    fn what_is_switched_off_is_not_paused() {
        let off = EndedJob { enabled: false, ..job(4, true) };
        assert_eq!(after(&off, &Options::default(), "f").unwrap().paused, None);
    }

    #[test]
    fn the_owner_reads_what_happened_and_what_to_do() {
        let failing = after(&job(2, false), &Options::default(), "f").unwrap();
        assert_eq!(
            failing.text(&job(2, false)),
            "The scheduled job \"Stand-up\" fails: it has failed 3 times in a row, the first time at 2027-01-15 08:00:00 \
             UTC.\nThe last error: away\nIt goes on at its times. Set right what the error says, or switch the job off."
        );
        let paused = after(&job(4, true), &Options::default(), "f").unwrap();
        let text = paused.text(&job(4, true));
        assert!(
            text.starts_with("The scheduled job \"Stand-up\" was paused: it has failed 5 times"),
            "{text}"
        );
        assert!(text.ends_with("Set right what the error says first."), "{text}");
        assert_eq!(
            paused.paused.as_deref(),
            Some(
                "it failed 5 times in a row; the last error: away. Switch it on again when that is set right"
            )
        );
    }
}
