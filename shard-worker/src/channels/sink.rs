//! Where an adapter that runs here puts what it received.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use claw_channels::{Sink, SinkError, registry};
use claw_intake::{Desk, Intake, Pace};
use claw_store::{Channel, Observation, Observed, chain};
use claw_telemetry::metrics::Counter;
use claw_telemetry::trace::{self, Kind};
use claw_types::{Inbound, MessageId};

use super::observe;
use crate::core::Core;
use crate::shard::Shard;

/// One channel's.
pub(super) struct ShardSink {
    pub(super) core: Arc<Core>,
    pub(super) shard: Arc<Shard>,
    pub(super) channel: Channel,
    intake: Intake,
    /// For the first time that the cursor is asked for: a start makes no query for each channel.
    loaded: Mutex<Option<AsLoaded>>,
}

/// The cursor of a channel as it was loaded; it may have none yet.
pub(super) struct AsLoaded(pub(super) Option<String>);

impl ShardSink {
    /// `loaded` only if nobody can have saved another cursor since.
    pub(super) fn new(
        core: Arc<Core>,
        shard: Arc<Shard>,
        channel: Channel,
        loaded: Option<AsLoaded>,
    ) -> Self {
        let pace = Pace::new(registry::tells_programs(&channel.channel_type));
        let intake = Intake::new(&channel.config, Arc::new(pace));
        Self { core, shard, channel, intake, loaded: Mutex::new(loaded) }
    }
}

fn not_committed(error: &claw_store::Error) -> SinkError {
    SinkError::NotCommitted(chain(error))
}

#[async_trait]
impl Sink for ShardSink {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        if !self.core.lease.holds() || self.shard.stopping().is_cancelled() {
            return Err(SinkError::LostOwnership);
        }
        let began = trace::mark();
        let (ids, clock) = (&self.core.ids, &*self.core.clock);
        let desk = Desk { store: &self.core.store, ids, clock };
        let made = self.intake.make(desk, &self.channel, messages).await;
        let mut made = made.map_err(|error| not_committed(&error))?;
        let _spans = made.received(&self.channel, Kind::Consumer, began);
        for work in std::mem::take(&mut made.committed) {
            self.core.set_out(&self.shard, work).await;
        }
        let accepting = made.take().into_iter().map(|message| self.core.accept(&self.shard, message));
        // Submitted together and in order: they are one batch, and in its order.
        let stored = futures::future::try_join_all(accepting).await.map_err(|error| not_committed(&error))?;
        let told = made.tell(&self.core.store, &self.channel, ids).await;
        told.map_err(|error| not_committed(&error))?;
        let new: Vec<MessageId> = stored.into_iter().flatten().collect();
        made.settle(&self.core.store, &new).await;
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(AsLoaded(cursor)) = loaded {
            return Ok(cursor);
        }
        self.core.store.channel_cursor(self.channel.id).await.map_err(|error| not_committed(&error))
    }

    async fn save_cursor(&self, cursor: String) -> Result<(), SinkError> {
        let seen = Observation::Cursor(cursor);
        match observe::now(&self.core, &self.shard, self.channel.id, seen).await {
            Ok(Observed::Written) => Ok(()),
            Ok(Observed::NoChannel) => Err(SinkError::LostOwnership),
            Ok(Observed::NotOwner) => {
                Counter::FencedWrites.add(&["cursor"]);
                Err(SinkError::LostOwnership)
            }
            Err(error) => Err(not_committed(&error)),
        }
    }

    async fn trouble(&self, error: Option<&str>) {
        let seen = match error {
            Some(error) => Observation::Trouble(error.to_owned()),
            None => Observation::Running { revision: self.channel.revision },
        };
        observe::soon(&self.core, &self.shard, self.channel.id, seen);
    }
}

#[cfg(test)]
mod tests {
    use claw_store::Actor;
    use claw_types::{ChannelId, Epoch};

    use super::*;
    use crate::testing::{self, Bench};

    #[tokio::test]
    async fn the_place_in_a_platforms_stream_is_refused_from_a_former_owner_and_counted() {
        let bench = Bench::new().await;
        let save = testing::channel(&bench.core);
        bench.core.store.channel_save(&bench.core.vault, &save, &Actor::named("a test")).await.unwrap();
        let (channel, _) = bench.core.store.channel_load(&bench.core.vault, save.id).await.unwrap().unwrap();
        let shard = bench.claimed(save.shard, Epoch(1)).await;
        let sink = ShardSink::new(Arc::clone(&bench.core), shard, channel, None);
        let unknown = Channel { id: ChannelId(bench.core.ids.next()), ..sink.channel.clone() };
        let erased = ShardSink::new(Arc::clone(&bench.core), Arc::clone(&sink.shard), unknown, None);

        sink.save_cursor("41".to_owned()).await.unwrap();
        assert_eq!(erased.save_cursor("42".to_owned()).await, Err(SinkError::LostOwnership));
        assert_eq!(testing::fenced("cursor"), 0, "nobody else owns it");
        bench.claimed(save.shard, Epoch(2)).await;
        assert_eq!(sink.save_cursor("42".to_owned()).await, Err(SinkError::LostOwnership));
        assert_eq!(testing::fenced("cursor"), 1);
        assert_eq!(sink.cursor().await.unwrap().as_deref(), Some("41"));
    }
}
