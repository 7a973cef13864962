//! Removes attachments after their time. Every gateway does it for its own store; where they share a bucket, what one
//! removed the others do not find.

use std::time::Duration;

use chrono::TimeDelta;
use tracing::{info, warn};

use crate::app::Shared;

/// How often old attachments are looked for.
const EVERY: Duration = Duration::from_hours(1);
/// Removed in one step, so that a shutdown does not wait for a long one.
const STEP: usize = 500;

/// Runs until the gateway stops.
pub async fn run(app: Shared, days: u16) {
    let soft = app.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = soft.cancelled() => return,
        }
        let until = app.clock.now() - TimeDelta::days(i64::from(days));
        let mut removed = 0;
        while !soft.is_cancelled() {
            match app.media.expire(until, STEP).await {
                Ok(expired) => {
                    removed += expired.removed;
                    if !expired.more {
                        break;
                    }
                }
                Err(error) => {
                    warn!(
                        "removing old attachments failed, trying again in an hour: {}",
                        claw_store::chain(&error)
                    );
                    break;
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed {removed} old attachments");
        }
    }
}
