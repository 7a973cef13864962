//! The load: people who write through channels of type webhook.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use claw_secrets::signature;
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use http::Request;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http_body_util::Full;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::poster::Poster;
use crate::receiver::Receiver;
use crate::stack::{API_KEY, Stack};

const CHANNEL_SECRET: &str = "bench-channel-secret";
/// A message that takes longer than this counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Channels that are made at the same time.
const MAKERS: usize = 32;

/// The channels to write through.
#[derive(Clone)]
pub(crate) struct Load {
    client: Client,
    poster: Poster,
    receiver: Arc<Receiver>,
    /// Whose the channels are; `None`: each another user's.
    owner: Option<&'static str>,
    /// The paths of their webhooks.
    hooks: Arc<Vec<PathAndQuery>>,
    count: Arc<AtomicU64>,
}

/// What a measurement found.
pub(crate) struct Outcome {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) badly_signed: u64,
    pub(crate) latency: Histogram<u64>,
    took: Duration,
}

/// What became of one message.
enum Fate {
    Refused,
    /// Accepted, and not seen at the backend within [`PATIENCE`].
    Lost,
    Delivered(Duration),
}

impl Outcome {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Microseconds up to a minute, three digits.
        let latency = Histogram::new_with_max(60_000_000, 3)?;
        Ok(Self { accepted: 0, delivered: 0, refused: 0, badly_signed: 0, latency, took: Duration::ZERO })
    }

    fn add(&mut self, one: &Fate) {
        match one {
            Fate::Refused => self.refused += 1,
            Fate::Lost => self.accepted += 1,
            Fate::Delivered(latency) => {
                self.accepted += 1;
                self.delivered += 1;
                self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }

    /// Adds what the same measurement found at another time.
    pub(crate) fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.refused += other.refused;
        self.badly_signed += other.badly_signed;
        self.took += other.took;
        Ok(self.latency.add(&other.latency)?)
    }

    /// A count as a rate.
    #[expect(clippy::cast_precision_loss, reason = "a report")]
    pub(crate) fn rate(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }
}

impl Load {
    /// Makes `channels` channels, each of a user of its own.
    pub(crate) async fn prepare(
        stack: &Stack,
        receiver: Arc<Receiver>,
        channels: usize,
    ) -> anyhow::Result<Self> {
        Self::of(None, stack, receiver, channels).await
    }

    /// Makes `channels` channels of this user, or each of another one.
    pub(crate) async fn of(
        owner: Option<&'static str>,
        stack: &Stack,
        receiver: Arc<Receiver>,
        channels: usize,
    ) -> anyhow::Result<Self> {
        let client = claw_channels::kit::http::operator_client(PATIENCE)?;
        let poster = Poster::to(stack.gateway_url())?;
        let mut load = Self { client, poster, receiver, owner, hooks: Arc::default(), count: Arc::default() };
        load.grow(stack, channels).await?;
        Ok(load)
    }

    /// Makes channels until there are `channels`.
    pub(crate) async fn grow(&mut self, stack: &Stack, channels: usize) -> anyhow::Result<()> {
        let this = self.clone();
        let made = stream::iter(self.hooks.len()..channels)
            .map(|n| this.configure(stack, n))
            .buffered(MAKERS)
            .try_collect::<Vec<_>>()
            .await?;
        let hooks = self.hooks.iter().cloned().chain(made).collect();
        self.hooks = Arc::new(hooks);
        Ok(())
    }

    /// Makes a channel; the path of its webhook.
    async fn configure(&self, stack: &Stack, n: usize) -> anyhow::Result<PathAndQuery> {
        let user = self.owner.map_or_else(|| format!("user-{n}"), str::to_owned);
        let url = format!("{}/api/users/{user}/channels/hook-{n}/configure", stack.gateway_url());
        let body = json!({"channel_type": "webhook", "fields": {"secret_env": CHANNEL_SECRET}});
        let response = self.client.post(url).bearer_auth(API_KEY).json(&body).send().await?;
        ensure!(response.status().is_success(), "configure answered {}", response.status());
        let channel: Value = response.json().await?;
        let path = channel["webhook_path"].as_str().context("a channel without webhook_path")?;
        Ok(path.parse()?)
    }

    /// The text of another message: no two of one load are the same.
    pub(crate) fn text(&self) -> String {
        format!("message {}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// A message by a channel, in the conversation of this name.
    async fn message(&self, hook: usize, conversation: &str) -> Fate {
        let text = self.text();
        let arrived = self.receiver.expect(&text);
        let began = Instant::now();
        if !self.post(hook, conversation, &text).await {
            return Fate::Refused;
        }
        let arrived = tokio::time::timeout(PATIENCE, arrived).await;
        match arrived {
            Ok(Ok(at)) => Fate::Delivered(at.duration_since(began)),
            _ => Fate::Lost,
        }
    }

    /// Sends a text by a channel; tells whether it was accepted.
    pub(crate) async fn post(&self, hook: usize, conversation: &str, text: &str) -> bool {
        let sender = json!({"id": "ada", "name": "Ada"});
        let body =
            json!({"message_id": text, "conversation_id": conversation, "sender": sender, "text": text});
        let body = body.to_string();
        let signature = signature::sign(CHANNEL_SECRET.as_bytes(), body.as_bytes());
        let request = Request::post(self.hooks[hook % self.hooks.len()].clone())
            .header(signature::HEADER, signature)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body));
        let Ok(request) = request else { return false };
        let answered = tokio::time::timeout(PATIENCE, self.poster.send(request)).await;
        matches!(answered, Ok(Ok(status)) if status.is_success())
    }

    /// Each client waits for its message's arrival before it sends the next.
    pub(crate) async fn closed_loop(&self, clients: usize, time: Duration) -> Outcome {
        self.looped(clients, time, |client, _| client).await
    }

    /// The same, but each client writes by another one of the first `channels` channels each time, so that in the end each
    /// of them was used. A client's conversation has its number, so that one channel is enough for all of them.
    pub(crate) async fn spread(&self, channels: usize, clients: usize, time: Duration) -> Outcome {
        self.looped(clients, time, move |client, n| (client + n * clients) % channels).await
    }

    /// `hook` tells by which channel a client writes its n-th message.
    async fn looped(
        &self,
        clients: usize,
        time: Duration,
        hook: impl Fn(usize, usize) -> usize + Copy + Send + 'static,
    ) -> Outcome {
        let began = Instant::now();
        let badly_signed = self.receiver.badly_signed();
        let (sender, results) = mpsc::unbounded_channel();
        let running = (0..clients).map(|client| {
            let (this, sender) = (self.clone(), sender.clone());
            #[expect(clippy::disallowed_methods, reason = "awaited below")]
            tokio::spawn(async move {
                let conversation = format!("ada-{client}");
                for n in 0.. {
                    if began.elapsed() >= time {
                        break;
                    }
                    let _ended = sender.send(this.message(hook(client, n), &conversation).await);
                }
            })
        });
        let running: Vec<_> = running.collect();
        drop(sender);
        join_all(running).await;
        self.collect(results, began, badly_signed).await
    }

    /// A message every 1/`rate` seconds, whatever became of those before.
    pub(crate) async fn fixed_rate(&self, rate: u32, time: Duration) -> Outcome {
        let over = tokio::time::sleep(time);
        self.fixed_rate_until(rate, 0, over).await
    }

    /// The same until `over`, by the channels from `first` on.
    pub(crate) async fn fixed_rate_until(
        &self,
        rate: u32,
        first: usize,
        over: impl Future<Output = ()>,
    ) -> Outcome {
        let began = Instant::now();
        let badly_signed = self.receiver.badly_signed();
        let (sender, results) = mpsc::unbounded_channel();
        let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut hooks = (first..self.hooks.len()).cycle();
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                biased;
                () = &mut over => break,
                _ = tick.tick() => {}
            }
            let Some(hook) = hooks.next() else { break };
            let (this, sender) = (self.clone(), sender.clone());
            #[expect(clippy::disallowed_methods, reason = "its result is awaited")]
            tokio::spawn(async move {
                let _ended = sender.send(this.message(hook, "ada").await);
            });
        }
        drop(sender);
        self.collect(results, began, badly_signed).await
    }

    async fn collect(
        &self,
        mut results: mpsc::UnboundedReceiver<Fate>,
        began: Instant,
        badly_signed: u64,
    ) -> Outcome {
        #[expect(clippy::expect_used, reason = "the bounds are constants")]
        let mut outcome = Outcome::new().expect("the histogram's bounds are right");
        while let Some(one) = results.recv().await {
            outcome.add(&one);
        }
        outcome.took = began.elapsed();
        outcome.badly_signed = self.receiver.badly_signed() - badly_signed;
        outcome
    }
}
