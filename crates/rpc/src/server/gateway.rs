//! A gateway's calls.

use std::sync::Arc;

use async_trait::async_trait;
use claw_proto::v1::{self, gateway_server};
use claw_runtime::Lifecycle;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::{Health, ServeError, serve};
use crate::{Credentials, GatewayStatus};

/// What a gateway answers.
#[async_trait]
pub trait GatewayService: Health {
    /// What it says of itself.
    async fn status(&self) -> GatewayStatus;
}

struct GatewayServer(Arc<dyn GatewayService>);

#[tonic::async_trait]
impl gateway_server::Gateway for GatewayServer {
    async fn status(
        &self,
        _request: Request<v1::GatewayStatusRequest>,
    ) -> Result<Response<v1::GatewayStatusResponse>, Status> {
        let status = self.0.status().await;
        Ok(Response::new(v1::GatewayStatusResponse {
            name: status.name,
            version: status.version,
            uptime_ms: u64::try_from(status.uptime.as_millis()).unwrap_or(u64::MAX),
            streams: status.streams,
            sockets: status.sockets,
        }))
    }
}

/// Serves a gateway's RPC on `listener`.
///
/// # Errors
/// When the services' own description can't be read.
pub fn serve_gateway(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    credentials: &Credentials,
    service: Arc<dyn GatewayService>,
) -> Result<(), ServeError> {
    let server = gateway_server::GatewayServer::with_interceptor(
        GatewayServer(Arc::clone(&service)),
        credentials.token.require(),
    );
    serve(lifecycle, listener, credentials, Routes::new(server), "iiclaw.v1.Gateway", service)
}
