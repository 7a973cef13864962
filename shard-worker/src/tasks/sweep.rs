//! The safety net: looks into the database for what was not handled, every second and whenever a shard asks for it.
//!
//! One query serves all shards. What a shard is looked through for is mostly known, as what waits for a backend that is down:
//! so its places are read first, and the messages only where there is one that is neither in memory nor read by its lane in its
//! turn. A shard that catches up is read page after page without a pause, as long as it has room in memory. So is a tenant with
//! more than its share of a shard's window, by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use claw_store::{Look, Pending, Whose, chain};
use claw_types::{ShardId, UserId, Work};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use crate::deliver::lane;
use crate::pipeline::Pipeline;
use crate::shard::Shard;

/// How often shards are looked through that have little to do.
const EVERY: Duration = Duration::from_secs(1);
/// Messages of one shard in one query: few enough that all 256 shards at once fit into memory.
const PAGE: usize = 100;

/// Runs until the worker stops.
pub async fn run(pipeline: Arc<Pipeline>) {
    let soft = pipeline.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut all = tokio::select! {
            biased;
            () = soft.cancelled() => return,
            _ = tick.tick() => true,
            () = pipeline.sweep.notified() => false,
        };
        loop {
            let (shards, tenants) = (wanting(&pipeline, all), tenants_wanting(&pipeline));
            if (shards.is_empty() && tenants.is_empty()) || soft.is_cancelled() {
                break;
            }
            if let Err(error) = round(&pipeline, &shards, &tenants).await {
                warn!("sweeping failed, trying again in a second: {}", chain(&error));
                break;
            }
            all = false;
        }
    }
}

fn wanting(pipeline: &Pipeline, all: bool) -> Vec<Arc<Shard>> {
    let (mut shards, now) = (pipeline.shards(), Instant::now());
    shards.retain(|shard| {
        let queue = shard.queue();
        !shard.stopping().is_cancelled() && (queue.wants_pass() || (all && queue.wants_look(now)))
    });
    shards
}

fn tenants_wanting(pipeline: &Pipeline) -> Vec<(Arc<Shard>, UserId)> {
    let mut wanting = Vec::new();
    for shard in pipeline.shards() {
        if !shard.stopping().is_cancelled() {
            let tenants = shard.queue().tenants_wanting();
            wanting.extend(tenants.into_iter().map(|user| (Arc::clone(&shard), user)));
        }
    }
    wanting
}

/// A page of each of these.
async fn round(
    pipeline: &Arc<Pipeline>,
    shards: &[Arc<Shard>],
    tenants: &[(Arc<Shard>, UserId)],
) -> claw_store::Result<()> {
    if !shards.is_empty() {
        sweep(pipeline, shards).await?;
    }
    for (shard, user) in tenants {
        sweep_tenant(pipeline, shard, user).await?;
    }
    Ok(())
}

async fn sweep_tenant(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, user: &UserId) -> claw_store::Result<()> {
    let Some(after) = shard.queue().begin_tenant(user) else { return Ok(()) };
    let look = Look { shard: shard.id, after, whose: Whose::Only(user.clone()) };
    let rows = pipeline.log.pending(&[look], PAGE).await?;
    let full = rows.len() >= PAGE;
    let start = shard.queue().end_tenant(user, due(rows), full, Instant::now());
    for key in start {
        lane::start(pipeline, shard, key);
    }
    Ok(())
}

async fn sweep(pipeline: &Arc<Pipeline>, shards: &[Arc<Shard>]) -> claw_store::Result<()> {
    let high = pipeline.log.high_water().await?;
    let (mut read, mut looked) = (Vec::new(), Vec::new());
    for shard in shards {
        let mut queue = shard.queue();
        let after = queue.begin_page(high, Instant::now());
        let look = Look { shard: shard.id, after, whose: Whose::AllBut(queue.passed_over()) };
        if queue.is_catching_up() { read.push((shard, look)) } else { looked.push((shard, look)) }
    }
    read.extend(with_unknown(pipeline, looked).await?);
    if read.is_empty() {
        return Ok(());
    }
    let (shards, looks): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let mut rows = pipeline.log.pending(&looks, PAGE).await?;
    // Stable: keeps each shard's rows in their order.
    rows.sort_by_key(|(work, _)| work.shard);
    for shard in shards {
        let from = rows.partition_point(|(work, _)| work.shard < shard.id);
        let to = rows.partition_point(|(work, _)| work.shard <= shard.id);
        take(pipeline, shard, rows[from..to].to_vec());
    }
    Ok(())
}

/// Ends the pages that have known messages only; answers the others.
async fn with_unknown<'a>(
    pipeline: &Pipeline,
    looked: Vec<(&'a Arc<Shard>, Look)>,
) -> claw_store::Result<Vec<(&'a Arc<Shard>, Look)>> {
    if looked.is_empty() {
        return Ok(looked);
    }
    let looks: Vec<Look> = looked.iter().map(|(_, look)| look.clone()).collect();
    let mut places: HashMap<ShardId, Vec<Pending>> = HashMap::new();
    for place in pipeline.log.places(&looks, PAGE).await? {
        places.entry(place.shard).or_default().push(place);
    }
    let mut unknown = Vec::new();
    for (shard, look) in looked {
        let page = places.remove(&shard.id).unwrap_or_default();
        let mut queue = shard.queue();
        if page.iter().all(|place| queue.knows(place)) {
            queue.end_known_page(page.last().map(|place| place.seq), page.len() >= PAGE, Instant::now());
        } else {
            unknown.push((shard, look));
        }
    }
    Ok(unknown)
}

fn take(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, rows: Vec<(Work, f64)>) {
    let full = rows.len() >= PAGE;
    let start = shard.queue().end_page(due(rows), full, Instant::now());
    for key in start {
        lane::start(pipeline, shard, key);
    }
}

fn due(rows: Vec<(Work, f64)>) -> Vec<(Work, Duration)> {
    let due = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    rows.into_iter().map(|(work, seconds)| (work, due(seconds))).collect()
}
