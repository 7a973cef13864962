//! What tests stand on: databases of their own on a real Postgres, a real NATS, a webhook receiver, real processes.
//!
//! The servers are started once for a whole run by `with-services` (see `make test`), which names them in
//! `TEST_DATABASE_URL` and `TEST_NATS_URL`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't be set up must fail loudly")]

pub mod balancer;
pub mod collector;
pub mod database;
pub mod eventually;
pub mod fault_proxy;
pub mod jobs;
pub mod machine;
pub mod pgbouncer;
pub mod platform;
pub mod process;
pub mod receiver;
pub mod report;

pub use balancer::Balancer;
pub use collector::Collector;
pub use database::TestDatabase;
pub use eventually::eventually;
pub use fault_proxy::FaultProxy;
pub use pgbouncer::PgBouncer;
pub use platform::Platform;
pub use process::{Claw, emulator, s3};
pub use receiver::{Delivery, Receiver};
pub use report::{Report, Spread};

/// The NATS server of this run.
///
/// # Panics
/// When there is none.
pub fn nats_url() -> String {
    service("TEST_NATS_URL")
}

fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run tests by `make test`, or `make with-services CMD='cargo test -p ...'`")
    })
}

/// Installs the TLS provider once for a test binary.
pub fn install_tls() {
    // A second installation is refused, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
}
