//! What the worker answers to gateways and probes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_rpc::{AwaitError, Health, WorkerService, WorkerStatus};
use claw_store::{MessageStatus, chain};
use claw_types::{MessageId, MessageState, ShardId};

use crate::core::Core;
use crate::outcomes::Answer;

/// The worker's side of the RPC.
pub(crate) struct Service(pub(crate) Arc<Core>);

#[async_trait]
impl Health for Service {
    async fn ready(&self) -> Result<(), String> {
        let core = &self.0;
        if core.is_draining() || core.lifecycle.soft().is_cancelled() {
            return Err("draining".to_owned());
        }
        if !core.lease.holds() {
            return Err("no lease: the lease connection to the database is down or not yet up".to_owned());
        }
        let ping = tokio::time::timeout(Duration::from_secs(1), core.store.ping()).await;
        match ping {
            Err(_) => return Err("the database does not answer".to_owned()),
            Ok(Err(error)) => return Err(chain(&error)),
            Ok(Ok(())) => {}
        }
        if core.bus.connected() { Ok(()) } else { Err("NATS is away".to_owned()) }
    }
}

#[async_trait]
impl WorkerService for Service {
    async fn await_delivery(
        &self,
        id: MessageId,
        shard: ShardId,
        limit: Duration,
    ) -> Result<MessageStatus, AwaitError> {
        let shard = self.0.shard(shard).ok_or(AwaitError::NotOwner)?;
        let coming = match self.0.outcomes.ask(id) {
            Answer::Known(status) => return Ok(status),
            Answer::Coming(coming) => coming,
        };
        if !shard.queue().holds(id) {
            // Not here yet, or done too long ago to be remembered.
            let stored = self.0.store.message_status(id).await;
            let stored = stored.map_err(|error| AwaitError::Unknown(chain(&error)))?;
            let status = stored.ok_or_else(|| AwaitError::Unknown("there is no such message".to_owned()))?;
            if status.state != MessageState::Pending {
                return Ok(status);
            }
        }
        tokio::select! {
            answer = coming => answer.map_err(|_| AwaitError::NotOwner),
            () = tokio::time::sleep(limit) => Ok(MessageStatus {
                state: MessageState::Pending,
                platform_message_ids: Vec::new(),
                error: None,
            }),
            // The next owner answers.
            () = shard.stopping().cancelled() => Err(AwaitError::NotOwner),
        }
    }

    async fn status(&self) -> WorkerStatus {
        let shards = self.0.shards();
        let channels: usize = shards.iter().map(|shard| shard.channels.len()).sum();
        WorkerStatus {
            name: self.0.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            channels: u32::try_from(channels).unwrap_or(u32::MAX),
            shards: shards.iter().map(|shard| shard.id).collect(),
            draining: self.0.is_draining(),
        }
    }
}
