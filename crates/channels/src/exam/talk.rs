//! A platform that tells by a WebSocket, as the exam's server plays it: one connection after the other.
//!
//! The upgrade is done on hyper's connection, because the same port answers the platform's calls. Payloads that wait are told
//! once the adapter has said what it must say first ([`Talk::is_ready`]); that it took one is known by what it says afterwards
//! ([`Talk::is_taken`]), so nothing here waits for time to pass.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::server::Shared;

/// How a platform talks.
#[derive(Clone, Copy)]
pub struct Talk {
    /// What it says to what it heard; `None` is a connection that has just been opened.
    pub says: fn(heard: Option<&str>) -> Vec<String>,
    /// Whether events may be told after it heard this.
    pub is_ready: fn(heard: Option<&str>) -> bool,
    /// A payload in its frames.
    pub tells: fn(payload: &str) -> Vec<String>,
    /// Whether what it heard shows that the adapter took what it was told last.
    pub is_taken: fn(heard: &str) -> bool,
}

/// Whether a request wants a WebSocket.
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer to such a request, and the talk that begins once it is sent; `None` when its key is missing.
pub(super) fn begin(
    talk: Talk,
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Option<(Response<Full<Bytes>>, BoxFuture<'static, ()>)> {
    let key = derive_accept_key(request.headers().get(header::SEC_WEBSOCKET_KEY)?.as_bytes());
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(key).ok()?);
    Some((response, play(talk, Arc::clone(shared), request).boxed()))
}

/// Until either side is gone.
async fn play(talk: Talk, shared: Arc<Shared>, request: Request<Incoming>) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let mut heard: Option<String> = None;
    loop {
        let heard_text = heard.as_deref();
        let mut frames = (talk.says)(heard_text);
        if (talk.is_ready)(heard_text) {
            frames.extend(shared.payload().iter().flat_map(|payload| (talk.tells)(payload)));
        }
        for frame in frames {
            if socket.send(Message::text(frame)).await.is_err() {
                return;
            }
        }
        if heard_text.is_some_and(talk.is_taken) {
            shared.was_taken();
        }
        heard = loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => break Some(text.to_string()),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                _ => return,
            }
        };
    }
}
