//! The crate against tables that another program computed: `make schedule-oracle` writes them, and says how.
//!
//! Python's zoneinfo and chrono-tz each have a copy of the zones' rules. The tables say which release theirs was. When
//! chrono-tz comes with a newer one, the first test fails until the tables are made anew with the same release: were
//! they compared across releases, a zone whose government changed its mind would look like a fault, or hide one.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod cases;
mod english;
mod presets;

use chrono::{DateTime, Utc};
use claw_schedule::{Cron, Schedule};

/// The rows of a table, without its head.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect()
}

fn cron(expr: &str, zone: &str) -> Schedule {
    Schedule::Cron(Box::new(
        Cron::parse(expr, zone).unwrap_or_else(|error| panic!("{expr} in {zone}: {error}")),
    ))
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn the_tables_are_of_the_zones_that_are_compiled_in() {
    let compiled = chrono_tz::IANA_TZDB_VERSION;
    for table in [cases::TABLE, presets::TABLE] {
        let head = table.lines().next().unwrap();
        assert!(
            head.starts_with(&format!("# tzdata {compiled},")),
            "chrono-tz has tzdata {compiled} and a table says {head:?}: pin the same release of the Python package \
             in tests/oracle/requirements.txt, run `make schedule-oracle`, and look at what changed"
        );
    }
}
