//! A WebSocket to a platform, for adapters to which events come that way.
//!
//! The connection is made by [`super::tcp`], as those of [`super::http`] are: the same roots of trust, the same guard against
//! addresses of the operator's own network, no redirect, no proxy. A worker holds thousands of them, so each has buffers of 4 KiB
//! instead of the library's 128 (17 KiB for a connection instead of 145, measured), and a bound on what one message may take.
//!
//! Must hold: nothing of the address gets into an error, because platforms put tickets into its query; every wait for the other
//! side but [`Socket::next`] ends by itself, and that one may be dropped at any time without losing a message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, StatusCode};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
pub use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use super::answer::{excerpt, retry_after, waiting};
use super::guard::{self, UrlError};
use super::tcp;
use crate::{ChannelError, Deps};

/// For the name, the connection, TLS and the upgrade together; the HTTP clients' for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the other side may take nothing of what is sent.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How long a farewell may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Bytes that are read, and gathered for writing, at once.
const BUFFER: usize = 4 * 1024;
/// What the other side is called in errors.
const PLATFORM: &str = "the platform";
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// An open connection. Dropping it ends it without a word.
pub struct Socket(WebSocketStream<Box<dyn Stream>>);

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// The other side ends the connection; nothing comes after this.
    Closed {
        /// Why, as a number of the platform's; `None` when it says none, or hung up.
        code: Option<u16>,
        /// Why, in its words.
        reason: String,
    },
}

impl Socket {
    /// Connects to a `wss://` or `ws://` address (`https://` and `http://` mean the same). One message may have `max_message`
    /// bytes.
    ///
    /// # Errors
    /// As for a call by HTTP: [`ChannelError::Config`] for an address that may not be called, [`ChannelError::Retryable`] when
    /// there is no connection, and what the platform's status says when it refuses to talk. Nothing has happened then.
    pub async fn connect(deps: &Deps, url: &str, max_message: usize) -> Result<Self, ChannelError> {
        Self::connect_by(tcp::trust()?, deps, url, max_message).await
    }

    async fn connect_by(
        trust: Arc<ClientConfig>,
        deps: &Deps,
        url: &str,
        max_message: usize,
    ) -> Result<Self, ChannelError> {
        let url = checked(url, deps.http.allows_private()).map_err(|why| not_allowed(&why))?;
        let opened = timeout(CONNECT_LIMIT, open(trust, deps, &url, max_message)).await;
        opened.unwrap_or_else(|_| Err(no_connection()))
    }

    /// Sends a text.
    ///
    /// # Errors
    /// [`ChannelError::Uncertain`]: the connection broke, or nothing went out for ten seconds.
    pub async fn send_text(&mut self, text: String) -> Result<(), ChannelError> {
        let broke = || ChannelError::Uncertain("the connection to the platform broke".to_owned());
        match timeout(SEND_LIMIT, self.0.send(Message::text(text))).await {
            Ok(sent) => sent.map_err(|_| broke()),
            Err(_) => Err(ChannelError::Uncertain("the platform took nothing in time".to_owned())),
        }
    }

    /// What comes next. Pings are answered on the way. A connection that is simply gone is one that was closed without a code.
    ///
    /// # Errors
    /// [`ChannelError::Retryable`] when what comes can't be read, or is larger than allowed; the connection is of no use then.
    pub async fn next(&mut self) -> Result<Said, ChannelError> {
        loop {
            if let Some(said) = meaning(self.0.next().await) {
                return said;
            }
        }
    }

    /// The same on a connection to which the platform sends something all the time, if only pings: when nothing comes for
    /// `silence`, the connection is broken, though nothing says so.
    ///
    /// # Errors
    /// As [`Socket::next`], and [`ChannelError::Retryable`] for the silence.
    pub async fn next_within(&mut self, silence: Duration) -> Result<Said, ChannelError> {
        let nothing = |_| ChannelError::Retryable("nothing comes over the connection any more".to_owned());
        loop {
            if let Some(said) = meaning(timeout(silence, self.0.next()).await.map_err(nothing)?) {
                return said;
            }
        }
    }

    /// Ends the connection with a code that means something to the platform. Best effort: it may be broken already.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::default() };
        drop(timeout(CLOSE_LIMIT, self.0.close(Some(frame))).await);
    }
}

/// The same address by the schemes that the guard knows.
fn checked(url: &str, allow_private: bool) -> Result<Url, UrlError> {
    let as_http = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => format!("https://{rest}"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => format!("http://{rest}"),
        _ => url.to_owned(),
    };
    guard::check_form(&as_http, allow_private)
}

fn not_allowed(why: &UrlError) -> ChannelError {
    ChannelError::Config(format!("the platform's address {why}"))
}

fn no_connection() -> ChannelError {
    ChannelError::Retryable("can't connect to the platform".to_owned())
}

async fn open(
    trust: Arc<ClientConfig>,
    deps: &Deps,
    url: &Url,
    max_message: usize,
) -> Result<Socket, ChannelError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = tcp::connect(&deps.http, PLATFORM, host, port).await?;
    let secure = url.scheme() == "https";
    let stream: Box<dyn Stream> = if secure {
        Box::new(tcp::secure_by(trust, stream, PLATFORM, host).await?)
    } else {
        Box::new(stream)
    };
    let scheme = if secure { "wss" } else { "ws" };
    let address = format!("{scheme}{}", url.as_str().trim_start_matches("https").trim_start_matches("http"));
    let mut request = address.into_client_request().map_err(|_| not_allowed(&UrlError::Invalid))?;
    let agent = HeaderValue::from_static(concat!("ii-claw/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().insert(USER_AGENT, agent);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(Error::Http(answer)) => {
            let body = answer.body().as_deref().unwrap_or_default();
            let now = deps.clock.now().timestamp();
            Err(refused(answer.status(), answer.headers(), &String::from_utf8_lossy(body), now))
        }
        Err(_) => Err(no_connection()),
    }
}

/// What it means that the platform does not open the connection.
fn refused(status: StatusCode, headers: &HeaderMap, body: &str, now: i64) -> ChannelError {
    let text =
        format!("the platform refused the connection with {}: {}", status.as_u16(), excerpt(body, MAX_QUOTE));
    match status.as_u16() {
        429 => ChannelError::RateLimited(retry_after(headers, now).unwrap_or(waiting(1))),
        401 => ChannelError::BadCredentials(text),
        408 | 500..=599 => ChannelError::Retryable(text),
        _ => ChannelError::Permanent(text),
    }
}

/// What a frame says, if anything; no frame is the end.
fn meaning(frame: Option<Result<Message, Error>>) -> Option<Result<Said, ChannelError>> {
    match frame {
        Some(Ok(Message::Text(text))) => Some(Ok(Said::Text(text))),
        Some(Ok(Message::Binary(bytes))) => Some(Ok(Said::Binary(bytes))),
        Some(Ok(Message::Close(frame))) => Some(Ok(closed(frame))),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
        None
        | Some(Err(
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
        )) => Some(Ok(closed(None))),
        Some(Err(error)) => Some(Err(unreadable(&error))),
    }
}

fn closed(frame: Option<CloseFrame>) -> Said {
    let reason = frame.as_ref().map(|frame| excerpt(&frame.reason, MAX_QUOTE)).unwrap_or_default();
    Said::Closed { code: frame.map(|frame| frame.code.into()), reason }
}

fn unreadable(error: &Error) -> ChannelError {
    ChannelError::Retryable(match error {
        Error::Capacity(_) => "the platform sent a message that is larger than allowed".to_owned(),
        _ => "what the platform sent can't be read".to_owned(),
    })
}

#[cfg(test)]
mod tests;
