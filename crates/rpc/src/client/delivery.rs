//! What a shard's owner is asked for, whoever that is meanwhile: waiting for a delivery, showing that an answer is written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use claw_proto::v1::{self, worker_client::WorkerClient};
use claw_runtime::{Backoff, Random};
use claw_store::{MessageStatus, Owner, Store};
use claw_telemetry::trace::{self, Kind, Span};
use claw_types::{ChannelId, MessageId, MessageState, ShardId};
use tokio::time::Instant;
use tracing::debug;

use super::{CallError, Peers, Repeat, timed};
use crate::Typing;
use crate::traced::AWAIT_DELIVERY;

/// How long a look at the table of owners is trusted.
const OWNERS_AGE: Duration = Duration::from_secs(1);
/// Beyond what the server waits, for the way back.
const WAY_BACK: Duration = Duration::from_millis(500);

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

/// Asks shards' owners.
pub struct WorkerClients {
    owners: Owners,
    peers: Arc<Peers>,
    random: Arc<dyn Random>,
}

impl WorkerClients {
    /// Nothing is asked yet.
    pub fn new(owners: Owners, peers: Arc<Peers>, random: Arc<dyn Random>) -> Self {
        Self { owners, peers, random }
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

    /// Has the channel's owner show a person that an answer is being written. Another owner is asked once, when the first one
    /// that is known is none any more.
    ///
    /// # Errors
    /// When nobody owns the shard, or its owner does not run the channel, can't be reached, or is of a version that can't.
    pub async fn show_typing(
        &self,
        channel: (ChannelId, ShardId),
        recipient: &str,
        thread_id: Option<&str>,
    ) -> Result<Typing, CallError> {
        let mut refused = CallError::Refused("no worker runs the channel just now".to_owned());
        for refresh in [false, true] {
            let Some(owner) = self.owners.of(channel.1, refresh).await else { continue };
            match self.peers.show_typing(&owner.rpc_address, channel, recipient, thread_id).await {
                Err(error) => refused = error,
                shown => return shown,
            }
        }
        Err(refused)
    }

    /// Once: the loop around it asks again, and looks the owner up before.
    async fn ask(
        &self,
        address: &str,
        id: MessageId,
        shard: ShardId,
        limit: Duration,
    ) -> Result<MessageStatus, CallError> {
        let message = v1::AwaitDeliveryRequest {
            message_id: id.0.as_bytes().to_vec(),
            shard: u32::from(shard.0),
            wait_ms: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX),
        };
        let call = |line, left| {
            let message = message.clone();
            async move { WorkerClient::new(line).await_delivery(timed(message, left)).await }
        };
        let mut span = Span::child(AWAIT_DELIVERY, Kind::Client);
        let call = self.peers.call(address, Repeat::Never, limit + WAY_BACK, call);
        let answered = trace::within(span.context(), call).await;
        if answered.is_err() {
            span.failed("not_answered");
        }
        answered.map(delivered)
    }
}

fn delivered(response: v1::AwaitDeliveryResponse) -> MessageStatus {
    let state = match response.state() {
        v1::DeliveryState::Done => MessageState::Done,
        v1::DeliveryState::Failed if response.expired => MessageState::Expired,
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
