//! What the leader does, a file each. Every duty is idempotent: done twice it does no harm.

mod after;
mod failures;
mod heartbeats;
mod jobs;
pub(crate) mod retention;
mod runs;
#[cfg(test)]
mod tests;
pub(crate) mod timers;
mod wakes;

pub(crate) use jobs::action::Maker;
