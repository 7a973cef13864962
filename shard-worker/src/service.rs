//! What the worker answers to gateways, operators and probes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_channels::{ChannelError, Probe};
use claw_rpc::{
    Adapter, AdapterPage, AwaitError, AwayBackend, Health, Probed, Refused, Reload, Typing, WorkerService,
    WorkerStatus,
};
use claw_store::{MessageStatus, chain};
use claw_types::{ChannelId, MessageId, MessageState, ShardId};
use serde_json::Value;
use tracing::info;

use crate::channels::{Event, Lookup};
use crate::core::Core;
use crate::deliver::backend::Away;
use crate::outcomes::Answer;

/// Backends that are named in an answer: when there are more, what is wrong is not with them.
const MOST_AWAY: usize = 1000;
/// How long a platform may take to answer a question that somebody waits for.
const PATIENCE: Duration = Duration::from_secs(15);

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
        let failed: usize = shards.iter().map(|shard| shard.channels.failed()).sum();
        WorkerStatus {
            name: self.0.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            channels: u32::try_from(channels).unwrap_or(u32::MAX),
            shards: shards.iter().map(|shard| shard.id).collect(),
            failed: Some(u32::try_from(failed).unwrap_or(u32::MAX)),
            draining: self.0.is_draining() || *self.0.drain_wanted.borrow(),
            away: self.0.backend.away().into_iter().take(MOST_AWAY).map(away).collect(),
        }
    }

    async fn probe(&self, channel: ChannelId, shard: ShardId) -> Result<Probed, Refused> {
        let shard = self.0.shard(shard).ok_or_else(not_owned)?;
        match shard.channels.lookup(channel) {
            Lookup::Running(active) => {
                let asked = tokio::time::timeout(PATIENCE, active.probe()).await;
                Ok(probed(asked.unwrap_or_else(|_| {
                    Err(ChannelError::Retryable("the platform did not answer in time".to_owned()))
                })))
            }
            Lookup::Failed(why) => Ok(Probed { error: Some(why), account: None, details: "{}".to_owned() }),
            Lookup::Starting => {
                Err(Refused::NotMine("the shard's channels are still being loaded: try again".to_owned()))
            }
            Lookup::Unknown => Err(unknown()),
        }
    }

    async fn show_typing(
        &self,
        channel: ChannelId,
        shard: ShardId,
        recipient: &str,
        thread_id: Option<&str>,
    ) -> Result<Typing, Refused> {
        let shard = self.0.shard(shard).ok_or_else(not_owned)?;
        let active = match shard.channels.lookup(channel) {
            Lookup::Running(active) => active,
            Lookup::Failed(why) => return Ok(Typing::Failed(format!("the channel does not run: {why}"))),
            Lookup::Starting => return Ok(Typing::Skipped),
            Lookup::Unknown => return Err(unknown()),
        };
        if !self.0.lease.holds() {
            return Err(not_owned());
        }
        let shown = tokio::time::timeout(PATIENCE, active.typing(recipient, thread_id, None)).await;
        Ok(match shown {
            Ok(Ok(true)) => Typing::Shown,
            Ok(Ok(false)) => Typing::Skipped,
            Ok(Err(error @ (ChannelError::Unsupported(_) | ChannelError::Permanent(_)))) => {
                Typing::Refused(error.to_string())
            }
            Ok(Err(error)) => Typing::Failed(error.to_string()),
            Err(_) => Typing::Failed("the platform did not answer in time".to_owned()),
        })
    }

    async fn adapters(&self, after: Option<ChannelId>, limit: usize) -> Result<AdapterPage, Refused> {
        let mut page: Vec<Adapter> = Vec::new();
        for shard in self.0.shards() {
            page.extend(shard.channels.list(after).into_iter().map(|(channel, error)| Adapter {
                channel,
                user: String::new(),
                instance: String::new(),
                channel_type: String::new(),
                shard: shard.id,
                epoch: shard.epoch,
                error,
            }));
        }
        page.sort_by_key(|adapter| adapter.channel.0);
        let more = page.len() > limit;
        page.truncate(limit);
        let ids: Vec<ChannelId> = page.iter().map(|adapter| adapter.channel).collect();
        let names = self.0.store.channels_named(&ids).await;
        let mut names = names.map_err(|error| Refused::Failed(chain(&error)))?;
        for adapter in &mut page {
            if let Some(name) = names.remove(&adapter.channel) {
                adapter.user = name.user_id;
                adapter.instance = name.instance;
                adapter.channel_type = name.channel_type;
            }
        }
        Ok(AdapterPage { adapters: page, more })
    }

    async fn drain(&self, on: bool) -> usize {
        if self.0.drain_wanted.send_replace(on) != on {
            info!(
                draining = on,
                "{}",
                if on { "told to own nothing" } else { "told to own its share again" }
            );
        }
        self.0.shards().len()
    }

    async fn reload(&self, what: Reload) -> Result<usize, Refused> {
        match what {
            Reload::Channel(channel, shard) => {
                let shard = self.0.shard(shard).ok_or_else(not_owned)?;
                shard.channels.notify(Event::Changed(channel));
                Ok(1)
            }
            Reload::User(user) => {
                let rows = self.0.store.channels_of(&user, None).await;
                let rows = rows.map_err(|error| Refused::Failed(chain(&error)))?;
                let mut ours = 0;
                for channel in rows.into_iter().map(|row| row.channel) {
                    if let Some(shard) = self.0.shard(channel.shard) {
                        shard.channels.notify(Event::Changed(channel.id));
                        ours += 1;
                    }
                }
                Ok(ours)
            }
        }
    }
}

fn away(backend: Away) -> AwayBackend {
    AwayBackend {
        user: backend.tenant.map(String::from),
        origin: backend.origin,
        time: backend.time,
        half_open: backend.half_open,
    }
}

fn not_owned() -> Refused {
    Refused::NotMine("this worker does not own the shard: ask its owner".to_owned())
}

fn unknown() -> Refused {
    Refused::Missing("this worker runs no such channel".to_owned())
}

fn probed(said: Result<Probe, ChannelError>) -> Probed {
    match said {
        Ok(Probe { account, details }) => {
            Probed { error: None, account, details: Value::Object(details).to_string() }
        }
        Err(error) => Probed { error: Some(error.to_string()), account: None, details: "{}".to_owned() },
    }
}
