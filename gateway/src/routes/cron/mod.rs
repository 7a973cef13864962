//! `/api/users/{user}/cron`: a user's scheduled jobs and their runs.

mod action;
pub mod body;
pub mod complete;
pub mod create;
pub mod delete;
pub mod enable;
pub mod get;
pub mod history;
pub mod job_history;
pub mod list;
mod options;
pub mod preview;
pub mod replace;
mod schedule;
pub mod signing_secret;
pub mod test;
mod view;
