//! What a process tells of itself: [log lines](log), [`metrics`] and [traces](trace), set up in one way for every role.

pub mod log;
pub mod metrics;
pub mod trace;

pub use log::{Error, LogFormat, setup};
