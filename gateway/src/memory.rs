//! What a channel remembers, as a gateway has it: to read, for what it asks the channel's platform by itself, such as whether the credential
//! works. Only the channel's owner writes, under its claim.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use claw_channels::{Change, Deps, Memory, Remembered, SinkError};
use claw_store::{Store, Vault, chain};
use claw_types::ChannelId;

/// One channel's.
struct ToRead {
    store: Store,
    vault: Vault,
    channel: ChannelId,
}

/// What the adapter of this channel is given: the same as others, and what the channel remembers.
pub fn deps_for(deps: &Deps, store: &Store, vault: &Vault, channel_id: ChannelId) -> Deps {
    let memory = Arc::new(ToRead { store: store.clone(), vault: vault.clone(), channel: channel_id });
    Deps { channel_id, memory, ..deps.clone() }
}

#[async_trait]
impl Memory for ToRead {
    async fn load(&self, names: &[String]) -> Result<HashMap<String, Remembered>, SinkError> {
        let rows = self.store.channel_memory_load(&self.vault, self.channel, names).await;
        let rows = rows.map_err(|error| SinkError::NotCommitted(chain(&error)))?.into_iter();
        Ok(rows.map(|(name, memo)| (name, Remembered { text: memo.text, version: memo.version })).collect())
    }

    async fn save(&self, _changes: Vec<Change>) -> Result<(), SinkError> {
        Err(SinkError::LostOwnership)
    }
}
