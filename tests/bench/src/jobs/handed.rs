//! Counts what the leader hands over, on the road itself: the messages of jobs that it publishes to the owners of shards.

use anyhow::Context as _;
use async_nats::{ConnectOptions, Subscriber};
use futures::StreamExt as _;
use reqwest::Url;
use tokio::sync::watch;

/// Every shard of every cluster: there is one.
const WORK: &str = "claw.*.work.*";
/// What no person's message has in it.
const OF_A_JOB: &[u8] = b"\"job_id\"";
/// More than are ever on the way at a time.
const CAPACITY: usize = 1 << 20;

/// Counts since it was started.
pub(super) struct Handed(watch::Receiver<u64>);

impl Handed {
    /// Starts to count.
    pub(super) async fn start(nats: &str) -> anyhow::Result<Self> {
        let url: Url = nats.parse()?;
        let address = format!("{}:{}", url.host_str().context("a host")?, url.port().context("a port")?);
        let options = ConnectOptions::with_token(url.username().to_owned()).subscription_capacity(CAPACITY);
        let client = options.connect(address).await?;
        let published = client.subscribe(WORK).await?;
        // Now the server knows of the subscription.
        client.flush().await?;
        let (sender, count) = watch::channel(0);
        #[expect(clippy::disallowed_methods, reason = "ends with the server's connection")]
        tokio::spawn(follow(published, sender));
        Ok(Self(count))
    }

    /// Returns when `count` were handed over.
    pub(super) async fn reached(&mut self, count: u64) -> anyhow::Result<()> {
        let reached = self.0.wait_for(|so_far| *so_far >= count).await;
        reached.map(drop).context("NATS is gone")
    }

    /// How many were handed over.
    pub(super) fn so_far(&self) -> u64 {
        *self.0.borrow()
    }
}

async fn follow(mut published: Subscriber, count: watch::Sender<u64>) {
    while let Some(message) = published.next().await {
        if message.payload.windows(OF_A_JOB.len()).any(|part| part == OF_A_JOB) {
            count.send_modify(|so_far| *so_far += 1);
        }
    }
}
