//! Calling workers.

use std::time::Duration;

use claw_proto::v1::{self, worker_client::WorkerClient};
use claw_types::{ChannelId, Epoch, ShardId};
use uuid::Uuid;

use super::{CallError, Peers, QUICK, Repeat, timed};
use crate::{Adapter, AdapterPage, AwayBackend, Probed, Reload, Typing, WorkerStatus};

/// A platform has 15 s to answer; this is for the way there and back, too.
const ASK: Duration = Duration::from_secs(17);
/// What needs one statement of the worker's database.
const STATEMENT: Duration = Duration::from_secs(5);

impl Peers {
    /// What the worker at `address` says of itself.
    ///
    /// # Errors
    /// When it does not answer within 2 s.
    pub async fn worker_status(&self, address: &str) -> Result<WorkerStatus, CallError> {
        let call = |line, left| async move {
            WorkerClient::new(line).status(timed(v1::WorkerStatusRequest {}, left)).await
        };
        let status = self.call(address, Repeat::Harmless, QUICK, call).await?;
        Ok(WorkerStatus {
            name: status.name,
            version: status.version,
            shards: status.shards.into_iter().map(shard).collect(),
            channels: status.channels,
            failed: status.failed,
            draining: status.draining,
            away: status.away.into_iter().map(away).collect(),
        })
    }

    /// Has the shard's owner ask the platform whether a channel's credential works.
    ///
    /// # Errors
    /// [`CallError::Refused`] when the worker does not run the channel; otherwise when it does not answer within 17 s.
    pub async fn probe(&self, address: &str, channel: ChannelId, of: ShardId) -> Result<Probed, CallError> {
        let message = v1::ProbeRequest { channel_id: channel.0.as_bytes().to_vec(), shard: u32::from(of.0) };
        let call = |line, left| {
            let message = message.clone();
            async move { WorkerClient::new(line).probe(timed(message, left)).await }
        };
        let probed = self.call(address, Repeat::Harmless, ASK, call).await?;
        Ok(Probed {
            error: filled(probed.error),
            account: filled(probed.account),
            details: probed.details_json,
        })
    }

    /// Has the shard's owner show a person that an answer is being written.
    ///
    /// # Errors
    /// [`CallError::Refused`] when the worker does not run the channel; otherwise when it does not answer within 17 s.
    pub async fn show_typing(
        &self,
        address: &str,
        (channel, of): (ChannelId, ShardId),
        recipient: &str,
        thread_id: Option<&str>,
    ) -> Result<Typing, CallError> {
        let message = v1::ShowTypingRequest {
            channel_id: channel.0.as_bytes().to_vec(),
            shard: u32::from(of.0),
            recipient: recipient.to_owned(),
            thread_id: thread_id.unwrap_or_default().to_owned(),
        };
        let call = |line, left| {
            let message = message.clone();
            async move { WorkerClient::new(line).show_typing(timed(message, left)).await }
        };
        let shown = self.call(address, Repeat::Harmless, ASK, call).await?;
        Ok(match shown.state() {
            v1::TypingState::Shown => Typing::Shown,
            v1::TypingState::Skipped => Typing::Skipped,
            v1::TypingState::Refused => Typing::Refused(shown.error),
            v1::TypingState::Failed | v1::TypingState::Unspecified => Typing::Failed(shown.error),
        })
    }

    /// A page of the channels that a worker runs, those behind `after`.
    ///
    /// # Errors
    /// When it does not answer within 5 s.
    pub async fn adapters(
        &self,
        address: &str,
        after: Option<ChannelId>,
        limit: u32,
    ) -> Result<AdapterPage, CallError> {
        let after = after.map(|id| id.0.as_bytes().to_vec()).unwrap_or_default();
        let message = v1::ListAdaptersRequest { after, limit };
        let call = |line, left| {
            let message = message.clone();
            async move { WorkerClient::new(line).list_adapters(timed(message, left)).await }
        };
        let page = self.call(address, Repeat::Harmless, STATEMENT, call).await?;
        let adapters = page.adapters.into_iter().filter_map(adapter).collect();
        Ok(AdapterPage { adapters, more: page.more })
    }

    /// Tells a worker to own nothing, or takes that back; answers how many shards it still has.
    ///
    /// # Errors
    /// When it does not answer within 2 s.
    pub async fn drain(&self, address: &str, on: bool) -> Result<u32, CallError> {
        let call = |line, left| async move {
            WorkerClient::new(line).drain(timed(v1::DrainRequest { on }, left)).await
        };
        Ok(self.call(address, Repeat::Harmless, QUICK, call).await?.shards)
    }

    /// Has a worker look at channels again; answers at how many.
    ///
    /// # Errors
    /// [`CallError::Refused`] when the one channel is not the worker's; otherwise when it does not answer within 5 s.
    pub async fn reload(&self, address: &str, what: &Reload) -> Result<u32, CallError> {
        let which = match what {
            Reload::Channel(channel, of) => v1::reload_request::Which::Channel(v1::reload_request::Channel {
                channel_id: channel.0.as_bytes().to_vec(),
                shard: u32::from(of.0),
            }),
            Reload::User(user) => v1::reload_request::Which::UserId(user.to_string()),
        };
        let call = |line, left| {
            let message = v1::ReloadRequest { which: Some(which.clone()) };
            async move { WorkerClient::new(line).reload(timed(message, left)).await }
        };
        Ok(self.call(address, Repeat::Harmless, STATEMENT, call).await?.channels)
    }
}

fn shard(number: u32) -> ShardId {
    ShardId(u16::try_from(number).unwrap_or(u16::MAX))
}

fn away(told: v1::AwayBackend) -> AwayBackend {
    AwayBackend {
        user: filled(told.user_id),
        origin: told.origin,
        time: Duration::from_millis(told.away_ms),
        half_open: told.half_open,
    }
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn adapter(told: v1::Adapter) -> Option<Adapter> {
    let failed = told.state() == v1::AdapterState::Failed;
    Some(Adapter {
        channel: ChannelId(Uuid::from_slice(&told.channel_id).ok()?),
        user: told.user_id,
        instance: told.instance,
        channel_type: told.channel_type,
        shard: shard(told.shard),
        epoch: Epoch(told.epoch),
        error: failed.then_some(told.error),
    })
}
