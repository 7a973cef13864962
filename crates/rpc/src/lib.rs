//! Calls between our own roles. Protobuf stops here: callers and servers see domain types.
//!
//! - [`Credentials`] are what the roles show one another: the cluster's token on every call and, with files for TLS,
//!   certificates of one authority on both sides.
//! - [`Peers`] calls: every call has a deadline that the server obeys, and is repeated only where repeating is harmless.
//! - `serve_...` serves a role's calls, gRPC health and reflection, and plain HTTP probes, on one port.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod auth;
mod client;
mod server;
mod status;
mod tls;
mod traced;

pub use auth::{ClusterToken, Credentials};
pub use client::{CallError, Owners, Peers, WorkerClients};
pub use server::{
    AwaitError, GatewayService, Health, Refused, SchedulerService, ServeError, WorkerService, serve_gateway,
    serve_scheduler, serve_worker,
};
pub use status::{
    Adapter, AdapterPage, AwayBackend, GatewayStatus, Probed, RanNow, Reload, SchedulerStatus, SteppedDown,
    Typing, WorkerStatus,
};
pub use tls::{SERVER_NAME, Tls, TlsError};
