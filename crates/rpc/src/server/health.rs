//! gRPC's own health service, over the role's readiness. It is asked when somebody asks, not in advance: an answer is
//! never older than its question, and a role that nobody asks does nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as GrpcHealth, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::Health;

/// How often a watched role is asked.
const EVERY: Duration = Duration::from_secs(1);

/// Of the whole process (no name) and of its one service.
pub(super) struct RoleHealth<H: ?Sized> {
    role: Arc<H>,
    service: &'static str,
    stop: CancellationToken,
}

/// The health of `service`; watchers are let go at `stop`.
pub(super) fn server<H: Health + ?Sized>(
    role: Arc<H>,
    service: &'static str,
    stop: CancellationToken,
) -> HealthServer<RoleHealth<H>> {
    HealthServer::new(RoleHealth { role, service, stop })
}

impl<H: Health + ?Sized> RoleHealth<H> {
    fn knows(&self, name: &str) -> Result<(), Status> {
        if name.is_empty() || name == self.service {
            return Ok(());
        }
        Err(Status::not_found(format!("{name:?} is not served here, {} is", self.service)))
    }
}

async fn status<H: Health + ?Sized>(role: &H) -> ServingStatus {
    match role.ready().await {
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl<H: Health + ?Sized> GrpcHealth for RoleHealth<H> {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.knows(&request.get_ref().service)?;
        Ok(Response::new(answer(status(&*self.role).await)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.knows(&request.get_ref().service)?;
        let (role, stop) = (Arc::clone(&self.role), self.stop.clone());
        let changes = unfold(None, move |told: Option<ServingStatus>| {
            let (role, stop) = (Arc::clone(&role), stop.clone());
            async move {
                loop {
                    let now = status(&*role).await;
                    if told != Some(now) {
                        return Some((Ok(answer(now)), Some(now)));
                    }
                    tokio::select! {
                        () = tokio::time::sleep(EVERY) => {}
                        () = stop.cancelled() => return None,
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
