//! Forgetting what nobody needs any more.

use claw_store::{Store, chain};
use tracing::{info, warn};

/// Platforms redeliver late, but not later than this.
const KEY_DAYS: i32 = 7;
/// A process that has not been heard of for this long is not coming back under its name.
const MEMBER_MINUTES: i32 = 10;
/// How long people can look up what their scheduled jobs did.
const RUN_DAYS: i32 = 90;

/// One round.
pub(crate) async fn run(store: &Store) {
    let rounds = [
        ("message keys", store.message_keys_forget(KEY_DAYS).await),
        ("runs of jobs", store.runs_forget(RUN_DAYS).await),
        ("members", store.members_prune(MEMBER_MINUTES).await),
    ];
    for (what, done) in rounds {
        match done {
            Ok(0) => {}
            Ok(removed) => info!(removed, "forgot {removed} old {what}"),
            Err(error) => warn!("forgetting old {what} failed, trying again in a minute: {}", chain(&error)),
        }
    }
}
