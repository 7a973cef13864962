//! Calling workers and schedulers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claw_proto::v1;
use claw_runtime::{Backoff, Random};
use claw_store::{MessageStatus, Owner, Store};
use claw_types::{MessageId, MessageState, ShardId};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tracing::debug;

use crate::ClusterToken;

/// Why a call failed for good.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not an address.
    #[error("{0:?} is not an address to call")]
    Address(String),
    /// The other side refused or did not answer.
    #[error("the call failed: {0}")]
    Status(#[from] Status),
}

/// How long a look at the table of owners is trusted.
const OWNERS_AGE: Duration = Duration::from_secs(1);

/// Who owns which shard, read from the database at most once a second and whenever it proved wrong.
pub struct Owners {
    store: Store,
    seen: tokio::sync::Mutex<Option<(Instant, HashMap<ShardId, Owner>)>>,
}

impl Owners {
    /// Nothing is read yet.
    pub fn new(store: Store) -> Self {
        Self { store, seen: tokio::sync::Mutex::new(None) }
    }

    async fn of(&self, shard: ShardId, refresh: bool) -> Option<Owner> {
        let mut seen = self.seen.lock().await;
        let fresh =
            |at: &Instant| at.elapsed() < if refresh { Duration::from_millis(50) } else { OWNERS_AGE };
        if !seen.as_ref().is_some_and(|(at, _)| fresh(at)) {
            // Whatever is wrong with the database, the caller's answer is the same: queued.
            let owners = self.store.shard_owners().await.ok()?;
            *seen = Some((Instant::now(), owners));
        }
        seen.as_ref().and_then(|(_, owners)| owners.get(&shard).cloned())
    }
}

/// Connections to the workers, made when first needed.
pub struct WorkerClients {
    owners: Owners,
    token: ClusterToken,
    random: Arc<dyn Random>,
    channels: Mutex<HashMap<String, Channel>>,
}

impl WorkerClients {
    /// No connections yet.
    pub fn new(owners: Owners, token: ClusterToken, random: Arc<dyn Random>) -> Self {
        Self { owners, token, random, channels: Mutex::default() }
    }

    /// Waits on the shard's owner, whoever that is meanwhile, until the message is done or `limit` is over.
    /// [`MessageState::Pending`] means: safe in the database and still on its way.
    pub async fn await_delivery(&self, id: MessageId, shard: ShardId, limit: Duration) -> MessageStatus {
        let deadline = Instant::now() + limit;
        let pending =
            MessageStatus { state: MessageState::Pending, platform_message_ids: Vec::new(), error: None };
        let mut failed = 0;
        while Instant::now() < deadline {
            if let Some(owner) = self.owners.of(shard, failed > 0).await {
                match self.ask(&owner.rpc_address, id, shard, deadline - Instant::now()).await {
                    Ok(status) => return status,
                    Err(error) => debug!(%error, owner = owner.name, "await delivery: {error}"),
                }
            }
            failed += 1;
            let wait = Backoff::RPC.wait(failed, &*self.random).unwrap_or_default();
            tokio::time::sleep_until(deadline.min(Instant::now() + wait)).await;
        }
        pending
    }

    async fn ask(
        &self,
        address: &str,
        id: MessageId,
        shard: ShardId,
        limit: Duration,
    ) -> Result<MessageStatus, CallError> {
        let channel = self.channel(address)?;
        let mut client = v1::worker_client::WorkerClient::with_interceptor(channel, self.token.attach());
        let mut request = tonic::Request::new(v1::AwaitDeliveryRequest {
            message_id: id.0.as_bytes().to_vec(),
            shard: u32::from(shard.0),
            wait_ms: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX),
        });
        // Beyond what the server waits, for the way back.
        request.set_timeout(limit + Duration::from_millis(500));
        match client.await_delivery(request).await {
            Ok(response) => Ok(delivered(response.into_inner())),
            Err(status) => {
                if status.code() == Code::Unavailable {
                    self.forget(address);
                }
                Err(status.into())
            }
        }
    }

    fn channel(&self, address: &str) -> Result<Channel, CallError> {
        let mut channels = self.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = connect(address)?;
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn forget(&self, address: &str) {
        self.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(address);
    }
}

fn connect(address: &str) -> Result<Channel, CallError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|_| CallError::Address(address.to_owned()))?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(1))
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true)
        .connect_lazy())
}

fn delivered(response: v1::AwaitDeliveryResponse) -> MessageStatus {
    let state = match response.state() {
        v1::DeliveryState::Done => MessageState::Done,
        v1::DeliveryState::Failed => MessageState::Failed,
        v1::DeliveryState::Uncertain => MessageState::Uncertain,
        v1::DeliveryState::Dead => MessageState::Dead,
        v1::DeliveryState::Discarded => MessageState::Discarded,
        v1::DeliveryState::Pending | v1::DeliveryState::Unspecified => MessageState::Pending,
    };
    MessageStatus {
        state,
        platform_message_ids: response.platform_message_ids,
        error: (!response.error.is_empty()).then_some(response.error),
    }
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it owns.
    pub shards: Vec<ShardId>,
    /// Channels it runs.
    pub channels: u32,
    /// Whether it is leaving.
    pub draining: bool,
}

/// What a scheduler says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The term that it leads, if it does.
    pub leading: Option<i64>,
}

/// Asks the scheduler at `address`.
///
/// # Errors
/// When it does not answer within 2 s.
pub async fn scheduler_status(address: &str, token: &ClusterToken) -> Result<SchedulerStatus, CallError> {
    let channel = connect(address)?;
    let mut client = v1::scheduler_client::SchedulerClient::with_interceptor(channel, token.attach());
    let mut request = tonic::Request::new(v1::SchedulerStatusRequest {});
    request.set_timeout(Duration::from_secs(2));
    let status = client.status(request).await?.into_inner();
    let leading = status.leading.then_some(status.term);
    Ok(SchedulerStatus { name: status.name, version: status.version, leading })
}
