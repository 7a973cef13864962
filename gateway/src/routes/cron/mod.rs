//! `/api/users/{user}/cron`: a user's scheduled jobs and their runs.

pub mod body;
pub mod create;
pub mod delete;
pub mod enable;
pub mod history;
pub mod job_history;
pub mod list;
pub mod preview;
pub mod replace;
pub mod test;
mod view;
