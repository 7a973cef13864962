//! Which channels and backends changed: told by NATS at once, and looked up every few seconds in case it was not; and who
//! was erased.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::{changed_channel, changed_shard};
use claw_store::chain;
use claw_types::ChannelId;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::channels::Event;
use crate::core::Core;

/// How often changed rows are looked up.
const EVERY: Duration = Duration::from_secs(3);
const DAY: u64 = 24 * 3600;
/// How far back a look goes: longer than a statement can take to commit.
const BACK_SECONDS: f64 = 30.0;

/// What NATS tells, until the worker stops.
pub(crate) async fn listen(core: Arc<Core>) {
    let soft = core.lifecycle.soft();
    while !soft.is_cancelled() {
        match core.bus.subscribe_channels().await {
            Ok(mut changes) => loop {
                let frame = tokio::select! {
                    frame = changes.next() => frame,
                    () = soft.cancelled() => return,
                };
                let Some(frame) = frame else { break };
                if changed_channel(&frame) == Some(ChannelId::NONE) {
                    look_at_backends(&core).await;
                    continue;
                }
                let named =
                    changed_shard(&frame).and_then(|shard| core.shard(shard)).zip(changed_channel(&frame));
                if let Some((shard, channel)) = named {
                    shard.channels.notify(Event::Changed(channel));
                }
            },
            Err(error) => warn!("can't hear of changed channels, looking every {EVERY:?}: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

/// The safety net, until the worker stops.
pub(crate) async fn look(core: Arc<Core>) {
    let soft = core.lifecycle.soft();
    // A message may wait for as long as its schedule while its backend is away, and for as long again for its last attempt;
    // a day more for what a backend asks for by `Retry-After`.
    let days = 2 * core.schedule.lasts().as_secs().div_ceil(DAY) + 1;
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = soft.cancelled() => return,
        }
        let shards: Vec<_> = core.shards().iter().map(|shard| shard.id).collect();
        match core.store.channels_changed(&shards, BACK_SECONDS).await {
            Ok(changed) => {
                for (channel, shard, revision) in changed {
                    if let Some(shard) = core.shard(shard) {
                        shard.channels.notify(Event::Revision(channel, revision));
                    }
                }
            }
            Err(error) => warn!("looking for changed channels failed: {}", chain(&error)),
        }
        look_at_backends(&core).await;
        match core.erased.look(&core.store, days).await {
            Ok(()) => {
                core.backend.forget(&core.erased);
                core.webhooks.forget(&core.erased);
            }
            Err(error) => warn!("looking for erased users failed: {}", chain(&error)),
        }
    }
}

async fn look_at_backends(core: &Core) {
    if let Err(error) = core.backend.look(&core.store, &core.vault).await {
        warn!("looking for changed backends failed: {}", chain(&error));
    }
}
