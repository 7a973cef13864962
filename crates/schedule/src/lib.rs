//! When a cron job runs.
//!
//! A schedule is `{"type":"every","every_secs":300}`, `{"type":"cron","expr":"0 9 * * 1-5","tz":"Europe/Berlin"?}` or
//! `{"type":"at","at":"2026-12-01T09:00:00.000Z"}`. This crate reads one strictly, so that a typing error is told at
//! once and not by a job that never runs, and computes its runs. It has no clock: the caller says what time it is.
//!
//! What must hold: [`Schedule::next_after`] is strictly after the time that it was given, and the same for everybody
//! who asks; that is what lets several leaders in turn agree on which runs a job has had. The same is true of
//! [`ActiveHours`], to which heartbeats keep.

mod active;
mod bounds;
mod calendar;
mod cron;
mod english;
mod error;
mod fields;
mod hints;
mod parse;
mod schedule;
#[cfg(test)]
mod tests;
mod wall;
mod zone;

pub use active::ActiveHours;
pub use bounds::Bounds;
pub use cron::Cron;
pub use error::ScheduleError;
pub use schedule::{Limits, Schedule};
