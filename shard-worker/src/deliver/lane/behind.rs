//! What waits behind the first message of a conversation while that one waits for long: until its platform, which asked for hours of
//! silence, may be called again.
//!
//! A lane looks at its first message, and what is behind it leaves the memory meanwhile. Who sent something that is wanted for a minute
//! would hear hours later that it came too late. So once a minute a lane that waits reads what is behind its first message, and ends what
//! nobody wants any more. The pauses between attempts are shorter than that: what is only tried again costs no query.
//!
//! Must hold: nothing is sent from here, so the order is kept; the first message is left to its own attempt.

use std::time::Duration;

use claw_store::chain;
use claw_types::{MessageState, Work};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{Attempt, Delivery, measure, settle, status_of};
use crate::pipeline::Pipeline;
use crate::shard::Shard;
use crate::shard::queue::LaneKey;

/// How often it is looked, and how late who waits hears of it at most.
const LOOK: Duration = Duration::from_mins(1);
/// Messages that are read at once.
const PAGE: usize = 100;

/// Ends, again and again, what waits in the lane and is wanted no more; for ever, unless the shard is somebody else's.
pub(super) async fn expire(pipeline: &Pipeline, shard: &Shard, key: &LaneKey) {
    loop {
        sleep(LOOK).await;
        if !look(pipeline, shard, key).await {
            return;
        }
    }
}

/// Once; `false` as from [`settle`].
async fn look(pipeline: &Pipeline, shard: &Shard, key: &LaneKey) -> bool {
    let first = shard.queue().first(key);
    let Some(mut after) = first else { return true };
    loop {
        let works = match pipeline.log.pending_in(key, after, PAGE).await {
            Ok(works) => works,
            Err(error) => {
                warn!(shard.id = %shard.id, "what waits in a conversation can't be read: {}", chain(&error));
                return true;
            }
        };
        let next = works.last().filter(|_| works.len() >= PAGE).map(|last| last.seq);
        for work in works {
            let Some(Attempt::Over { state, error }) = pipeline.acts.outlived(shard, &work) else { continue };
            if !over(pipeline, shard, key, work, state, error).await {
                return false;
            }
        }
        let Some(next) = next else { return true };
        after = next;
    }
}

async fn over(
    pipeline: &Pipeline,
    shard: &Shard,
    key: &LaneKey,
    work: Work,
    state: MessageState,
    error: Option<String>,
) -> bool {
    let delivery = Delivery::single(Work { attempts: work.attempts + 1, ..work });
    if !settle(pipeline, shard, &delivery, state, Duration::ZERO, error.clone()).await {
        return false;
    }
    let work = &delivery.work;
    measure::finished(work, state, pipeline.clock.now().timestamp_millis());
    pipeline.outcomes.tell(work.id, &status_of(work, state, error));
    shard.queue().over_behind(key, work, Instant::now());
    true
}
