//! The one trait behind which every platform stands, and what an adapter is given to work with.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_runtime::{Clock, Ids, Random};
use claw_types::{ChannelId, Inbound, MediaRef, MessageId, UserId};
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa::ToSchema;

use crate::exam::Examinee;
use crate::kit::http::Http;
use crate::kit::plan::{Piece, Text};
use crate::{About, Caps, ChannelError, Field, Hub, Memory, SinkError};

/// A channel at work. Implementations hold no state that must survive them but in [`Deps::memory`].
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// What the channel can carry: the adapter's [`Adapter::CAPS`], or less where one of its fields has to ask for something.
    fn caps(&self) -> &'static Caps;

    /// The same for one chat, where chats are not alike ([`Adapter::caps_in`]).
    fn caps_in(&self, _recipient: &str) -> &'static Caps {
        self.caps()
    }

    /// Whether this is a chat of many people, for which [`crate::Limits::group`] holds. By the id alone, without asking.
    fn is_group(&self, _recipient: &str) -> bool {
        false
    }

    /// Gets what [`Channel::decode`] needs to judge this request and does not have yet, such as the public keys of the platform.
    /// Nothing in the request is believed yet, and nobody must be able to have the platform called by each request.
    ///
    /// # Errors
    /// [`ChannelError::Retryable`] when the request can't be judged right now; the platform posts it again.
    async fn prepare(&self, _request: &RawRequest) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Verifies and parses a request that arrived at the channel's webhook address. No I/O: the caller commits what
    /// comes back before it answers the platform.
    ///
    /// # Errors
    /// [`ChannelError::BadSignature`] for a forged one, [`ChannelError::BadRequest`] for one that can't be read.
    fn decode(&self, _request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        Err(ChannelError::BadRequest("this type of channel takes no webhooks".to_owned()))
    }

    /// What to answer a request by which the platform only asks whether the channel's webhook address is ours; `None` for a
    /// request that is something else. It comes by GET (with an empty body) or by POST, as the platform likes. No I/O.
    ///
    /// Must hold: nothing that came with the request is answered before it is known to be the platform's.
    ///
    /// # Errors
    /// [`ChannelError::BadSignature`] for a forged one, [`ChannelError::BadRequest`] for one that can't be read.
    fn handshake(&self, _request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        Ok(None)
    }

    /// Fills in what the platform tells only when it is asked, such as people's names: after [`Channel::decode`], before the messages are
    /// committed. The platform waits meanwhile, so it takes a moment at most, and what can't be had is left as it is.
    async fn complete(&self, _messages: &mut [Inbound]) {}

    /// What the platform is answered to a request that [`Channel::decode`] took, once all that it posted is committed; `None` where
    /// it does not look at the answer, for the gateway's own. No I/O.
    fn taken(&self, _request: &RawRequest) -> Option<Reply> {
        None
    }

    /// Whether something is left to do once what a request says is committed and its platform has the answer: then
    /// [`Channel::follow_up`] does it. Asked of each request that was taken, so it must cost next to nothing.
    fn is_followed_up(&self, _request: &RawRequest) -> bool {
        false
    }

    /// Does what is left to do about a request that [`Channel::decode`] took. It is tried once, and whoever dies meanwhile leaves it undone: the
    /// person must be able to ask for it again.
    ///
    /// # Errors
    /// Why it was not done; nobody waits for it, so it is logged.
    async fn follow_up(&self, _request: &RawRequest) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Reads `data` by the code that reads what people and the platform send, without asking for a signature first, and
    /// throws away what comes of it. For fuzzing (`make fuzz-parsers`): no input may make it panic or take long.
    fn fuzz(&self, data: &[u8]);

    /// The backend is about to be told of this message ([`claw_types::WebhookBody`], as it is stored): for platforms that give with a
    /// message what an answer to it needs. Called by the channel's owner only, and again when the message is tried again. No I/O.
    fn question(&self, _message: &RawValue) {}

    /// Hands one part of a message to the platform; called by the channel's owner only.
    ///
    /// # Errors
    /// By what the caller can do; see [`ChannelError`].
    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError>;

    /// Asks the platform whether the channel's credential works, without anything that people could see.
    ///
    /// # Errors
    /// Why it does not work.
    async fn probe(&self) -> Result<Probe, ChannelError>;

    /// Shows that an answer is being written; it ends by itself after some seconds.
    ///
    /// # Errors
    /// [`ChannelError::Unsupported`] where [`Caps::typing`] says so.
    async fn typing(&self, _recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        Err(ChannelError::Unsupported("channels of this type can't show that an answer is being written"))
    }

    /// The same where it is known which message is being answered, by the platform's id of it. Some platforms show it only so, and some
    /// show with it that the message was read.
    ///
    /// # Errors
    /// As [`Channel::typing`].
    async fn answering(
        &self,
        recipient: &str,
        thread_id: Option<&str>,
        _question: &str,
    ) -> Result<(), ChannelError> {
        self.typing(recipient, thread_id).await
    }

    /// Shows what there is of an answer that is still being written, in place of what was shown of it before. Nothing of it is kept:
    /// whoever is not there does not miss it.
    ///
    /// # Errors
    /// [`ChannelError::Unsupported`] where [`Caps::drafts`] says so.
    async fn draft(&self, _draft: &Draft<'_>) -> Result<(), ChannelError> {
        Err(ChannelError::Unsupported("channels of this type show no answer before it is whole"))
    }

    /// Receives until `stop`; returns early only with an error. By default there is nothing to receive.
    ///
    /// Must hold: the platform is told that a message was taken only after `sink.accept` returned.
    ///
    /// # Errors
    /// What ended it; the caller decides whether and when to start it again.
    async fn listen(&self, _sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        stop.cancelled().await;
        Ok(())
    }

    /// Opens an attachment that the platform keeps for us.
    ///
    /// # Errors
    /// When the platform does not hand it out.
    async fn open_media(&self, _media: &MediaRef) -> Result<MediaStream, ChannelError> {
        Err(ChannelError::Permanent("this type of channel keeps no attachments".to_owned()))
    }
}

/// What one adapter file fills in beside [`Channel`].
pub trait Adapter: Channel + Sized {
    /// The type in the API, lower case.
    const NAME: &'static str;
    /// What it is, for people who choose one.
    const ABOUT: About;
    /// What the platform can carry.
    const CAPS: &'static Caps;
    /// Every field of the configuration; a test compares them with [`Adapter::Config`].
    const FIELDS: &'static [Field];
    /// The fields, typed.
    type Config: DeserializeOwned + Send;

    /// Makes a channel. No I/O.
    ///
    /// # Errors
    /// [`ChannelError::Config`] with a sentence that says what to change.
    fn new(config: Self::Config, deps: Deps) -> Result<Self, ChannelError>;

    /// By what the account is known: of each of these only one channel may have it, because the platform delivers each update once, or
    /// because two channels would answer each. An account may be known by several (its id, its token, the secret by which it posts), since
    /// not every configuration has all of them. What is an account's in one set-up and shared by several accounts in another is none.
    ///
    /// The first one is all that versions know which keep one for each channel: it stays what it was.
    fn credentials(_config: &Self::Config) -> Vec<String> {
        Vec::new()
    }

    /// What the platform can carry into one chat, where chats are not alike: by the id alone, without asking. What differs may only be what
    /// [`crate::kit::plan`] degrades or refuses.
    fn caps_in(_recipient: &str) -> &'static Caps {
        Self::CAPS
    }

    /// What it brings to the exam that all adapters sit.
    fn examinee() -> &'static dyn Examinee;

    /// Pages and sockets that gateways serve for channels of this type.
    fn routes(_hub: Arc<dyn Hub>) -> Option<axum::Router> {
        None
    }
}

/// What a channel works with.
#[derive(Clone)]
pub struct Deps {
    /// Which channel.
    pub channel_id: ChannelId,
    /// Whose it is, who shares what there is little of with others; `None` where that is nobody yet.
    pub owner: Option<UserId>,
    /// Where gateways are reached from outside (`II_CLAW_PUBLIC_URL`), for what platforms fetch there by themselves; `None` where that was not
    /// said, and in gateways, which send nothing.
    pub public_url: Option<Url>,
    /// HTTP clients, shared by all channels of the process.
    pub http: Http,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Ids,
    /// Randomness, for jitter.
    pub random: Arc<dyn Random>,
    /// Reaches the sockets that gateways hold.
    pub live: Arc<dyn Live>,
    /// What the channel has to remember by itself.
    pub memory: Arc<dyn Memory>,
}

/// Carries something to whoever is connected to a gateway right now; nobody may be.
#[async_trait]
pub trait Live: Send + Sync + 'static {
    /// Best effort: what must not be lost is in the database.
    async fn publish(&self, channel: ChannelId, conversation: &str, frame: Bytes);
}

/// Where an adapter puts what it received.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Returns once every message is committed (or known to have been before).
    ///
    /// # Errors
    /// When that did not happen; nothing may be confirmed to the platform then.
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError>;

    /// Where the platform's stream was left last time.
    ///
    /// # Errors
    /// When it can't be read.
    async fn cursor(&self) -> Result<Option<String>, SinkError>;

    /// Remembers where the platform's stream was left; committed when it returns.
    ///
    /// # Errors
    /// When it was not committed.
    async fn save_cursor(&self, cursor: String) -> Result<(), SinkError>;

    /// Tells the channel's user of trouble that the adapter goes on from by itself; `None` when it is over.
    async fn trouble(&self, error: Option<&str>);
}

/// A request at the channel's webhook address.
#[derive(Clone)]
pub struct RawRequest {
    /// Its headers.
    pub headers: HeaderMap,
    /// The query string, without the question mark.
    pub query: String,
    /// The exact body.
    pub body: Bytes,
}

/// How much there is of it, and which headers: tokens are in headers and queries, and what people wrote is in bodies.
impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("RawRequest")
            .field("headers", &headers)
            .field("query_bytes", &self.query.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What a platform is answered, with 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its media type.
    pub content_type: &'static str,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// A plain text; an empty one says that there is nothing to show to anybody.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self { content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// An empty JSON object.
    pub fn empty_object() -> Self {
        Self { content_type: "application/json", body: Bytes::from_static(b"{}") }
    }
}

/// One message as the platform will see it, or one thing to be done with a message that was sent.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// The message it belongs to.
    pub message_id: MessageId,
    /// The message's place in the database's order.
    pub seq: i64,
    /// Which part of it, from 0; with the message's id, a nonce.
    pub index: usize,
    /// The platform's id of the chat.
    pub recipient: &'a str,
    /// The thread or topic in it.
    pub thread_id: Option<&'a str>,
    /// What it is, as planned for this platform.
    pub piece: &'a Piece,
    /// When the message was accepted.
    pub accepted_at: DateTime<Utc>,
    /// The draft that people watched until now, by the question that it answers.
    pub replaces: Option<MessageId>,
}

/// An answer that is still being written.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// The question that it answers; the first part of the answer names it, too.
    pub question: MessageId,
    /// The platform's id of the chat.
    pub recipient: &'a str,
    /// The thread or topic in it.
    pub thread_id: Option<&'a str>,
    /// What there is of it.
    pub text: &'a Text,
}

/// The platform has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The platform's id of it; of an album, the ids of its messages with commas between.
    pub platform_message_id: String,
}

/// What a platform tells about the account behind a channel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub struct Probe {
    /// The account's name on the platform, where it has one.
    pub account: Option<String>,
    /// What else the platform tells.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

/// An attachment on its way from the platform.
pub struct MediaStream {
    /// Its media type, where known.
    pub content_type: Option<String>,
    /// Its bytes.
    pub bytes: BoxStream<'static, Result<Bytes, ChannelError>>,
}

/// The fields of a stored channel: those in the open and the secret ones, merged.
pub fn merged(config: &Map<String, Value>, secrets: &Map<String, Value>) -> Map<String, Value> {
    config.iter().chain(secrets).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_prints_nothing_that_is_in_it() {
        let name = HeaderName::from_static("x-token");
        let request = RawRequest {
            headers: HeaderMap::from_iter([(name, HeaderValue::from_static("hunter2"))]),
            query: "hub.verify_token=hunter2".to_owned(),
            body: Bytes::from_static(b"hunter2"),
        };
        let printed = format!("{request:?}");
        assert!(printed.contains("x-token") && printed.contains("body_bytes: 7"), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
