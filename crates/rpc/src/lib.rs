//! Calls between our own roles. Protobuf stops here: callers and servers see domain types.

pub mod auth;
pub mod client;
pub mod server;

pub use auth::ClusterToken;
pub use client::{CallError, Owners, SchedulerStatus, WorkerClients, WorkerStatus, scheduler_status};
pub use server::{AwaitError, Health, SchedulerService, WorkerService, serve_scheduler, serve_worker};
