//! The connection to NATS.
//!
//! It reconnects for ever by itself; publishing while it is away is dropped rather than buffered without bound,
//! because the database has the message and the owner's sweep will find it. For the same reason nobody waits for it: a
//! server that is reached but does not read takes what fits into the client's queue, and the rest is dropped until pings
//! that stay unanswered have shown that it is away.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, Subscriber};
use bytes::Bytes;
use claw_telemetry::metrics::Counter;
use claw_telemetry::trace::{self, Context, Kind, Span};
use claw_types::{ChannelId, Direction, MessageId, ShardId, Work};
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::sequence::{self, Numbered};
use crate::subjects::Subjects;

/// Larger messages are not published, only announced. NATS refuses more than 1 MiB by default.
const MAX_PAYLOAD: usize = 512 * 1024;

/// The client gives a connection up when three pings are unanswered, so after 6 s; by default it would take minutes.
const PING_EVERY: Duration = Duration::from_secs(2);

/// The client's queue may be full for this long before messages are dropped.
const BURST_LIMIT: Duration = Duration::from_millis(20);

/// How long a confirmation is waited for.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// What can go wrong with NATS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is not there.
    #[error("can't connect to NATS at {address}")]
    Connect {
        /// Where, without credentials.
        address: String,
        /// Why.
        #[source]
        source: async_nats::ConnectError,
    },
    /// A subscription could not be made.
    #[error("can't subscribe to {subject}")]
    Subscribe {
        /// To what.
        subject: String,
        /// Why.
        #[source]
        source: async_nats::SubscribeError,
    },
}

/// The connection; shared by the process.
pub struct Bus {
    client: Client,
    subjects: Subjects,
    publisher: Uuid,
    counters: Mutex<HashMap<ShardId, u64>>,
    /// Held from a batch's first number until its last one is on its way.
    telling: tokio::sync::Mutex<()>,
    /// Counts the times that the connection was lost or a subscriber fell behind.
    losses: watch::Sender<u64>,
    /// Whether the last message found the client's queue full; a warning for each would be too many.
    full: AtomicBool,
}

/// Messages of one shard.
pub struct Subscription(Subscriber);

/// Frames for one conversation, or news of one kind. It ends when something may have been lost: subscribe anew and
/// look at the database.
pub struct Frames {
    subscriber: Subscriber,
    losses: watch::Receiver<u64>,
}

impl Bus {
    /// Connects. `publisher` must be new with each start of a process; `cluster` is whose subjects are used.
    ///
    /// # Errors
    /// When the server can't be reached now; later losses heal by themselves.
    pub async fn connect(url: &str, name: &str, publisher: Uuid, cluster: Uuid) -> Result<Self, Error> {
        let losses = watch::Sender::new(0);
        let lost = losses.clone();
        let client = with_credentials(url)
            .name(name)
            .ping_interval(PING_EVERY)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::SlowConsumer(_)) {
                    lost.send_modify(|n| *n += 1);
                }
                match event {
                    Event::Disconnected => Counter::NatsDisconnects.add(&[]),
                    Event::SlowConsumer(_) => Counter::NatsSlowConsumer.add(&[]),
                    _ => {}
                }
                async move {
                    match event {
                        Event::Connected => info!("NATS connected"),
                        other => warn!(event = %other, "NATS: {other}"),
                    }
                }
            })
            .connect(url.split(',').map(str::trim).collect::<Vec<_>>())
            .await
            .map_err(|source| Error::Connect { address: without_credentials(url), source })?;
        Ok(Self {
            client,
            subjects: Subjects::new(cluster),
            publisher,
            counters: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            losses,
            full: AtomicBool::new(false),
        })
    }

    /// Whether the server is there right now.
    pub fn connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Tells the shards' owners of accepted messages. All are written before the first one is handed over, so that they
    /// travel together.
    pub async fn publish_works<'a>(&self, works: impl IntoIterator<Item = &'a Work>) {
        self.publish_works_until(Instant::now() + BURST_LIMIT, works).await;
    }

    /// As [`Self::publish_works`], and tells gateways of those with an attachment. Together they wait as long as one would: who
    /// accepted them waits for this.
    pub async fn publish_accepted(&self, works: &[&Work]) {
        let deadline = Instant::now() + BURST_LIMIT;
        self.publish_works_until(deadline, works.iter().copied()).await;
        for work in works.iter().filter(|work| work.media.is_some()) {
            self.publish_until(deadline, self.subjects.media(), media_frame(work.id)).await;
        }
    }

    async fn publish_works_until<'a>(&self, deadline: Instant, works: impl IntoIterator<Item = &'a Work>) {
        // Two batches may be told of at once. Were one's numbers to overtake the other's, workers would take that for a loss.
        let _in_order = self.telling.lock().await;
        let written = works.into_iter().filter_map(|work| {
            // The message's id is all of its trace that need travel: it is in the message.
            let span = Span::child_of(context(work), "publish", Kind::Producer);
            Some((span, self.subjects.work(work.shard), self.written(work)?))
        });
        let written: Vec<_> = written.collect();
        for (_span, subject, payload) in written {
            self.publish_until(deadline, subject, payload).await;
        }
    }

    fn written(&self, work: &Work) -> Option<Bytes> {
        let number = self.next_number(work.shard);
        let mut numbered = sequence::Sent { publisher: self.publisher, number, work: Some(work) };
        let mut payload = serde_json::to_vec(&numbered).ok()?;
        if payload.len() > MAX_PAYLOAD {
            numbered.work = None;
            payload = serde_json::to_vec(&numbered).ok()?;
        }
        Some(payload.into())
    }

    /// As [`Self::publish_works`], of messages that no person's platform brought: this process made them, and their traces begin
    /// here.
    pub async fn publish_made(&self, works: &[Work]) {
        let _first: Vec<Span> = works.iter().map(first_span).filter(Span::is_recorded).collect();
        self.publish_works(works).await;
    }

    fn next_number(&self, shard: ShardId) -> u64 {
        let mut counters = self.counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let counter = counters.entry(shard).or_insert(0);
        *counter += 1;
        *counter
    }

    /// Tells the shard's owner and every gateway to look at a channel again.
    pub async fn publish_channel_changed(&self, shard: ShardId, channel: ChannelId) {
        let payload = [channel.0.as_bytes().as_slice(), &shard.0.to_le_bytes()].concat();
        self.publish(self.subjects.channel_changed(shard), payload.into()).await;
    }

    /// Tells workers to look at the users' backends again: as a change of no channel, which who does not know of backends
    /// takes for one that is gone.
    pub async fn publish_backends_changed(&self) {
        self.publish_channel_changed(ShardId(0), ChannelId::NONE).await;
    }

    /// Tells workers to look at the membership again.
    pub async fn publish_members_changed(&self) {
        self.publish(self.subjects.members(), Bytes::new()).await;
    }

    /// Tells every gateway that keys to the API changed.
    pub async fn publish_keys_changed(&self) {
        self.publish(self.subjects.keys(), Bytes::new()).await;
    }

    /// Changes of keys, from now on.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe_keys(&self) -> Result<Frames, Error> {
        self.frames(self.subjects.keys()).await
    }

    /// Tells gateways that a message with an attachment was accepted.
    pub async fn publish_media(&self, message: MessageId) {
        self.publish(self.subjects.media(), media_frame(message)).await;
    }

    /// Messages with attachments, from now on: those that fall to this subscriber, for each goes to one of them.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe_media(&self) -> Result<Frames, Error> {
        let (subject, losses) = (self.subjects.media(), self.losses.subscribe());
        let made = self.client.queue_subscribe(subject.clone(), "gateways".to_owned()).await;
        let subscriber = made.map_err(|source| Error::Subscribe { subject, source })?;
        Ok(Frames { subscriber, losses })
    }

    /// Reaches the gateways that hold the conversation's sockets.
    pub async fn publish_live(&self, channel: ChannelId, conversation: &str, frame: Bytes) {
        self.publish(self.subjects.live(channel, conversation), frame).await;
    }

    /// Waits for [`BURST_LIMIT`] at most: an accepted message is not held up by telling of it.
    async fn publish(&self, subject: String, payload: Bytes) {
        self.publish_until(Instant::now() + BURST_LIMIT, subject, payload).await;
    }

    async fn publish_until(&self, deadline: Instant, subject: String, payload: Bytes) {
        if !self.connected() {
            Counter::NatsDropped.add(&["away"]);
            return;
        }
        // One of them waits to see whether it is only a burst; while the queue stays full, the others do not.
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = if self.full.load(Ordering::Relaxed) { Duration::ZERO } else { left };
        // The sweep makes good for what is dropped.
        match tokio::time::timeout(patience, self.client.publish(subject, payload)).await {
            Ok(Ok(())) => {
                Counter::NatsPublished.add(&[]);
                self.full.store(false, Ordering::Relaxed);
            }
            Ok(Err(error)) => {
                Counter::NatsDropped.add(&["away"]);
                warn!(%error, "NATS did not take a message: {error}");
            }
            Err(_) => {
                Counter::NatsDropped.add(&["full"]);
                if !self.full.swap(true, Ordering::Relaxed) {
                    warn!("NATS does not keep up: messages to it are dropped, and found by sweeps");
                }
            }
        }
    }

    /// The accepted messages of a shard, from now on.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe_work(&self, shard: ShardId) -> Result<Subscription, Error> {
        self.subscribe(self.subjects.work(shard)).await.map(Subscription)
    }

    /// Changes of channels in any shard, from now on.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe_channels(&self) -> Result<Frames, Error> {
        self.frames(self.subjects.channels()).await
    }

    /// Changes of the membership, from now on.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe_members(&self) -> Result<Frames, Error> {
        self.frames(self.subjects.members()).await
    }

    /// Frames for a conversation's sockets, from now on.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe_live(&self, channel: ChannelId, conversation: &str) -> Result<Frames, Error> {
        self.frames(self.subjects.live(channel, conversation)).await
    }

    async fn frames(&self, subject: String) -> Result<Frames, Error> {
        // Before subscribing: a loss right after it counts.
        let losses = self.losses.subscribe();
        Ok(Frames { subscriber: self.subscribe(subject).await?, losses })
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, Error> {
        self.client.subscribe(subject.clone()).await.map_err(|source| Error::Subscribe { subject, source })
    }

    /// Waits until the server has seen everything asked of it so far: subscriptions stand after this. While the
    /// server is away it waits for two seconds only: nothing may hang on NATS. Tells whether it was confirmed.
    pub async fn flush(&self) -> bool {
        match tokio::time::timeout(FLUSH_LIMIT, self.client.flush()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => warn!(%error, "NATS did not confirm: {error}"),
            Err(_) => warn!("NATS did not confirm within {FLUSH_LIMIT:?}"),
        }
        false
    }
}

impl Subscription {
    /// The next message; `None` when the connection was closed for good. What can't be read is announced like a
    /// message that was too large: the database has it.
    pub async fn next(&mut self) -> Option<Numbered> {
        let message = self.0.next().await?;
        let unreadable = |error: &dyn std::fmt::Display| {
            warn!(%error, "a message on NATS can't be read; sweeping for it");
            Numbered { publisher: Uuid::nil(), number: u64::MAX, work: None }
        };
        Some(serde_json::from_slice(&message.payload).unwrap_or_else(|error| unreadable(&error)))
    }
}

impl Frames {
    /// The next frame; `None` when frames may have been lost since the last one.
    pub async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            _ = self.losses.changed() => None,
            message = self.subscriber.next() => Some(message?.payload),
        }
    }
}

/// Where an accepted message is in its trace; of one to a person, the span by which it was accepted, as its body has it.
pub fn context(work: &Work) -> Option<Context> {
    /// [`claw_types::Outbound::traceparent`].
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        traceparent: Option<Cow<'a, str>>,
    }
    if !trace::is_on() {
        return None;
    }
    match work.direction {
        Direction::In => Context::of_message(work.id.0.as_u128()),
        Direction::Out => {
            let body: Body<'_> = serde_json::from_str(work.payload.get()).ok()?;
            Context::parse(&body.traceparent?)
        }
    }
}

/// The first span of the trace of a message that came into being without a platform. One to a person has none: it belongs to
/// whatever it answers.
pub fn first_span(work: &Work) -> Span {
    if work.direction == Direction::Out {
        return Span::none();
    }
    let mut span = Span::first(work.id.0.as_u128(), "make", Kind::Internal, trace::mark());
    if span.is_recorded() {
        span.set("message.id", work.id.to_string());
    }
    span
}

fn media_frame(message: MessageId) -> Bytes {
    Bytes::copy_from_slice(message.0.as_bytes())
}

/// The message that [`Bus::publish_media`] named.
pub fn media_message(frame: &[u8]) -> Option<MessageId> {
    Uuid::from_slice(frame).ok().map(MessageId)
}

/// The channel that [`Bus::publish_channel_changed`] named.
pub fn changed_channel(frame: &[u8]) -> Option<ChannelId> {
    Uuid::from_slice(frame.get(..16)?).ok().map(ChannelId)
}

/// The shard of the channel that [`Bus::publish_channel_changed`] named.
pub fn changed_shard(frame: &[u8]) -> Option<ShardId> {
    let bytes = frame.get(16..18)?.try_into().ok()?;
    Some(ShardId(u16::from_le_bytes(bytes)))
}

/// The client does not read credentials from URLs: `nats://token@host` and `nats://user:password@host` are ours to
/// understand. Those of the first server count for all.
fn with_credentials(urls: &str) -> ConnectOptions {
    let url = urls.split(',').next().and_then(|first| url::Url::parse(first.trim()).ok());
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    match url.as_ref().map(|url| (url.username(), url.password())) {
        Some((user, Some(password))) => {
            ConnectOptions::with_user_and_password(decoded(user), decoded(password))
        }
        Some((token, None)) if !token.is_empty() => ConnectOptions::with_token(decoded(token)),
        _ => ConnectOptions::new(),
    }
}

fn without_credentials(url: &str) -> String {
    url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, address)| address.to_owned())
}
