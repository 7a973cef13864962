//! Waiting for something that another process will do.

use std::time::Duration;

use tokio::time::Instant;

/// Asks every 20 ms until `ask` answers with something; at most `limit`.
///
/// # Panics
/// When it never did; the message names `what` was awaited.
pub async fn eventually<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
