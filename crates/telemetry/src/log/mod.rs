//! Log lines.
//!
//! They go to standard error; each reads alone and carries its ids as fields. Every one says which role of which member writes it
//! ([`speak_as`]), and one that belongs to a trace which is recorded carries `trace_id` and `span_id`, too. Each field has one spelling, and
//! `docs/logs.md` lists them; a test reads every macro that writes a line.

mod line;
mod speaker;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use speaker::speak_as;

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
        LogFormat::Text => {
            let layer = layer.with_ansi(std::io::stderr().is_terminal());
            registry.with(layer.event_format(line::Text::new())).try_init()?;
        }
        LogFormat::Json => registry.with(layer.json().event_format(line::Object::new())).try_init()?,
    }
    Ok(())
}
