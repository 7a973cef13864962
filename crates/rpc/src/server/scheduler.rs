//! A scheduler's calls.

use std::sync::Arc;

use async_trait::async_trait;
use claw_proto::v1::{self, scheduler_server};
use claw_runtime::Lifecycle;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::{Health, Refused, ServeError, serve};
use crate::{Credentials, RanNow, SchedulerStatus, SteppedDown};

/// What a scheduler answers.
#[async_trait]
pub trait SchedulerService: Health {
    /// What it says of itself.
    async fn status(&self) -> SchedulerStatus;

    /// Resigns and stands by.
    async fn step_down(&self) -> Result<SteppedDown, Refused>;

    /// Does the leader's duties at once.
    async fn run_now(&self) -> Result<RanNow, Refused>;
}

struct SchedulerServer(Arc<dyn SchedulerService>);

#[tonic::async_trait]
impl scheduler_server::Scheduler for SchedulerServer {
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

    async fn step_down(
        &self,
        _request: Request<v1::StepDownRequest>,
    ) -> Result<Response<v1::StepDownResponse>, Status> {
        let done = self.0.step_down().await?;
        let stands_by_ms = u32::try_from(done.stands_by.as_millis()).unwrap_or(u32::MAX);
        Ok(Response::new(v1::StepDownResponse { term: done.term, stands_by_ms }))
    }

    async fn run_now(
        &self,
        _request: Request<v1::RunNowRequest>,
    ) -> Result<Response<v1::RunNowResponse>, Status> {
        let ran = self.0.run_now().await?;
        Ok(Response::new(v1::RunNowResponse { fired: ran.fired, forgotten: ran.forgotten }))
    }
}

/// Serves a scheduler on `listener`.
///
/// # Errors
/// When the services' own description can't be read.
pub fn serve_scheduler(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    credentials: &Credentials,
    service: Arc<dyn SchedulerService>,
) -> Result<(), ServeError> {
    let server = scheduler_server::SchedulerServer::with_interceptor(
        SchedulerServer(Arc::clone(&service)),
        credentials.token.require(),
    );
    serve(lifecycle, listener, credentials, Routes::new(server), "iiclaw.v1.Scheduler", service)
}
