//! Telling the database what is seen of a channel; never in the way of messages.

use std::sync::Arc;

use claw_store::{Observation, Observed, Sighting, chain};
use claw_types::ChannelId;
use tracing::debug;

use crate::core::Core;
use crate::shard::Shard;

/// Writes an observation and waits for it.
pub(crate) async fn now(
    core: &Core,
    shard: &Shard,
    channel_id: ChannelId,
    seen: Observation,
) -> claw_store::Result<Observed> {
    let sighting = Sighting { channel_id, shard: shard.id, epoch: shard.epoch, seen };
    Ok(core.sightings.submit(sighting).await?)
}

/// Writes an observation some time soon; one that is lost is only a status line.
pub(crate) fn soon(core: &Arc<Core>, shard: &Arc<Shard>, channel_id: ChannelId, seen: Observation) {
    let (core, owner) = (Arc::clone(core), Arc::clone(shard));
    shard.spawn(async move {
        if let Err(error) = now(&core, &owner, channel_id, seen).await {
            debug!(channel.id = %channel_id, "a status was not recorded: {}", chain(&error));
        }
    });
}

/// A person wrote; recorded at most every few seconds for each shard, for it is a write of its own.
pub(crate) fn inbound(core: &Arc<Core>, shard: &Arc<Shard>, channel_id: ChannelId) {
    if shard.inbound_seen.due(channel_id) {
        soon(core, shard, channel_id, Observation::Inbound);
    }
}
