//! What the leader does, a file each. Every duty is idempotent: done twice it does no harm.

pub(crate) mod retention;
pub(crate) mod timers;
