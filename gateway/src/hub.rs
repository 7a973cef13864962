//! The gateway as adapters see it whose people connect to the gateway itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_bus::{Bus, Frames};
use claw_channels::{HistoryItem, Hosted, Hub, HubError, Stored};
use claw_store::intake::indexable;
use claw_store::{Accepted, HistoryRow};
use claw_types::{ChannelId, Inbound};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::app::{App, Shared};
use crate::channel_cache::Known;
use crate::intake;

/// Messages of a conversation that are handed out at most.
const HISTORY: i64 = 200;
/// Frames that wait for a slow socket before its stream is ended.
const BACKLOG: usize = 256;
/// How often a stream looks whether NATS is still there.
const WATCH: Duration = Duration::from_millis(250);

/// Serves adapters' routes.
pub struct GatewayHub(pub Shared);

impl GatewayHub {
    async fn known(&self, id: ChannelId) -> Result<Arc<Known>, HubError> {
        // The cause can't be told to the person; the adapter's socket has no answer that would carry it to the log.
        let found = self.0.channels.get(id).await.map_err(|problem| {
            error!(channel.id = %id, ?problem, "the channel {id} of a socket can't be read");
            HubError::Unavailable
        })?;
        found.filter(|known| known.channel.enabled).ok_or(HubError::NoChannel)
    }
}

#[async_trait]
impl Hub for GatewayHub {
    fn home(&self) -> Option<ChannelId> {
        self.0.home
    }

    async fn channel(&self, channel_type: &str, id: ChannelId) -> Result<Hosted, HubError> {
        let known = self.known(id).await?;
        if known.channel.channel_type != channel_type {
            return Err(HubError::NoChannel);
        }
        Ok(Hosted { name: known.channel.instance_name.clone(), config: known.channel.config.clone() })
    }

    async fn accept(&self, id: ChannelId, message: Inbound) -> Result<Stored, HubError> {
        let known = self.known(id).await?;
        let accepted = intake::accept(&self.0, &known.channel, vec![message]).await.map_err(|problem| {
            error!(channel.id = %id, ?problem, "a message of a socket of channel {id} was not accepted");
            HubError::Unavailable
        })?;
        let stored = accepted.first().map(|accepted| match accepted {
            Accepted::New(work) => Stored { id: work.id, seq: work.seq, duplicate: false },
            Accepted::Duplicate(id) => Stored { id: *id, seq: 0, duplicate: true },
        });
        stored.ok_or(HubError::Unavailable)
    }

    async fn history(
        &self,
        id: ChannelId,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<HistoryItem>, HubError> {
        let rows = self.0.store.messages_history(id, &indexable(conversation), after, HISTORY).await;
        let rows = rows.map_err(|error| {
            error!(channel.id = %id, %error, "a history of channel {id} can't be read: {error}");
            HubError::Unavailable
        })?;
        Ok(rows.into_iter().map(item).collect())
    }

    async fn subscribe(&self, id: ChannelId, conversation: &str) -> Result<mpsc::Receiver<Bytes>, HubError> {
        let bus = Arc::clone(&self.0.bus);
        if !bus.connected() {
            return Err(HubError::Unavailable);
        }
        let frames = bus.subscribe_live(id, conversation).await.map_err(|error| {
            warn!(channel.id = %id, %error, "a socket of channel {id} gets no live frames: {error}");
            HubError::Unavailable
        })?;
        // The subscription stands once NATS has answered; else a frame published right after this could pass by.
        tokio::time::timeout(Duration::from_secs(2), bus.flush()).await.map_err(|_| HubError::Unavailable)?;
        Ok(forward(&self.0, bus, frames))
    }

    fn draining(&self) -> CancellationToken {
        self.0.lifecycle.soft()
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    fn token(&self, n: usize) -> String {
        self.0.ids.token(n)
    }
}

/// Ends the stream when its reader is too slow or NATS goes away: then frames are missing, and the reader looks at
/// the history.
fn forward(app: &App, bus: Arc<Bus>, mut frames: Frames) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let soft = app.lifecycle.soft();
    app.lifecycle.spawn("live frames", async move {
        let mut watch = tokio::time::interval(WATCH);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = sender.closed() => return,
                () = soft.cancelled() => return,
                _ = watch.tick() => {
                    if bus.connected() { continue } else { None }
                }
            };
            if frame.is_none_or(|frame| sender.try_send(frame).is_err()) {
                return;
            }
        }
    });
    receiver
}

fn item(row: HistoryRow) -> HistoryItem {
    HistoryItem {
        id: row.id,
        seq: row.seq,
        direction: row.direction,
        payload: row.payload,
        accepted_at: row.accepted_at,
    }
}
