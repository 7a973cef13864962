//! What a channel that runs here remembers: rows of the database, under the claim of its shard.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use claw_channels::{Change, Memory, Remembered, SinkError};
use claw_store::{MemoChange, MemoOwner, Remembering, chain};
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
            Ok(Remembering::NotOwner) => Err(SinkError::LostOwnership),
            Ok(Remembering::Stale) => {
                Err(SinkError::NotCommitted("what the channel remembers was changed meanwhile".to_owned()))
            }
            Err(error) => Err(not_committed(&error)),
        }
    }
}
