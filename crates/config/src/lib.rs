//! The settings of every role: flags and environment variables, one table in docs/settings.md.
//!
//! A bad one stops the start with one line that names it. Secrets are read into types that are never printed.
#![allow(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "the settings' texts are what `--help` prints, not Markdown"
)]

mod own_address;
pub mod settings;
mod tls;
mod traces;
pub mod values;

pub use settings::{
    BackendSettings, ConfigError, GatewaySettings, JobSettings, KeySettings, Keys, LogSettings,
    MediaSettings, RetentionSettings, RpcSettings, SchedulerSettings, StoreSettings, UrlPolicy,
    WorkerSettings,
};
pub use tls::{TlsFiles, TlsSettings};
pub use traces::TraceSettings;
