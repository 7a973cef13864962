//! What a gateway offers to adapters whose people connect to the gateway itself.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_types::{ChannelId, Direction, Inbound, Media, MessageId};
use futures::stream::BoxStream;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Why the gateway could not do it; shown to the person, so it tells nothing of the inside.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum HubError {
    /// There is no such channel, or it is switched off.
    #[error("this chat does not exist or is switched off")]
    NoChannel,
    /// The channel's policy does not take it.
    #[error("this chat does not take the message")]
    NotTaken,
    /// The database or the bus did not answer.
    #[error("the message could not be stored just now; it will be tried again")]
    Unavailable,
}

/// Why a message with an attachment was not taken; shown to the person.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum UploadError {
    /// For a reason that texts have, too.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// It has more bytes than are taken.
    #[error("this file is too large for this chat")]
    TooLarge,
    /// It stopped before its end, or took too long.
    #[error("the file did not arrive whole; please send it again")]
    Broken,
}

/// The bytes that a person sends with a message.
pub struct Upload {
    /// How many are taken at most.
    pub max_bytes: u64,
    /// As they arrive.
    pub bytes: BoxStream<'static, Result<Bytes, axum::Error>>,
}

/// The gateway as an adapter's routes see it.
#[async_trait]
pub trait Hub: Send + Sync + 'static {
    /// The channel that the gateway's front page shows, if any.
    fn home(&self) -> Option<ChannelId>;

    /// A channel that exists, is enabled and is of this type.
    ///
    /// # Errors
    /// [`HubError::NoChannel`] when it is not.
    async fn channel(&self, channel_type: &str, id: ChannelId) -> Result<Hosted, HubError>;

    /// Returns once the message, or what was done to one, is committed or dealt with: of somebody who waits to be let in it is
    /// held. `None` when it is an event only, because the backend is not told of it.
    ///
    /// # Errors
    /// When it was not.
    async fn accept(&self, id: ChannelId, message: Inbound) -> Result<Option<Stored>, HubError>;

    /// As [`Hub::accept`], of a message whose attachment its person sends along. Bytes of [`Inbound::media`]'s type are stored where
    /// fetched attachments are, before the message is: whoever hears of it finds them. What was not accepted is not kept.
    ///
    /// # Errors
    /// When it was not.
    async fn accept_upload(
        &self,
        id: ChannelId,
        message: Inbound,
        upload: Upload,
    ) -> Result<Option<Stored>, UploadError>;

    /// How many bytes the operator lets an attachment have.
    fn max_upload(&self) -> u64;

    /// The last messages of a conversation past a place, in order.
    ///
    /// # Errors
    /// When they can't be read.
    async fn history(
        &self,
        id: ChannelId,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<HistoryItem>, HubError>;

    /// What owners publish through [`crate::Live`] for a conversation, from now on. Frames may be lost when the
    /// receiver is slow or the bus is away; the end of the stream says so, and the history has them.
    ///
    /// # Errors
    /// When the bus is away.
    async fn subscribe(&self, id: ChannelId, conversation: &str) -> Result<mpsc::Receiver<Bytes>, HubError>;

    /// Cancelled when the gateway is draining: sockets say goodbye.
    fn draining(&self) -> CancellationToken;

    /// The time.
    fn now(&self) -> DateTime<Utc>;

    /// `n` random bytes in hex.
    fn token(&self, n: usize) -> String;
}

/// A channel as its own routes see it.
#[derive(Debug, Clone)]
pub struct Hosted {
    /// The name to show.
    pub name: String,
    /// Its fields that are not secret.
    pub config: Map<String, Value>,
}

/// A stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: MessageId,
    /// Its place; 0 for a message that was stored before, and for one that is not shown to the backend (yet).
    pub seq: i64,
    /// Whether it was stored before.
    pub duplicate: bool,
}

impl Stored {
    /// Its place, where it has one that is known.
    pub(crate) fn place(self) -> Option<i64> {
        (self.seq > 0).then_some(self.seq)
    }
}

/// A message in a conversation's history.
#[derive(Debug, Clone)]
pub struct HistoryItem {
    /// Its id.
    pub id: MessageId,
    /// Its place.
    pub seq: i64,
    /// Which way it went.
    pub direction: Direction,
    /// A [`claw_types::WebhookBody`] (in) or a [`claw_types::Outbound`] (out).
    pub payload: Box<RawValue>,
    /// The person's attachment, by a link without the gateway's address that is good for some hours.
    pub media: Option<Media>,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
}
