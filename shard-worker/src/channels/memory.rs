//! What a channel that runs here remembers: rows of the database, under the claim of its shard.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use claw_channels::{Change, Memory, Remembered, SinkError};
use claw_store::{MemoChange, MemoOwner, Remembering, chain};
use claw_telemetry::metrics::Counter;
use claw_types::ChannelId;

use crate::core::Core;
use crate::shard::Shard;

/// One channel's.
pub(crate) struct ShardMemory {
    core: Arc<Core>,
    owner: MemoOwner,
}

impl ShardMemory {
    pub(crate) fn new(core: Arc<Core>, shard: &Shard, channel: ChannelId) -> Self {
        Self { core, owner: MemoOwner { channel, shard: shard.id, epoch: shard.epoch } }
    }
}

fn not_committed(error: &claw_store::Error) -> SinkError {
    SinkError::NotCommitted(chain(error))
}

#[async_trait]
impl Memory for ShardMemory {
    async fn load(&self, names: &[String]) -> Result<HashMap<String, Remembered>, SinkError> {
        let Core { store, vault, .. } = &*self.core;
        let rows = store.channel_memory_load(vault, self.owner.channel, names).await;
        let rows = rows.map_err(|error| not_committed(&error))?.into_iter();
        Ok(rows.map(|(name, memo)| (name, Remembered { text: memo.text, version: memo.version })).collect())
    }

    async fn save(&self, changes: Vec<Change>) -> Result<(), SinkError> {
        let Core { store, vault, .. } = &*self.core;
        if !self.core.lease.holds() {
            return Err(SinkError::LostOwnership);
        }
        let changes: Vec<MemoChange> = changes
            .into_iter()
            .map(|Change { name, text, version, keep }| MemoChange { name, text, version, keep })
            .collect();
        match store.channel_memory_save(vault, self.owner, &changes).await {
            Ok(Remembering::Saved) => Ok(()),
            Ok(Remembering::NoChannel) => Err(SinkError::LostOwnership),
            Ok(Remembering::NotOwner) => {
                Counter::FencedWrites.add(&["memory"]);
                Err(SinkError::LostOwnership)
            }
            Ok(Remembering::Stale) => {
                Err(SinkError::NotCommitted("what the channel remembers was changed meanwhile".to_owned()))
            }
            Err(error) => Err(not_committed(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use claw_store::Actor;
    use claw_types::Epoch;

    use super::*;
    use crate::testing::{self, Bench};

    #[tokio::test]
    async fn what_a_former_owner_has_its_channel_remember_is_refused_and_counted() {
        let bench = Bench::new().await;
        let (core, actor) = (&bench.core, Actor::named("a test"));
        let save = testing::channel(core);
        core.store.channel_save(&core.vault, &save, &actor).await.unwrap();
        let shard = bench.claimed(save.shard, Epoch(1)).await;
        let memory = ShardMemory::new(Arc::clone(core), &shard, save.id);
        let kept = async |text: &str, version: i64| {
            let (name, text) = ("key".to_owned(), Some(text.to_owned()));
            memory.save(vec![Change { name, text, version, keep: None }]).await
        };

        kept("one", 0).await.unwrap();
        core.store.channel_delete(&save.user_id, &save.instance, &actor).await.unwrap();
        assert_eq!(kept("two", 1).await, Err(SinkError::LostOwnership));
        assert_eq!(testing::fenced("memory"), 0, "nobody else owns it");
        bench.claimed(save.shard, Epoch(2)).await;
        assert_eq!(kept("two", 1).await, Err(SinkError::LostOwnership));
        assert_eq!(testing::fenced("memory"), 1);
    }
}
