//! Going by the database's clock, whatever the machine's says: what is signed, dated and let expire by one process has to be
//! right for all of them, and for the backend.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::{Clock as _, Lifecycle, SyncedClock, SystemClock};
use claw_store::Store;
use tracing::warn;

/// How often the database is asked: clocks drift by less than a second a day, but may be set.
const EVERY: Duration = Duration::from_secs(30);

/// Corrects `clock` by the database's, now and then until the process stops.
///
/// # Errors
/// When the database does not tell its time at once; later on that changes nothing.
pub async fn keep_time(
    clock: &Arc<SyncedClock>,
    store: &Store,
    lifecycle: &Lifecycle,
) -> Result<(), claw_store::Error> {
    let mut known = correct(clock, store).await?;
    tell(known);
    let (clock, store, soft) = (Arc::clone(clock), store.clone(), lifecycle.soft());
    lifecycle.spawn("time", async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = soft.cancelled() => return,
            }
            // A database that is away tells no time; others say so.
            let Ok(behind) = correct(&clock, &store).await else { continue };
            if (behind - known).abs() > 1_000 {
                tell(behind);
            }
            known = behind;
        }
    });
    Ok(())
}

async fn correct(clock: &SyncedClock, store: &Store) -> Result<i64, claw_store::Error> {
    let asked = SystemClock.now();
    Ok(clock.correct(asked, store.now().await?))
}

fn tell(behind_ms: i64) {
    if behind_ms != 0 {
        let (seconds, way) =
            ((behind_ms.abs() + 500) / 1_000, if behind_ms > 0 { "behind" } else { "ahead of" });
        warn!(
            behind_ms,
            "this machine's clock is {seconds} s {way} the database's, by which we go: synchronise them"
        );
    }
}
