//! The front end's presets against what their labels promise, year by year.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::{cron, instant, rows};

pub(crate) const TABLE: &str = include_str!("presets.tsv");

/// All runs that are in a year by the clock of the zone.
fn runs_of(expr: &str, zone: &str, year: i32) -> Vec<String> {
    let (schedule, tz) = (cron(expr, zone), zone.parse::<chrono_tz::Tz>().unwrap());
    let mut run = instant(&format!("{year}-01-01T00:00:00Z")) - TimeDelta::days(2);
    let mut found = Vec::new();
    loop {
        run = schedule.next_after(run, run).unwrap();
        match run.with_timezone(&tz).year() {
            shown if shown > year => return found,
            shown if shown == year => found.push(stamp(run)),
            _ => {}
        }
    }
}

fn stamp(run: DateTime<Utc>) -> String {
    run.to_rfc3339_opts(SecondsFormat::Secs, true).replace(":00Z", "Z")
}

/// The first 16 digits.
fn digest(runs: &[String]) -> String {
    let digest = Sha256::digest(runs.join("\n").as_bytes());
    format!("{:016x}", u64::from_be_bytes(*digest.first_chunk().unwrap()))
}

#[test]
fn presets_run_when_their_labels_say() {
    let rows = rows(TABLE);
    for row in &rows {
        let [label, expr, zone, year, count, first, last, sha256] = row[..] else { panic!("{row:?}") };
        let runs = runs_of(expr, zone, year.parse().unwrap());
        let found = (runs.len().to_string(), runs[0].as_str(), runs[runs.len() - 1].as_str(), digest(&runs));
        let expected = (count.to_owned(), first, last, sha256.to_owned());
        assert_eq!(found, expected, "{label} ({expr}) in {zone} in {year}");
    }
    assert!(rows.len() >= 200, "{}", rows.len());
}
