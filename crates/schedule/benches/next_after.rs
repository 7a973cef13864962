//! What the next run costs: `cargo bench -p claw-schedule`.
//!
//! The scheduler's leader reads a schedule and asks for its next run at every run, so both are measured: for what people
//! schedule, for the rarest dates, and for thousands of random expressions around changes of the clocks, of which the
//! slowest is shown. Ends with an error when a mark is missed.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a measurement that prints what it found")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use claw_schedule::{Cron, Schedule};

/// 100,000 calls a second.
const MARK: Duration = Duration::from_micros(10);
/// No single call may keep the leader from others for longer.
const LONGEST: Duration = Duration::from_millis(1);
const CALLS: u32 = 20_000;
const RANDOM: usize = 20_000;

/// An expression, its zone, and from when on it is asked for its runs.
const TABLE: [(&str, &str, &str); 9] = [
    ("0 9 * * 1-5", "America/New_York", "2026-08-22T00:00:00Z"),
    ("*/15 9-17 * * MON-FRI", "Europe/Berlin", "2026-08-22T00:00:00Z"),
    ("* * * * *", "UTC", "2026-08-22T00:00:00Z"),
    ("0 17 * * 5#L", "Europe/London", "2026-08-22T00:00:00Z"),
    ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z"),
    ("0 0 29 2 1#5", "UTC", "2096-03-01T00:00:00Z"),
    ("0 0 * 2 1#5", "America/New_York", "2072-03-01T00:00:00Z"),
    ("0 * 30 12 *", "Pacific/Apia", "2011-12-30T09:59:00Z"),
    ("* 0-23 * * *", "Antarctica/Troll", "2026-10-25T01:00:00Z"),
];

fn read(expr: &str, zone: &str) -> Schedule {
    Schedule::Cron(Box::new(Cron::parse(expr, zone).expect("an expression")))
}

/// The mean over many calls.
fn mean(mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed() / CALLS
}

/// One call, without what the machine did meanwhile: the best of some.
fn alone(mut call: impl FnMut()) -> Duration {
    let once = || {
        let start = Instant::now();
        call();
        start.elapsed()
    };
    std::iter::repeat_with(once).take(5).min().unwrap_or_default()
}

/// Random numbers that are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let place = self.0 % all.len() as u64;
        all[usize::try_from(place).unwrap_or_default()]
    }

    fn expression(&mut self) -> String {
        let fields: [&[&str]; 5] = [
            &["0", "59", "*", "*/7", "0,59", "13-14"],
            &["0", "2", "23", "*", "*/2", "0-23", "1,22"],
            &["*", "29", "30", "31", "L", "1", "*/2"],
            &["*", "2", "12", "2,9", "*/5"],
            &["*", "1#5", "0", "6L", "1-5", "2#5,4#5"],
        ];
        fields.map(|field| self.one_of(field)).join(" ")
    }
}

/// The slowest of many random calls, and what it was.
fn slowest() -> (Duration, String) {
    let changes = [
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Antarctica/Troll", "2026-03-29T01:00:00Z"),
        ("Antarctica/Troll", "2026-10-25T01:00:00Z"),
        ("Australia/Lord_Howe", "2096-04-01T15:00:00Z"),
        ("UTC", "2072-03-01T00:00:00Z"),
    ];
    let minutes: Vec<i64> = (-1_600..1_600).collect();
    let mut dice = Dice(88_172_645_463_325_252);
    let mut measured = |_| {
        let (expr, (zone, change)) = (dice.expression(), dice.one_of(&changes));
        let after = instant(change) + TimeDelta::minutes(dice.one_of(&minutes));
        let schedule = read(&expr, zone);
        let took = alone(|| {
            black_box(schedule.next_after(black_box(after), after));
        });
        (took, format!("{expr} in {zone} after {after}"))
    };
    (0..RANDOM).map(&mut measured).max().unwrap_or_default()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn main() -> ExitCode {
    println!("{:<24} {:<18} {:>10} {:>10}", "expression", "zone", "read", "next");
    let mut worst = Duration::ZERO;
    for (expr, zone, after) in TABLE {
        let (schedule, after) = (read(expr, zone), instant(after));
        let reading = mean(|| {
            black_box(read(black_box(expr), zone));
        });
        let next = mean(|| {
            black_box(schedule.next_after(black_box(after), after));
        });
        println!("{expr:<24} {zone:<18} {:>7} ns {:>7} ns", reading.as_nanos(), next.as_nanos());
        worst = worst.max(reading + next);
    }
    let (longest, call) = slowest();
    println!("the slowest of {RANDOM} random calls: {} ns, {call}", longest.as_nanos());
    if worst <= MARK && longest <= LONGEST {
        return ExitCode::SUCCESS;
    }
    eprintln!("a mark is missed: {MARK:?} to read and ask on average, {LONGEST:?} for a single call");
    ExitCode::FAILURE
}
