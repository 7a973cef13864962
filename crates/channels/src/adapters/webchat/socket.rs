//! The page's socket. The protocol is at the head of the page's script.
//!
//! Must hold:
//! - A message is acknowledged only once it is committed. The page's id of it makes it the same message when it is
//!   sent again, so nothing is lost or doubled however often the socket breaks.
//! - Subscribed first, then the history read: what falls between comes twice, and the page shows each id once.
//! - While the bus is away the history is read again and again, so answers come late rather than never.
//!
//! Something that can't be stored right now is answered with an error that names no message, and the end of the
//! socket: to the page an error with a name is final, but what is merely unanswered it sends again by itself.

mod inbound;
mod said;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_runtime::{Backoff, Random};
use claw_types::{ChannelId, Inbound, MediaRef};
use http::{HeaderMap, Uri};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tracing::warn;

use self::said::{Pace, Refused, Said, What, read};
use super::door::{Entered, conversation_id, enter};
use super::frames::{self, Frame};
use super::told::Told;
use crate::{Hub, HubError, Stored};

/// The longest text with every character escaped to six bytes, and its envelope. A frame over it ends the socket,
/// and the page, which knows only of the characters, would send it again for ever.
const MAX_FRAME: usize = 128 * 1024;
const PING_EVERY: Duration = Duration::from_secs(25);
/// A page that was not heard of for so long is gone: its browser answers pings by itself.
const SILENCE: Duration = Duration::from_mins(1);
/// A page that takes nothing for so long is gone too.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The socket's address.
pub fn routes() -> Router<Arc<dyn Hub>> {
    Router::new().route("/webchat/{channel_id}/ws", any(open))
}

#[derive(Deserialize)]
struct Params {
    #[serde(default)]
    visitor: String,
    #[serde(default)]
    after: i64,
}

async fn open(
    State(hub): State<Arc<dyn Hub>>,
    Path(channel): Path<String>,
    Query(params): Query<Params>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let entered = enter(&*hub, &channel, &params.visitor, (&uri, &headers)).await;
    let Entered { id, hosted, conversation } = match entered {
        Ok(entered) => entered,
        Err(refusal) => return refusal.into_response(),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.max_message_size(MAX_FRAME).max_frame_size(MAX_FRAME),
        Err(rejection) => return rejection.into_response(),
    };
    let told = Told::of(&hosted.config);
    upgrade.on_upgrade(move |socket| Session::new(hub, id, conversation, told, params.after, socket).run())
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(frame: &str) {
    drop(read(frame));
}

/// What a frame of a visitor's says, as the gateway is told it. For the exam.
pub(super) fn understood(
    channel: ChannelId,
    visitor: &str,
    frame: &str,
    now: DateTime<Utc>,
) -> Result<Inbound, String> {
    let conversation = conversation_id(channel, visitor);
    let said = read(frame).map_err(|Refused(_, why)| why.to_owned())?;
    Ok(inbound::of(said, &conversation, now))
}

/// A visitor's file, as the gateway is told it.
pub(super) fn of_file(client_id: String, media: MediaRef, conversation: &str, now: DateTime<Utc>) -> Inbound {
    inbound::of(Said { client_id, what: What::File(media) }, conversation, now)
}

/// The hub's randomness, for jitter.
struct Dice(Arc<dyn Hub>);

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        // Of another length it would only cost the jitter.
        let _ = hex::decode_to_slice(self.0.token(bytes.len()), bytes);
    }
}

/// What happens next at a socket.
enum Event {
    Draining,
    Page(Option<Result<Message, axum::Error>>),
    Live(Option<Bytes>),
    Sync,
    Ping,
    Silence,
}

/// How a socket ends.
enum End {
    /// Nobody is there to be told.
    Gone,
    Close(u16, &'static str),
}

struct Session {
    hub: Arc<dyn Hub>,
    channel: ChannelId,
    conversation: String,
    /// What the channel's fields said when the socket was opened.
    told: Told,
    socket: WebSocket,
    live: Option<mpsc::Receiver<Bytes>>,
    /// When to subscribe again, while there is no live stream, and how often that failed.
    sync_at: Instant,
    failed: u32,
    /// The place of the last message that the page has.
    seen: i64,
    ready: bool,
    heard_at: Instant,
    pace: Pace,
    /// Of what the page tells by itself: none of that takes the visitor's own turn.
    receipts: Pace,
}

impl Session {
    fn new(
        hub: Arc<dyn Hub>,
        channel: ChannelId,
        conversation: String,
        told: Told,
        seen: i64,
        socket: WebSocket,
    ) -> Self {
        let now = Instant::now();
        Self {
            hub,
            channel,
            conversation,
            told,
            socket,
            live: None,
            sync_at: now,
            failed: 0,
            seen,
            ready: false,
            heard_at: now,
            pace: Pace::default(),
            receipts: Pace::default(),
        }
    }

    async fn run(mut self) {
        let draining = self.hub.draining();
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let event = tokio::select! {
                // In this order: what the page said in the meantime must count before its silence does.
                biased;
                () = draining.cancelled() => Event::Draining,
                message = self.socket.recv() => Event::Page(message),
                event = next(&mut self.live, self.sync_at) => event,
                _ = ping.tick() => Event::Ping,
                () = sleep_until(self.heard_at + SILENCE) => Event::Silence,
            };
            if let Err(end) = self.handle(event).await {
                break end;
            }
        };
        if let End::Close(code, reason) = end {
            self.say_goodbye(code, reason).await;
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Draining => Err(End::Close(close_code::AWAY, "this server is going away; connect again")),
            Event::Page(message) => {
                self.heard_at = Instant::now();
                self.page_sent(message).await
            }
            Event::Live(Some(frame)) => self.forward(frame).await,
            Event::Live(None) => {
                self.live = None;
                self.sync_later();
                Ok(())
            }
            Event::Sync => self.sync().await,
            Event::Ping => self.send(Message::Ping(Bytes::new())).await,
            Event::Silence => Err(End::Gone),
        }
    }

    async fn page_sent(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(frame))) => match read(&frame) {
                Ok(said) => self.said(said).await,
                Err(Refused(client_id, reason)) => self.refuse(client_id.as_deref(), reason).await,
            },
            Some(Ok(Message::Binary(_))) => self.refuse(None, "frames must be text").await,
            // Receiving once more is what answers a close; then there is nothing any more.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => Ok(()),
            Some(Err(_)) | None => Err(End::Gone),
        }
    }

    async fn said(&mut self, said: Said) -> Result<(), End> {
        let client_id = said.client_id.clone();
        let pace = if said.what.is_receipt() { &mut self.receipts } else { &mut self.pace };
        if !pace.admits(Instant::now()) {
            let reason = "That was a lot at once. Please wait a few seconds before sending more.";
            return self.refuse(Some(&client_id), reason).await;
        }
        if !self.takes(&said.what) {
            return self.refuse(Some(&client_id), "This chat does not take changes to what was said.").await;
        }
        let message = inbound::of(said, &self.conversation, self.hub.now());
        match self.hub.accept(self.channel, message).await {
            Ok(stored) => {
                let (id, duplicate) =
                    stored.map_or((None, false), |stored| (Some(stored.id), stored.duplicate));
                let seq = stored.and_then(Stored::place);
                self.send_frame(&Frame::Ack { client_id: &client_id, id, seq, duplicate }).await
            }
            Err(error @ (HubError::NoChannel | HubError::NotTaken)) => {
                self.refuse(Some(&client_id), &error.to_string()).await
            }
            Err(error @ HubError::Unavailable) => {
                self.refuse(None, &error.to_string()).await?;
                Err(End::Close(close_code::AGAIN, "what was not acknowledged must be sent again"))
            }
        }
    }

    /// The visitor must not read one thing and the backend another: what the backend does not hear of is not changed.
    fn takes(&self, what: &What) -> bool {
        let told = |name: &str| self.told.deeds.iter().any(|told| told == name);
        match what {
            What::Message { .. } | What::File(_) | What::React { .. } | What::Received(_) => true,
            What::Edit { .. } => told("edits"),
            What::Delete { .. } => told("deletions"),
        }
    }

    /// Brings the page up to date. Without the bus that is all there is, until the next time.
    async fn sync(&mut self) -> Result<(), End> {
        self.live = self.hub.subscribe(self.channel, &self.conversation).await.ok();
        // From the last message that the page has, not behind it: some of its parts may be missing there.
        let from = self.seen.saturating_sub(1);
        if let Ok(items) = self.hub.history(self.channel, &self.conversation, from).await {
            let gone = frames::deleted(&items);
            for item in &items {
                for frame in frames::of_history(item, &gone) {
                    self.send(Message::text(frame)).await?;
                }
                self.seen = self.seen.max(item.seq);
            }
            if !self.ready {
                self.ready = true;
                self.send(Message::text(self.told.ready())).await?;
            }
        } else {
            self.live = None;
        }
        if self.live.is_none() {
            self.sync_later();
        }
        Ok(())
    }

    fn sync_later(&mut self) {
        self.failed = self.failed.saturating_add(1);
        let wait = Backoff::RECONNECT.wait(self.failed, &Dice(Arc::clone(&self.hub)));
        self.sync_at = Instant::now() + wait.unwrap_or(Backoff::RECONNECT.cap);
    }

    async fn forward(&mut self, frame: Bytes) -> Result<(), End> {
        let (Some(seq), Ok(text)) = (frames::seq_of(&frame), Utf8Bytes::try_from(frame)) else {
            warn!(channel.id = %self.channel, "what came over the bus is no frame; dropped it");
            return Ok(());
        };
        // Only a stream that carries something has recovered: one that opens and ends must not be hammered.
        self.failed = 0;
        self.send(Message::Text(text)).await?;
        self.seen = self.seen.max(seq);
        Ok(())
    }

    async fn refuse(&mut self, client_id: Option<&str>, message: &str) -> Result<(), End> {
        self.send_frame(&Frame::Error { client_id, message }).await
    }

    async fn send_frame(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        self.send(Message::text(frame.json())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let sent = timeout(SEND_TIMEOUT, self.socket.send(message)).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(End::Gone) }
    }

    /// Closing with something unread would reset the connection, and the page might never see why.
    async fn say_goodbye(mut self, code: u16, reason: &'static str) {
        let goodbye = async {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // A page that does not answer has lost nothing: it will connect again.
        drop(timeout(GOODBYE_TIMEOUT, goodbye).await);
    }
}

async fn next(live: &mut Option<mpsc::Receiver<Bytes>>, sync_at: Instant) -> Event {
    if let Some(live) = live {
        return Event::Live(live.recv().await);
    }
    sleep_until(sync_at).await;
    Event::Sync
}

#[cfg(test)]
mod tests;
