//! Serving a role's RPC, with the health endpoints of the role on the same port: gRPC arrives as HTTP/2, a probe as a
//! plain `GET /healthz` or `/readyz`.
//!
//! With certificates set, gRPC needs TLS and a certificate of the cluster's authority. The two probes and `/metrics` go on
//! being answered without: whoever asks them has no certificate, and they tell nothing but whether the role works, and
//! numbers that name no user, no channel and no address.

mod deadline;
mod gateway;
mod health;
mod listener;
mod measure;
mod scheduler;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use claw_runtime::Lifecycle;
use claw_telemetry::metrics;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::service::Routes;

use self::listener::{Listener, Peer};
use crate::Credentials;

pub use gateway::{GatewayService, serve_gateway};
pub use scheduler::{SchedulerService, serve_scheduler};
pub use worker::{AwaitError, WorkerService, serve_worker};

/// Whether a role can do its work.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// `Ok` when ready; otherwise what is missing, in a sentence.
    async fn ready(&self) -> Result<(), String>;
}

/// Why a role does not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is not the one to ask, or not in the state for it: a sentence.
    NotMine(String),
    /// There is no such thing here.
    Missing(String),
    /// It tried and failed.
    Failed(String),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotMine(why) => Self::failed_precondition(why),
            Refused::Missing(why) => Self::not_found(why),
            Refused::Failed(why) => Self::internal(why),
        }
    }
}

/// Why an RPC can't be served.
#[derive(Debug, thiserror::Error)]
#[error("the RPC's own description can't be read")]
pub struct ServeError(#[from] tonic_reflection::server::Error);

/// Serves `routes` and what every role has beside its own service, until the soft end; calls in flight may finish.
fn serve<H: Health + ?Sized>(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    credentials: &Credentials,
    routes: Routes,
    service: &'static str,
    health: Arc<H>,
) -> Result<(), ServeError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(claw_proto::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = routes
        .add_service(health::server(Arc::clone(&health), service, lifecycle.soft()))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let grpc = routes
        .into_axum_router()
        .layer(from_fn(deadline::obey))
        .layer(from_fn_with_state(credentials.tls.is_some(), secured))
        .layer(from_fn(measure::count));
    let probes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::<H>))
        .route("/metrics", get(counted))
        .with_state(health);
    let (soft, failed) = (lifecycle.soft(), lifecycle.clone());
    let listener = Listener::new(listener, credentials.tls.clone());
    let app = probes.merge(grpc).into_make_service_with_connect_info::<Peer>();
    lifecycle.spawn("rpc", async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(soft.cancelled_owned());
        if let Err(error) = served.await {
            failed.fail(format!("the RPC listener failed: {error}"));
        }
    });
    Ok(())
}

/// Refuses calls over plain connections where certificates are set.
async fn secured(
    State(tls): State<bool>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if tls && !peer.is_secured() {
        let address: SocketAddr = peer.address;
        tracing::warn!(peer = %address, "refused a call from {address}: it came without TLS");
        let why = "this port needs TLS: set II_CLAW_RPC_TLS_CERT, _KEY and _CA on the caller's side, too";
        return Status::unauthenticated(why).into_http();
    }
    next.run(request).await
}

/// What the process has counted, for Prometheus.
async fn counted() -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, metrics::FORMAT)], metrics::scrape())
}

async fn ready<H: Health + ?Sized>(State(health): State<Arc<H>>) -> impl IntoResponse {
    match health.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")),
    }
}
