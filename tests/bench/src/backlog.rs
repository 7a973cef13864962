//! The backend is away while people write on; then it comes back. How fast, and in what order, does it get what waited,
//! and what do those feel who write meanwhile in other conversations?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use futures::future::join_all;

use crate::load::{Load, Outcome};
use crate::receiver::{Backlog, Receiver, of_backlog};

/// Who writes while the backlog drains, a second.
pub(crate) const NEWCOMERS: u32 = 50;
/// Clients that fill it.
const CLIENTS: u64 = 64;
/// For so long they are measured without one.
const BEFORE: Duration = Duration::from_secs(20);
/// A backlog that makes no progress for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// What was measured.
pub(crate) struct Drain {
    pub(crate) count: u64,
    /// Those who write later beside the backlog, before there is one.
    pub(crate) before: Outcome,
    pub(crate) backlog: Backlog,
    /// From the backend's return to its first message of the backlog.
    pub(crate) until_first: Duration,
    /// Those who wrote in other conversations meanwhile, from then on.
    pub(crate) newcomers: Outcome,
}

impl Drain {
    /// Messages a second, from the first to the last of them.
    #[expect(clippy::cast_precision_loss, reason = "a report")]
    pub(crate) fn rate(&self) -> f64 {
        let span = self.backlog.span.map_or(Duration::ZERO, |(first, last)| last - first);
        self.count as f64 / span.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Fills a backlog of `count` messages in the first `conversations` channels and drains it.
pub(crate) async fn run(
    load: &Load,
    receiver: &Arc<Receiver>,
    count: u64,
    conversations: usize,
) -> anyhow::Result<Drain> {
    let before = load.fixed_rate_until(NEWCOMERS, conversations, tokio::time::sleep(BEFORE)).await;
    receiver.be_away(true);
    fill(load, count, conversations).await?;
    receiver.be_away(false);
    let back = tokio::time::Instant::now();
    let drained = async {
        let mut seen = 0;
        loop {
            if let Ok(backlog) = tokio::time::timeout(STUCK, receiver.drained(count)).await {
                return Ok(backlog);
            }
            let so_far = receiver.so_far();
            ensure!(so_far > seen, "only {so_far} of {count} messages came, and no more within {STUCK:?}");
            seen = so_far;
        }
    };
    // Who writes before anybody knows that the backend is back waits like the backlog: that time is reported by itself.
    let newcomers = async {
        receiver.drained(1).await;
        let over = async {
            receiver.drained(count).await;
        };
        load.fixed_rate_until(NEWCOMERS, conversations, over).await
    };
    let (backlog, newcomers) = tokio::join!(drained, newcomers);
    let backlog = backlog?;
    let until_first = backlog.span.map_or(Duration::ZERO, |(first, _)| first - back);
    Ok(Drain { count, before, backlog, until_first, newcomers })
}

/// Each client has conversations of its own, so that each conversation's numbers are accepted in their order.
async fn fill(load: &Load, count: u64, conversations: usize) -> anyhow::Result<()> {
    let conversations = u64::try_from(conversations)?;
    let refused = AtomicU64::new(0);
    let clients = (0..CLIENTS.min(conversations)).map(|client| {
        let refused = &refused;
        async move {
            let own = |n: &u64| n % conversations % CLIENTS.min(conversations) == client;
            for n in (0..count).filter(own) {
                let conversation = usize::try_from(n % conversations).unwrap_or(0);
                if !load.post(conversation, "ada", &of_backlog(conversation, n / conversations)).await {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    join_all(clients).await;
    let refused = refused.into_inner();
    ensure!(refused == 0, "{refused} messages were refused while the backend was away");
    Ok(())
}
