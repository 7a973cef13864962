//! What one requirement is tried with: a channel, its platform, and who takes what comes in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use claw_runtime::{Ids, ManualClock, SeededRandom};
use claw_types::{ChannelId, Inbound, MessageId, Outbound};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::memory::Kept;
use super::secrets::{Addresses, Notes};
use super::server::{Asked, Mood, Server};
use super::{CHANNEL, Case, Examinee, NOW, Payload, Platform, Road};
use crate::fields::Fields;
use crate::kit::http::Http;
use crate::kit::plan::plan;
use crate::{Channel, ChannelError, Deps, Entry, Live, Part, RawRequest, Receipt, Sink, SinkError};

/// How long the client waits that is to find a platform silent.
const LITTLE_PATIENCE: Duration = Duration::from_millis(500);

/// For one requirement.
pub(super) struct Room<'a> {
    pub(super) entry: &'static Entry,
    pub(super) examinee: &'static dyn Examinee,
    pub(super) road: Road,
    /// Whether the channel is set up the other way.
    is_other: bool,
    pub(super) server: Server,
    clock: Arc<ManualClock>,
    live: Arc<Frames>,
    memory: Arc<Kept>,
    notes: &'a Notes,
}

/// What a send came to.
pub(super) struct Sent {
    /// Of each part, in order.
    pub(super) receipts: Vec<Receipt>,
    /// The calls to the platform.
    pub(super) asked: Vec<Asked>,
    /// The bodies of what was sent: of calls or, without a platform, of frames.
    pub(super) bodies: Vec<Bytes>,
}

impl<'a> Room<'a> {
    pub(super) async fn enter(entry: &'static Entry, notes: &'a Notes) -> Result<Self, String> {
        Self::enter_as(entry, (entry.examinee)(), notes).await
    }

    pub(super) async fn enter_as(
        entry: &'static Entry,
        examinee: &'static dyn Examinee,
        notes: &'a Notes,
    ) -> Result<Self, String> {
        Self::enter_by(entry, examinee, (examinee.road(), false), notes).await
    }

    /// Where the channel is set up the other way ([`Examinee::other_road`]).
    pub(super) async fn enter_other(entry: &'static Entry, notes: &'a Notes) -> Result<Self, String> {
        let examinee = (entry.examinee)();
        let (_, road) = examinee.other_road("").ok_or("there is one road only")?;
        Self::enter_by(entry, examinee, (road, true), notes).await
    }

    async fn enter_by(
        entry: &'static Entry,
        examinee: &'static dyn Examinee,
        (road, is_other): (Road, bool),
        notes: &'a Notes,
    ) -> Result<Self, String> {
        // Whoever started the process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = Server::start(examinee, road, notes.addresses(is_other)).await;
        let server = server.map_err(|error| format!("no server: {error}"))?;
        let now = DateTime::from_timestamp(NOW, 0).unwrap_or_default();
        Ok(Self {
            entry,
            examinee,
            road,
            is_other,
            server,
            clock: Arc::new(ManualClock::new(now)),
            live: Arc::default(),
            memory: Arc::default(),
            notes,
        })
    }

    pub(super) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The example's fields, as the channel is set up here.
    pub(super) fn fields(&self, server: &str) -> Value {
        let other = if self.is_other { self.examinee.other_road(server) } else { None };
        other.map_or_else(|| self.examinee.fields(server), |(fields, _)| fields)
    }

    /// The fields as a form sends them.
    pub(super) fn given(&self, server: &str) -> Result<Fields, String> {
        let Value::Object(given) = self.fields(server) else {
            return Err("the example of the fields is no object".to_owned());
        };
        let (name, fields) = (self.entry.name, self.entry.fields());
        let merged = Fields::default().merge(name, &fields, given).map_err(|error| error.to_string())?;
        merged.complete(name, &fields).map_err(|error| error.to_string())
    }

    /// A channel at the exam's server.
    pub(super) fn channel(&self) -> Result<Arc<dyn Channel>, String> {
        let http = Http::new(true).map_err(|error| error.to_string())?;
        self.channel_at(&self.server.url(), http)
    }

    /// One that gives up soon.
    pub(super) fn impatient_channel(&self) -> Result<Arc<dyn Channel>, String> {
        let http = Http::with_limit(true, LITTLE_PATIENCE).map_err(|error| error.to_string())?;
        self.channel_at(&self.server.url(), http)
    }

    pub(super) fn channel_at(&self, server: &str, http: Http) -> Result<Arc<dyn Channel>, String> {
        let fields = self.given(server)?;
        let made = self.entry.make(&fields.config, &fields.secrets, self.deps(http));
        made.map_err(|error| format!("the example makes no channel: {}", self.said(&error)))
    }

    pub(super) fn deps(&self, http: Http) -> Deps {
        let random = Arc::new(SeededRandom::new(1));
        Deps {
            channel_id: CHANNEL,
            owner: None,
            public_url: Url::parse("https://claw.example.org").ok(),
            http,
            ids: Ids::new(self.clock.clone(), random.clone()),
            clock: self.clock.clone(),
            random,
            live: self.live.clone(),
            memory: self.memory.clone(),
        }
    }

    /// The error in words; noted, because no secret may be in them.
    pub(super) fn said(&self, error: &ChannelError) -> String {
        self.notes.said(error);
        error.to_string()
    }

    /// The platform, or why there is nothing to try.
    pub(super) fn platform(&self) -> Result<&'static dyn Platform, &'static str> {
        self.examinee.platform().ok_or("gateways serve people themselves: there is no platform in between")
    }

    pub(super) fn payload(&self, case: Case) -> Result<&'static Payload, String> {
        let Case::Payload(name) = case else { return Err("there is no such payload".to_owned()) };
        let found = self.examinee.payloads().iter().find(|payload| payload.name == name);
        found.ok_or_else(|| format!("there is no payload {name:?}"))
    }

    /// A message to the example's chat.
    pub(super) fn message(&self, extra: &Value) -> Result<Outbound, String> {
        let mut json = json!({"recipient": self.examinee.chat().0});
        if let (Some(message), Some(extra)) = (json.as_object_mut(), extra.as_object()) {
            message.extend(extra.clone());
        }
        let message: Outbound = serde_json::from_value(json).map_err(|error| error.to_string())?;
        message.validate().map_err(|error| error.to_string())?;
        Ok(message)
    }

    /// Sends a message, part by part, as its owner does.
    pub(super) async fn send(&self, channel: &dyn Channel, message: &Outbound) -> Result<Sent, ChannelError> {
        let plan = plan(message, self.entry.caps).map_err(|error| ChannelError::Permanent(error.0))?;
        self.server.asked();
        self.live.take();
        let mut receipts = Vec::new();
        for (index, piece) in plan.parts.iter().enumerate() {
            let part = Part {
                message_id: MessageId(Uuid::from_u128(9)),
                seq: 1,
                index,
                recipient: &message.recipient,
                thread_id: message.thread_id.as_deref(),
                piece,
                accepted_at: DateTime::from_timestamp(NOW, 0).unwrap_or_default(),
                replaces: None,
            };
            receipts.push(channel.send(&part).await.inspect_err(|error| self.notes.said(error))?);
        }
        let asked = self.server.asked();
        let calls = asked.iter().map(|asked| asked.body.clone());
        let bodies = calls.chain(self.live.take()).collect();
        Ok(Sent { receipts, asked, bodies })
    }

    /// A short text, which is what failures are tried with.
    pub(super) async fn send_text(&self, channel: &dyn Channel) -> Result<Sent, ChannelError> {
        let message = self.message(&json!({"text": "hello"})).map_err(ChannelError::Permanent)?;
        self.send(channel, &message).await
    }

    /// Frames to gateways since the last time.
    pub(super) fn frames(&self) -> Vec<Bytes> {
        self.live.take()
    }

    /// What becomes of a request, as a gateway has it judged.
    pub(super) async fn decode(
        &self,
        channel: &dyn Channel,
        request: &RawRequest,
    ) -> Result<Vec<Inbound>, ChannelError> {
        channel.prepare(request).await?;
        let mut messages = channel.decode(request)?;
        channel.complete(&mut messages).await;
        Ok(messages)
    }

    /// What the adapter reads of a payload that came by its road.
    pub(super) async fn read(&self, payload: &Payload) -> Result<Vec<Inbound>, String> {
        match self.road {
            Road::Webhook { secret, sign } => {
                let request = sign(secret, payload.sent, NOW);
                self.decode(&*self.channel()?, &request).await.map_err(|error| self.said(&error))
            }
            Road::Gateway { read, .. } => read(payload.sent),
            Road::Poll { .. } => self.polled(payload.sent).await,
            Road::Socket(_) => self.told(payload.sent).await,
        }
    }

    async fn polled(&self, payload: &str) -> Result<Vec<Inbound>, String> {
        self.server.will_tell(payload);
        let (channel, taken) = (self.channel()?, Taken::default());
        let stop = CancellationToken::new();
        let polls = self.server.polls();
        // Once its place is saved it was taken, whether there was a message in it or not. The poll after that must have arrived,
        // or it would take the next payload to nobody.
        let saved = async {
            taken.saved.notified().await;
            self.server.polled_more_than(polls + 1).await;
            stop.cancel();
        };
        let (ended, ()) = futures::join!(channel.listen(&taken, stop.clone()), saved);
        ended.map_err(|error| self.said(&error))?;
        Ok(taken.take())
    }

    async fn told(&self, payload: &str) -> Result<Vec<Inbound>, String> {
        self.server.will_tell(payload);
        let (channel, taken) = (self.channel()?, Taken::default());
        let stop = CancellationToken::new();
        let before = self.server.taken();
        let done = async {
            self.server.taken_more_than(before).await;
            stop.cancel();
        };
        let (ended, ()) = futures::join!(channel.listen(&taken, stop.clone()), done);
        ended.map_err(|error| self.said(&error))?;
        Ok(taken.take())
    }

    /// The addresses that channels with these fields called, in the whole exam so far.
    pub(super) fn addresses(&self) -> Addresses {
        self.notes.addresses(self.is_other)
    }

    /// Sets the platform's mood.
    pub(super) fn platform_is(&self, mood: Mood) {
        self.server.is_now(mood);
    }
}

/// Keeps what is published to gateways.
#[derive(Default)]
struct Frames(Mutex<Vec<Bytes>>);

impl Frames {
    fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Live for Frames {
    async fn publish(&self, _: ChannelId, _: &str, frame: Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
    }
}

/// Takes what comes in.
#[derive(Default)]
pub(super) struct Taken {
    messages: Mutex<Vec<Inbound>>,
    saved: tokio::sync::Notify,
}

impl Taken {
    fn take(&self) -> Vec<Inbound> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Sink for Taken {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).extend(messages);
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        self.saved.notify_one();
        Ok(())
    }

    async fn trouble(&self, _: Option<&str>) {}
}
