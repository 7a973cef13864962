//! Socket Mode (<https://docs.slack.dev/apis/events-api/using-socket-mode>): what the app would be posted comes over a socket, in envelopes.
//!
//! Each is acknowledged once its messages are committed, and only then: what is not, Slack sends again, over whichever socket the app has,
//! at times minutes later; a message is the same by its conversation and time, so it counts once. About once in an hour Slack
//! asks to leave a socket. The next one is opened then, and the old one is read until Slack closes it, so nothing waits meanwhile.
//!
//! Must hold: a socket on which nothing comes, not even a ping, is given up, or the bot would be deaf and called well; at most one
//! socket beside the one that is read is there, because an app has ten.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use claw_runtime::Backoff;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tracing::debug;

use super::api::Call;
use super::{Slack, incoming};
use crate::kit::socket::{Said, Socket};
use crate::{ChannelError, Sink, SinkError};

/// Bytes of an envelope. A message has 40,000 characters, which may come as text and as blocks.
const MAX_ENVELOPE: usize = 4 * 1024 * 1024;
/// How long nothing may come. Slack pings every few seconds, and its own client takes 30 s without for a broken connection
/// (`serverPingTimeout` of <https://docs.slack.dev/tools/node-slack-sdk/reference/socket-mode/interfaces/SocketModeOptions>).
const SILENCE: Duration = Duration::from_secs(30);
/// How long a socket is read that Slack asked to leave, if Slack does not close it.
const DRAIN: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Address {
    url: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    r#type: String,
    #[serde(rename = "envelope_id")]
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    /// Why to leave.
    reason: Option<String>,
}

/// What happened to a socket.
enum Happened {
    /// There is one more.
    Opened(Socket),
    /// Slack asks to leave it.
    Leaving(Socket),
    /// It is read to its end.
    Over,
    /// There is none, or it broke.
    Lost(ChannelError),
}

/// What an envelope said.
enum Heard {
    /// An envelope, or Slack's hello: dealt with.
    Dealt,
    /// Nothing that Slack is known to say.
    Noise,
    /// To leave.
    Leave,
}

/// Receives for one channel.
pub(super) struct Sockets<'a> {
    slack: &'a Slack,
    app_token: &'a str,
    sink: &'a dyn Sink,
    troubled: AtomicBool,
    /// Sockets that were not had, or broke before Slack said anything over them, one after another.
    failed: AtomicU32,
}

impl<'a> Sockets<'a> {
    pub(super) fn new(slack: &'a Slack, app_token: &'a str, sink: &'a dyn Sink) -> Self {
        Self { slack, app_token, sink, troubled: AtomicBool::new(false), failed: AtomicU32::new(0) }
    }

    /// Receives until something is wrong that time does not mend.
    pub(super) async fn receive(&self) -> Result<(), ChannelError> {
        let mut work: FuturesUnordered<BoxFuture<'_, Happened>> = FuturesUnordered::new();
        work.push(Box::pin(self.open(Duration::ZERO)));
        while let Some(happened) = work.next().await {
            match happened {
                Happened::Opened(socket) => {
                    self.trouble(None).await;
                    work.push(Box::pin(self.read(socket)));
                }
                Happened::Leaving(old) => {
                    self.failed.store(0, Ordering::Relaxed);
                    work.push(Box::pin(self.open(Duration::ZERO)));
                    work.push(Box::pin(self.drain(old)));
                }
                Happened::Over => {}
                Happened::Lost(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => {
                    return Err(error);
                }
                Happened::Lost(error) => {
                    let failed = self.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                    self.trouble(Some(&error.to_string())).await;
                    work.push(Box::pin(self.open(self.pause(&error, failed))));
                }
            }
        }
        Ok(())
    }

    fn pause(&self, error: &ChannelError, failed: u32) -> Duration {
        if let ChannelError::RateLimited(wait) = error {
            return *wait;
        }
        let random = &*self.slack.api.deps.random;
        Backoff::RECONNECT.wait(failed, random).unwrap_or(Duration::from_secs(5))
    }

    async fn open(&self, pause: Duration) -> Happened {
        tokio::time::sleep(pause).await;
        match self.connect().await {
            Ok(socket) => Happened::Opened(socket),
            Err(error) => Happened::Lost(error),
        }
    }

    async fn connect(&self) -> Result<Socket, ChannelError> {
        let url = address(self.slack, self.app_token).await?;
        Socket::connect(&self.slack.api.deps, &url, MAX_ENVELOPE).await
    }

    /// Reads until the socket is closed, broken or to be left. Only what comes over it shows that it is good for something: an app with
    /// too many sockets may have it opened and closed at once.
    async fn read(&self, mut socket: Socket) -> Happened {
        loop {
            match self.hear(&mut socket).await {
                Ok(Heard::Dealt) => self.failed.store(0, Ordering::Relaxed),
                Ok(Heard::Noise) => {}
                Ok(Heard::Leave) => return Happened::Leaving(socket),
                Err(error) => return Happened::Lost(error),
            }
        }
    }

    /// Reads what still comes on a socket that is to be left. Another one is being opened already, so its end is nothing to tell.
    async fn drain(&self, mut socket: Socket) -> Happened {
        let read = async { while self.hear(&mut socket).await.is_ok() {} };
        drop(timeout(DRAIN, read).await);
        Happened::Over
    }

    /// The next envelope, dealt with.
    async fn hear(&self, socket: &mut Socket) -> Result<Heard, ChannelError> {
        let text = match socket.next_within(SILENCE).await? {
            Said::Text(text) => text,
            Said::Binary(_) => return Ok(Heard::Noise),
            Said::Closed { .. } => {
                return Err(ChannelError::Retryable("Slack closed the socket".to_owned()));
            }
        };
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(&text) else {
            debug!(channel.id = %self.slack.api.deps.channel_id, "what came over the socket is no envelope");
            return Ok(Heard::Noise);
        };
        if envelope.r#type == "disconnect" {
            return leaving(envelope.reason.as_deref());
        }
        let Some(id) = envelope.id else { return Ok(Heard::Dealt) };
        if self.take(&envelope.r#type, envelope.payload.map_or("null", RawValue::get)).await? {
            socket.send_text(json!({"envelope_id": id}).to_string()).await?;
        }
        Ok(Heard::Dealt)
    }

    /// Whether what is in an envelope is committed, so that it may be acknowledged. What can't be read would come again as it is.
    async fn take(&self, kind: &str, payload: &str) -> Result<bool, ChannelError> {
        let messages = incoming::enveloped(kind, payload).unwrap_or_else(|error| {
            debug!(channel.id = %self.slack.api.deps.channel_id, kind, "an envelope that can't be read: {error}");
            Vec::new()
        });
        let mut messages = self.slack.admitted(messages);
        self.slack.people.complete(&self.slack.api, &mut messages).await;
        if messages.is_empty() {
            return Ok(true);
        }
        match self.sink.accept(messages).await {
            Ok(()) => {
                self.trouble(None).await;
                Ok(true)
            }
            Err(SinkError::NotCommitted(why)) => {
                self.trouble(Some(&why)).await;
                Ok(false)
            }
            Err(error @ SinkError::LostOwnership) => Err(error.into()),
        }
    }

    /// Tells the channel's user; that all is well only when it was not before.
    async fn trouble(&self, error: Option<&str>) {
        if self.troubled.swap(error.is_some(), Ordering::Relaxed) || error.is_some() {
            self.sink.trouble(error).await;
        }
    }
}

/// Where the next socket is; the address is good once (<https://docs.slack.dev/reference/methods/apps.connections.open>).
pub(super) async fn address(slack: &Slack, app_token: &str) -> Result<String, ChannelError> {
    let asked = slack.api.call_as::<Address>(app_token, &Call::repeatable("apps.connections.open")).await;
    asked.map(|address| address.url).map_err(|error| match error {
        ChannelError::BadCredentials(why) => ChannelError::BadCredentials(format!("app_token_env: {why}")),
        other => other,
    })
}

fn leaving(reason: Option<&str>) -> Result<Heard, ChannelError> {
    match reason {
        Some("link_disabled") => Err(ChannelError::Config(
            "Socket Mode is switched off for the app: switch it on in the app's settings, or use signing_secret".to_owned(),
        )),
        Some("too_many_websockets") => Err(ChannelError::Retryable(
            "the app has all the sockets that Slack allows it: stop another program that uses its token".to_owned(),
        )),
        _ => Ok(Heard::Leave),
    }
}
