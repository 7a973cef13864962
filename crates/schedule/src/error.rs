//! What can be wrong with a schedule.

/// Why a schedule was refused; the sentence says what to change.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// No kind, or none that exists.
    #[error("\"type\" of the schedule must be \"every\", \"cron\" or \"at\"")]
    Type,
    /// A key that the kind does not have.
    #[error("the key {key:?} does not exist in a schedule of type {kind:?}; its keys are: {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The kind.
        kind: &'static str,
        /// Its keys.
        known: String,
    },
    /// A key that is needed.
    #[error("a schedule of type {kind:?} needs {key:?}, {expected}")]
    Missing {
        /// The key.
        key: &'static str,
        /// The kind.
        kind: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A value of the wrong type or form.
    #[error("{key:?} must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Too often or too seldom.
    #[error("\"every_secs\" must be from {min} to {max}, not {given}")]
    Every {
        /// The shortest interval.
        min: u64,
        /// The longest.
        max: u64,
        /// What was asked for.
        given: u64,
    },
    /// Not five fields.
    #[error(
        "\"expr\" must have five fields (minute, hour, day of month, month, day of week), not {0}{hint}",
        hint = if *.0 > 5 { "; there are none for seconds and years" } else { "" }
    )]
    FieldCount(usize),
    /// An `@` that does not exist.
    #[error(
        "{0:?} is not known; write five fields, or @hourly, @daily, @weekly, @monthly, @yearly or @annually{hint}",
        hint = if .0.starts_with("@every") { ", or make a schedule of type \"every\"" } else { "" }
    )]
    Alias(String),
    /// One field of the five.
    #[error("{item:?} in the {field} field of \"expr\" is wrong: {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// The part between commas.
        item: String,
        /// What it should be.
        expected: String,
    },
    /// Too long to make sense.
    #[error("\"expr\" has more than {max} characters")]
    Long {
        /// The most.
        max: usize,
    },
    /// No such zone.
    #[error("{given:?} in \"tz\" is not an IANA time zone; {hint}")]
    Zone {
        /// What was given instead.
        given: String,
        /// What to write.
        hint: String,
    },
    /// No time of day.
    #[error("{given:?} in {key:?} is not a time of day; write one like \"08:00\"")]
    TimeOfDay {
        /// Where.
        key: &'static str,
        /// What was given instead.
        given: String,
    },
    /// Hours that begin when they end.
    #[error("\"from\" and \"to\" are the same time; for whole days write \"00:00\" and \"24:00\"")]
    NoHours,
    /// No weekdays.
    #[error("\"days\" must be some of 1 (Monday) to 7 (Sunday); leave it out for every day")]
    Days,
    /// No day is like this.
    #[error("\"expr\" never comes true: no date has this day and month")]
    Never,
    /// Too late.
    #[error("\"at\" has passed; give a time in the future")]
    Past,
    /// The last time it may run is over.
    #[error("\"ends_at\" has passed; give a time in the future, or leave it out")]
    Ended,
    /// It may not run when it would.
    #[error("\"starts_at\" and \"ends_at\" leave the schedule no time to run")]
    Outside,
    /// A run could be later than the one after it.
    #[error("\"jitter_secs\" must be less than the shortest time between two runs, which is {gap} s")]
    Jitter {
        /// That time, in seconds.
        gap: i64,
    },
    /// It has run so often.
    #[error("it has had its {0} runs: raise \"max_runs\", or change the schedule to begin anew")]
    Spent(u32),
}
