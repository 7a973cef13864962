//! A server on this machine in the place of the platform.
//!
//! Written on hyper's connection and not on a router, because a platform that cuts the connection has to be played, too: a
//! service that fails ends its connection without an answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use claw_types::MediaKind;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::doors::{self, Stage};
use super::secrets::Addresses;
use super::{Examinee, Road, talk};
use crate::kit::length::samples::{SOUND, SPOKEN};

/// Where the server has attachments; behind it comes their kind.
pub const FILES: &str = "/files-of-the-exam/";

/// A request that the server got.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Asked {
    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The fields of a body that is a form (`multipart/form-data`): their names, and the text of those that are no files.
    pub fn form(&self) -> Option<Vec<(String, Option<String>)>> {
        let content_type = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=")?;
        let body = String::from_utf8_lossy(&self.body);
        let field = |part: &str| {
            let (head, content) = part.trim_start_matches("\r\n").split_once("\r\n\r\n")?;
            let name = head.split_once("; name=\"")?.1.split('"').next()?.to_owned();
            let text = content.strip_suffix("\r\n").unwrap_or(content).to_owned();
            Some((name, (!head.contains("; filename=")).then_some(text)))
        };
        Some(body.split(&format!("--{boundary}")).filter_map(field).collect())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Headers beside the type of the content.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// JSON with a status; one that is none becomes 500.
    pub fn json(status: u16, body: &Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { status, headers, body: body.to_string().into() }
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }
}

/// How the platform is today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers as it should.
    Well,
    /// Refuses everything with this status.
    Refuses(u16),
    /// Takes everything and never answers.
    Silent,
    /// Takes everything and hangs up.
    Cuts,
}

/// The server; it ends with this value.
pub(super) struct Server {
    address: SocketAddr,
    /// The ports where something else than HTTP is spoken.
    doors: Vec<(&'static str, u16)>,
    shared: Arc<Shared>,
    /// Dropping it ends the tasks. They belong to one exam, not to the process.
    _tasks: JoinSet<()>,
}

pub(super) struct Shared {
    examinee: &'static dyn Examinee,
    road: Road,
    /// Paths and queries of all that was asked.
    addresses: Addresses,
    pub(super) mood: watch::Sender<Mood>,
    pub(super) asked: Mutex<Vec<Asked>>,
    /// The polls, which are no calls that anybody waits for.
    polled: Mutex<Vec<Asked>>,
    pub(super) count: watch::Sender<usize>,
    /// Polls so far.
    pub(super) polls: watch::Sender<usize>,
    /// Payloads that nobody polled yet.
    pub(super) waiting: Mutex<Vec<String>>,
    /// What was told by WebSockets and taken so far.
    taken: watch::Sender<usize>,
}

/// A test that panics elsewhere must not hide what was found.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(super) async fn start(
        examinee: &'static dyn Examinee,
        road: Road,
        addresses: Addresses,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            examinee,
            road,
            addresses,
            mood: watch::Sender::new(Mood::Well),
            asked: Mutex::default(),
            polled: Mutex::default(),
            count: watch::Sender::new(0),
            polls: watch::Sender::new(0),
            waiting: Mutex::default(),
            taken: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        let mut doors = Vec::new();
        for door in examinee.doors() {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            doors.push((door.name, listener.local_addr()?.port()));
            tasks.spawn(doors::open(listener, door, Stage::new(Arc::clone(&shared))));
        }
        Ok(Self { address, doors, shared, _tasks: tasks })
    }

    pub(super) fn url(&self) -> String {
        let doors: Vec<_> = self.doors.iter().map(|(name, port)| format!("{name}={port}")).collect();
        let query = if doors.is_empty() { String::new() } else { format!("/?{}", doors.join("&")) };
        format!("http://{}{query}", self.address)
    }

    /// Those that hang are not answered after all when it gets better.
    pub(super) fn is_now(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// Has the next poll answered with these.
    pub(super) fn will_tell(&self, payload: &str) {
        locked(&self.shared.waiting).push(payload.to_owned());
    }

    /// What the platform was asked since the last time, without polls and what is not the platform's.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *locked(&self.shared.asked))
    }

    /// The polls since the last time.
    pub(super) fn polled(&self) -> Vec<Asked> {
        std::mem::take(&mut *locked(&self.shared.polled))
    }

    /// Polls so far.
    pub(super) fn polls(&self) -> usize {
        *self.shared.polls.borrow()
    }

    /// Returns once there were more polls than `polls`.
    pub(super) async fn polled_more_than(&self, polls: usize) {
        let mut watched = self.shared.polls.subscribe();
        drop(watched.wait_for(|now| *now > polls).await);
    }

    /// What was told by a WebSocket and taken so far.
    pub(super) fn taken(&self) -> usize {
        *self.shared.taken.borrow()
    }

    /// Returns once more was taken than `taken`.
    pub(super) async fn taken_more_than(&self, taken: usize) {
        let mut watched = self.shared.taken.subscribe();
        drop(watched.wait_for(|now| *now > taken).await);
    }

    /// Requests so far, polls included.
    pub(super) fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Returns once there were more requests than `count`.
    pub(super) async fn asked_more_than(&self, count: usize) {
        let mut watched = self.shared.count.subscribe();
        // The sender lives as long as this.
        drop(watched.wait_for(|now| *now > count).await);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let begun = Arc::new(Mutex::new(None));
    let service = {
        let begun = Arc::clone(&begun);
        service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&begun), request))
    };
    // One that breaks is what is wanted of it at times.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await);
    let begun = locked(&begun).take();
    if let Some(talk) = begun {
        talk.await;
    }
}

/// What goes on by a connection that has become a WebSocket.
type Begun = Arc<Mutex<Option<BoxFuture<'static, ()>>>>;

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

async fn answer(
    shared: Arc<Shared>,
    begun: Begun,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    locked(&shared.addresses).push(target.clone());
    if let Road::Socket(talk) = shared.road
        && talk::is_wanted(&request)
    {
        let (response, talk) = talk::begin(talk, &shared, request).ok_or(Cut)?;
        *locked(&begun) = Some(talk);
        shared.count.send_modify(|count| *count += 1);
        return Ok(response);
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    if let Some(kind) = target.strip_prefix(FILES) {
        return Ok(file(kind));
    }
    let asked = Asked { method: parts.method, target, headers: parts.headers, body };
    let answer = shared.take(asked).await?;
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

impl Shared {
    /// A payload that waits to be told.
    pub(super) fn payload(&self) -> Option<String> {
        locked(&self.waiting).pop()
    }

    pub(super) fn was_taken(&self) {
        self.taken.send_modify(|taken| *taken += 1);
    }

    async fn take(&self, asked: Asked) -> Result<Answer, Cut> {
        let Some(platform) = self.examinee.platform() else { return Err(Cut) };
        let poll = match self.road {
            Road::Poll { is_poll, answer } if is_poll(&asked) => Some(answer),
            _ => None,
        };
        let answered = match poll {
            Some(with) => locked(&self.waiting).pop().map(|payload| with(&payload)),
            None => Some(platform.answer(&asked)),
        };
        if poll.is_some() {
            locked(&self.polled).push(asked);
            self.polls.send_modify(|polls| *polls += 1);
        } else {
            locked(&self.asked).push(asked);
        }
        let mood = *self.mood.borrow();
        self.count.send_modify(|count| *count += 1);
        match (mood, answered) {
            (Mood::Well, Some(answer)) => Ok(answer),
            (Mood::Refuses(status), _) => Ok(platform.refusal(status)),
            (Mood::Cuts, _) => Err(Cut),
            // Held open until whoever asked goes away, like a long poll when there is nothing to tell.
            (Mood::Silent, _) | (Mood::Well, None) => match std::future::pending::<Infallible>().await {},
        }
    }
}

/// An attachment: small, and by its first bytes what it is said to be. Sounds are whole, because some platforms are told their length.
fn file(kind: &str) -> Response<Full<Bytes>> {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    let kinds: [(MediaKind, &'static str, &'static [u8]); 5] = [
        (MediaKind::Image, "image/png", PNG),
        (MediaKind::Video, "video/mp4", b"\0\0\0\x18ftypmp42"),
        (MediaKind::Audio, "audio/mpeg", &SOUND),
        (MediaKind::Voice, "audio/ogg", SPOKEN),
        (MediaKind::File, "application/pdf", b"%PDF-1.4"),
    ];
    let found = kinds.into_iter().find(|(known, ..)| known.as_str() == kind);
    let Some((_, content_type, bytes)) = found else {
        let mut missing = Response::default();
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return missing;
    };
    let mut response = Response::new(Full::new(Bytes::from_static(bytes)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
