//! Serving workers' and schedulers' RPC, with the health endpoints of the role on the same port: gRPC arrives as
//! HTTP/2, a probe as a plain `GET /healthz` or `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use claw_proto::v1;
use claw_runtime::Lifecycle;
use claw_store::MessageStatus;
use claw_types::{MessageId, MessageState, ShardId};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{ClusterToken, SchedulerStatus, WorkerStatus};

/// Whether a role can do its work.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// `Ok` when ready; otherwise what is missing, in a sentence.
    async fn ready(&self) -> Result<(), String>;
}

/// Why waiting was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwaitError {
    /// The shard belongs to another worker.
    NotOwner,
    /// The message does not exist, or the database did not say.
    Unknown(String),
}

/// What a worker answers to gateways.
#[async_trait]
pub trait WorkerService: Health {
    /// Waits until the message is done, at most `limit`.
    async fn await_delivery(
        &self,
        id: MessageId,
        shard: ShardId,
        limit: Duration,
    ) -> Result<MessageStatus, AwaitError>;

    /// What it says of itself.
    async fn status(&self) -> WorkerStatus;
}

/// What a scheduler answers.
#[async_trait]
pub trait SchedulerService: Health {
    /// What it says of itself.
    async fn status(&self) -> SchedulerStatus;
}

struct WorkerServer(Arc<dyn WorkerService>);

#[tonic::async_trait]
impl v1::worker_server::Worker for WorkerServer {
    async fn await_delivery(
        &self,
        request: Request<v1::AwaitDeliveryRequest>,
    ) -> Result<Response<v1::AwaitDeliveryResponse>, Status> {
        let request = request.into_inner();
        let id = Uuid::from_slice(&request.message_id)
            .map_err(|_| Status::invalid_argument("message_id is not 16 bytes"))?;
        let shard = u16::try_from(request.shard).map_err(|_| Status::invalid_argument("shard is not one"))?;
        let limit = Duration::from_millis(u64::from(request.wait_ms));
        match self.0.await_delivery(MessageId(id), ShardId(shard), limit).await {
            Ok(status) => Ok(Response::new(response(status))),
            Err(AwaitError::NotOwner) => {
                Err(Status::failed_precondition("this worker does not own the shard"))
            }
            Err(AwaitError::Unknown(why)) => Err(Status::not_found(why)),
        }
    }

    async fn status(
        &self,
        _request: Request<v1::WorkerStatusRequest>,
    ) -> Result<Response<v1::WorkerStatusResponse>, Status> {
        let status = self.0.status().await;
        Ok(Response::new(v1::WorkerStatusResponse {
            name: status.name,
            version: status.version,
            shards: status.shards.iter().map(|shard| u32::from(shard.0)).collect(),
            channels: status.channels,
            draining: status.draining,
        }))
    }
}

fn response(status: MessageStatus) -> v1::AwaitDeliveryResponse {
    let state = match status.state {
        MessageState::Pending => v1::DeliveryState::Pending,
        MessageState::Done => v1::DeliveryState::Done,
        MessageState::Failed => v1::DeliveryState::Failed,
        MessageState::Uncertain => v1::DeliveryState::Uncertain,
        MessageState::Dead => v1::DeliveryState::Dead,
        MessageState::Discarded => v1::DeliveryState::Discarded,
    };
    v1::AwaitDeliveryResponse {
        state: state.into(),
        platform_message_ids: status.platform_message_ids,
        error: status.error.unwrap_or_default(),
    }
}

struct SchedulerServer(Arc<dyn SchedulerService>);

#[tonic::async_trait]
impl v1::scheduler_server::Scheduler for SchedulerServer {
    async fn status(
        &self,
        _request: Request<v1::SchedulerStatusRequest>,
    ) -> Result<Response<v1::SchedulerStatusResponse>, Status> {
        let status = self.0.status().await;
        Ok(Response::new(v1::SchedulerStatusResponse {
            name: status.name,
            version: status.version,
            leading: status.leading.is_some(),
            term: status.leading.unwrap_or(0),
        }))
    }
}

/// Serves a worker on `listener` until the hard end: gateways may wait for a delivery while the worker drains.
pub fn serve_worker(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    token: &ClusterToken,
    service: Arc<dyn WorkerService>,
) {
    let server = v1::worker_server::WorkerServer::with_interceptor(
        WorkerServer(Arc::clone(&service)),
        token.require(),
    );
    serve(lifecycle, listener, tonic::service::Routes::new(server).into_axum_router(), service);
}

/// Serves a scheduler on `listener`.
pub fn serve_scheduler(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    token: &ClusterToken,
    service: Arc<dyn SchedulerService>,
) {
    let server = v1::scheduler_server::SchedulerServer::with_interceptor(
        SchedulerServer(Arc::clone(&service)),
        token.require(),
    );
    serve(lifecycle, listener, tonic::service::Routes::new(server).into_axum_router(), service);
}

fn serve<H: Health + ?Sized>(lifecycle: &Lifecycle, listener: TcpListener, grpc: Router, health: Arc<H>) {
    let probes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::<H>))
        .with_state(health);
    let soft = lifecycle.soft();
    let failed = lifecycle.clone();
    lifecycle.spawn("rpc", async move {
        let served = axum::serve(listener, probes.merge(grpc)).with_graceful_shutdown(soft.cancelled_owned());
        if let Err(error) = served.await {
            failed.fail(format!("the RPC listener failed: {error}"));
        }
    });
}

async fn ready<H: Health + ?Sized>(State(health): State<Arc<H>>) -> impl IntoResponse {
    match health.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")),
    }
}
