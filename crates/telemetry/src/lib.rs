//! What a process tells of itself: log lines, [`metrics`] and [traces](trace), set up in one way for every role.
//!
//! Lines go to standard error; each reads alone and carries its ids as fields. One that belongs to a trace which is recorded
//! carries `trace_id` and `span_id`, too.

pub mod metrics;
pub mod trace;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("II_CLAW_LOG: {0}; use a level like \"info\" or directives like \"info,claw_gateway=debug\"")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Set up twice.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets logging up for the process.
///
/// # Errors
/// When `filter` is not one, or logging was set up before.
pub fn setup(filter: &str, format: LogFormat) -> Result<(), Error> {
    let filter = EnvFilter::builder().parse(filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_span_list(false)).try_init()?;
        }
    }
    Ok(())
}
