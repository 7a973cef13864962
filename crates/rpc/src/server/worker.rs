//! A worker's calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_proto::v1::{self, worker_server};
use claw_runtime::Lifecycle;
use claw_store::MessageStatus;
use claw_telemetry::trace;
use claw_types::{ChannelId, MessageId, MessageState, ShardId};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Health, Refused, ServeError, serve};
use crate::traced::{self, AWAIT_DELIVERY};
use crate::{Adapter, AdapterPage, AwayBackend, Credentials, Probed, Reload, Typing, WorkerStatus};

/// Adapters of a page when the caller does not say, and at most.
const PAGE: (u32, u32) = (100, 1000);

/// Why waiting was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwaitError {
    /// The shard belongs to another worker.
    NotOwner,
    /// The message does not exist, or the database did not say.
    Unknown(String),
}

/// What a worker answers to gateways and operators.
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

    /// Asks the platform whether a channel's credential works.
    async fn probe(&self, channel: ChannelId, shard: ShardId) -> Result<Probed, Refused>;

    /// Shows a person that an answer is being written, if the platform's pace allows it now.
    async fn show_typing(
        &self,
        channel: ChannelId,
        shard: ShardId,
        recipient: &str,
        thread_id: Option<&str>,
    ) -> Result<Typing, Refused>;

    /// The adapters behind `after`, by id, at most `limit`.
    async fn adapters(&self, after: Option<ChannelId>, limit: usize) -> Result<AdapterPage, Refused>;

    /// Is to own nothing from now on, or no longer; answers how many shards it has.
    async fn drain(&self, on: bool) -> usize;

    /// Looks at channels again; answers at how many.
    async fn reload(&self, what: Reload) -> Result<usize, Refused>;
}

struct WorkerServer(Arc<dyn WorkerService>);

#[tonic::async_trait]
impl worker_server::Worker for WorkerServer {
    async fn await_delivery(
        &self,
        request: Request<v1::AwaitDeliveryRequest>,
    ) -> Result<Response<v1::AwaitDeliveryResponse>, Status> {
        let mut span = traced::answering(&request, AWAIT_DELIVERY);
        let request = request.into_inner();
        let id = MessageId(uuid("message_id", &request.message_id)?);
        let limit = Duration::from_millis(u64::from(request.wait_ms));
        let shard = shard(request.shard)?;
        let answered = trace::within(span.context(), self.0.await_delivery(id, shard, limit)).await;
        if answered.is_err() {
            span.failed("refused");
        }
        match answered {
            Ok(status) => Ok(Response::new(delivery(status))),
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
            failed: status.failed,
            away: status.away.into_iter().map(away).collect(),
        }))
    }

    async fn probe(&self, request: Request<v1::ProbeRequest>) -> Result<Response<v1::ProbeResponse>, Status> {
        let request = request.into_inner();
        let channel = ChannelId(uuid("channel_id", &request.channel_id)?);
        let probed = self.0.probe(channel, shard(request.shard)?).await?;
        Ok(Response::new(v1::ProbeResponse {
            error: probed.error.unwrap_or_default(),
            account: probed.account.unwrap_or_default(),
            details_json: probed.details,
        }))
    }

    async fn show_typing(
        &self,
        request: Request<v1::ShowTypingRequest>,
    ) -> Result<Response<v1::ShowTypingResponse>, Status> {
        let request = request.into_inner();
        let channel = ChannelId(uuid("channel_id", &request.channel_id)?);
        let thread_id = Some(&*request.thread_id).filter(|id| !id.is_empty());
        let shown = self.0.show_typing(channel, shard(request.shard)?, &request.recipient, thread_id).await?;
        let (state, error) = match shown {
            Typing::Shown => (v1::TypingState::Shown, String::new()),
            Typing::Skipped => (v1::TypingState::Skipped, String::new()),
            Typing::Refused(why) => (v1::TypingState::Refused, why),
            Typing::Failed(why) => (v1::TypingState::Failed, why),
        };
        Ok(Response::new(v1::ShowTypingResponse { state: state.into(), error }))
    }

    async fn list_adapters(
        &self,
        request: Request<v1::ListAdaptersRequest>,
    ) -> Result<Response<v1::ListAdaptersResponse>, Status> {
        let request = request.into_inner();
        let after = match request.after.as_slice() {
            [] => None,
            id => Some(ChannelId(uuid("after", id)?)),
        };
        let limit = if request.limit == 0 { PAGE.0 } else { request.limit.min(PAGE.1) };
        let page = self.0.adapters(after, usize::try_from(limit).unwrap_or_default()).await?;
        let adapters = page.adapters.into_iter().map(adapter).collect();
        Ok(Response::new(v1::ListAdaptersResponse { adapters, more: page.more }))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Result<Response<v1::DrainResponse>, Status> {
        let shards = self.0.drain(request.into_inner().on).await;
        Ok(Response::new(v1::DrainResponse { shards: count(shards) }))
    }

    async fn reload(
        &self,
        request: Request<v1::ReloadRequest>,
    ) -> Result<Response<v1::ReloadResponse>, Status> {
        let what = match request.into_inner().which {
            Some(v1::reload_request::Which::Channel(which)) => {
                Reload::Channel(ChannelId(uuid("channel_id", &which.channel_id)?), shard(which.shard)?)
            }
            Some(v1::reload_request::Which::UserId(user)) => {
                let user = user.parse().map_err(|_| Status::invalid_argument("user_id is not one"))?;
                Reload::User(user)
            }
            None => return Err(Status::invalid_argument("say which: channel or user_id")),
        };
        Ok(Response::new(v1::ReloadResponse { channels: count(self.0.reload(what).await?) }))
    }
}

fn uuid(field: &str, bytes: &[u8]) -> Result<Uuid, Status> {
    Uuid::from_slice(bytes).map_err(|_| Status::invalid_argument(format!("{field} is not 16 bytes")))
}

fn shard(number: u32) -> Result<ShardId, Status> {
    Ok(ShardId(u16::try_from(number).map_err(|_| Status::invalid_argument("shard is not one"))?))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn adapter(adapter: Adapter) -> v1::Adapter {
    let state = match adapter.error {
        Some(_) => v1::AdapterState::Failed,
        None => v1::AdapterState::Running,
    };
    v1::Adapter {
        channel_id: adapter.channel.0.as_bytes().to_vec(),
        user_id: adapter.user,
        instance: adapter.instance,
        channel_type: adapter.channel_type,
        shard: u32::from(adapter.shard.0),
        epoch: adapter.epoch.0,
        state: state.into(),
        error: adapter.error.unwrap_or_default(),
    }
}

fn away(backend: AwayBackend) -> v1::AwayBackend {
    v1::AwayBackend {
        user_id: backend.user.unwrap_or_default(),
        origin: backend.origin,
        away_ms: u64::try_from(backend.time.as_millis()).unwrap_or(u64::MAX),
        half_open: backend.half_open,
    }
}

fn delivery(status: MessageStatus) -> v1::AwaitDeliveryResponse {
    let state = match status.state {
        MessageState::Pending => v1::DeliveryState::Pending,
        MessageState::Done => v1::DeliveryState::Done,
        MessageState::Failed | MessageState::Expired => v1::DeliveryState::Failed,
        MessageState::Uncertain => v1::DeliveryState::Uncertain,
        MessageState::Dead => v1::DeliveryState::Dead,
        MessageState::Discarded => v1::DeliveryState::Discarded,
    };
    v1::AwaitDeliveryResponse {
        state: state.into(),
        platform_message_ids: status.platform_message_ids,
        error: status.error.unwrap_or_default(),
        expired: status.state == MessageState::Expired,
    }
}

/// Serves a worker on `listener`: gateways may wait for a delivery while the worker drains.
///
/// # Errors
/// When the services' own description can't be read.
pub fn serve_worker(
    lifecycle: &Lifecycle,
    listener: TcpListener,
    credentials: &Credentials,
    service: Arc<dyn WorkerService>,
) -> Result<(), ServeError> {
    let server = worker_server::WorkerServer::with_interceptor(
        WorkerServer(Arc::clone(&service)),
        credentials.token.require(),
    );
    serve(lifecycle, listener, credentials, Routes::new(server), "iiclaw.v1.Worker", service)
}
