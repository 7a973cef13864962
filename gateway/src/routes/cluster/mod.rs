//! The cluster itself, for its operator.

pub mod drain;
pub mod get;
pub mod step_down;
mod view;

use claw_rpc::CallError;

use crate::error::{Kind, Problem};

/// What a scheduler leads.
const DUTY: &str = "scheduler";

/// What to tell of a member that was called in vain.
fn uncalled(error: &CallError) -> Problem {
    match error {
        CallError::Refused(_) | CallError::Unknown(_) => Problem::conflict(error.to_string()),
        CallError::Address(_) | CallError::Failed { .. } => Problem::of(Kind::Unavailable, error.to_string()),
    }
}
