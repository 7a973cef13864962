//! Against a homeserver that answers what it is told to, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::exam::{ACCOUNT, DIRECT, GROUP, described};
use super::*;
use crate::adapters::webhook::testing::{Recorder, deps, serve};

#[cfg(feature = "matrix-encryption")]
mod encrypted;
mod receiving;
mod sending;

crate::exam::conformance!(Matrix);

const TOKEN: &str = "syt_c2VjcmV0_0000000000_1111";

/// A request that came.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    /// Behind `/_matrix/`, as it was sent.
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Answers by a part of the path; what is not planned gets `{}`, or an event's id.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<(String, u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    url: String,
}

impl Server {
    async fn start() -> Self {
        let mut server = Self::default();
        let router = Router::new().fallback(answer).with_state(server.clone());
        server.url = serve(router).await;
        server
    }

    /// The next request with this in its path is answered so.
    fn will(&self, path: &str, body: Value) {
        self.will_refuse(path, 200, body);
    }

    fn will_refuse(&self, path: &str, status: u16, body: Value) {
        self.answers.lock().unwrap().push_back((path.to_owned(), status, body));
    }

    /// What it was asked since the last time. Every call is checked against the description.
    fn asked(&self) -> Vec<Asked> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        for call in &asked {
            described(&call.method, &format!("/_matrix/{}", call.path), &call.query, &call.json()).unwrap();
            assert_eq!(call.headers["authorization"], format!("Bearer {TOKEN}"), "{}", call.path);
        }
        asked
    }

    fn bot(&self) -> Matrix {
        self.bot_with(json!({}))
    }

    fn bot_with(&self, extra: Value) -> Matrix {
        configured(&self.url, extra).unwrap()
    }
}

fn with(mut json: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { panic!("an object") };
    json.as_object_mut().unwrap().extend(extra);
    json
}

fn configured(url: &str, extra: Value) -> Result<Matrix, ChannelError> {
    made(url, extra, deps(Arc::new(Recorder::default())))
}

fn made(url: &str, extra: Value, deps: Deps) -> Result<Matrix, ChannelError> {
    let config = json!({"homeserver_url": url, "user_id": ACCOUNT, "access_token_env": TOKEN});
    Matrix::new(serde_json::from_value(with(config, extra)).unwrap(), deps)
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path().strip_prefix("/_matrix/").unwrap().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let is_poll = query.contains("since=");
    server.asked.lock().unwrap().push(Asked {
        method: parts.method,
        path: path.clone(),
        query,
        headers: parts.headers,
        body,
    });
    let planned = {
        let mut answers = server.answers.lock().unwrap();
        let at = answers.iter().position(|(part, ..)| path.contains(part.as_str()));
        at.and_then(|at| answers.remove(at))
    };
    match planned {
        Some((_, status, body)) => (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response(),
        // Nothing happens any more: held open like any long poll.
        None if is_poll => std::future::pending().await,
        None => axum::Json(json!({"event_id": "$sent"})).into_response(),
    }
}

#[test]
fn fields_that_make_no_sense_are_refused_with_a_sentence() {
    let refused = |extra: Value| match configured("https://matrix.example.org", extra) {
        Err(ChannelError::Config(why)) => why,
        _ => panic!("it is a channel"),
    };
    for id in ["helper", "@helper", "helper:example.org", "@:example.org", "@a b:example.org"] {
        let why = refused(json!({"user_id": id}));
        assert!(why.contains("@helper:example.org"), "{id}: {why}");
    }
    assert!(refused(json!({"access_token_env": "two words"})).contains("access token"));
    assert!(
        refused(json!({"allowed_rooms": ["!a:b.org", "#research:example.org"]})).contains("!abc:example.org")
    );
    assert!(refused(json!({"homeserver_url": "matrix.example.org"})).contains("homeserver_url"));
}

#[test]
fn one_account_is_in_one_channel() {
    let credentials = |account: &str, token: &str| {
        let config =
            json!({"homeserver_url": "https://x.org", "user_id": account, "access_token_env": token});
        Matrix::credentials(&serde_json::from_value(config).unwrap())
    };
    let (one, other) = (credentials(ACCOUNT, "secret"), credentials(ACCOUNT, "b"));
    assert_eq!(one[0], other[0], "whatever session the token is of");
    assert_ne!(one[1], other[1]);
    assert_eq!(
        one[1],
        credentials("@other:example.org", "secret")[1],
        "whatever account it is said to be of"
    );
    assert!(!one.concat().contains("secret"));
}

#[tokio::test]
async fn a_token_of_another_account_is_told() {
    let server = Server::start().await;
    server.will("whoami", json!({"user_id": "@other:example.org", "device_id": "D"}));
    let told = server.bot().probe().await;
    assert!(
        matches!(&told, Err(ChannelError::BadCredentials(why)) if why.contains("@other:example.org")),
        "{told:?}"
    );
    server.will("whoami", json!({"user_id": ACCOUNT, "device_id": "D"}));
    let probe = server.bot().probe().await.unwrap();
    assert_eq!((probe.account.as_deref(), &probe.details["device_id"]), (Some(ACCOUNT), &json!("D")));
    assert!(server.asked().iter().all(|asked| asked.method == Method::GET));
}

#[tokio::test]
async fn what_is_no_homeserver_is_told() {
    let server = Server::start().await;
    for (status, answer) in [(404, json!("not found")), (200, json!("welcome"))] {
        server.will_refuse("whoami", status, answer);
        let told = server.bot().probe().await;
        assert!(
            matches!(&told, Err(ChannelError::Permanent(why)) if why.contains("check homeserver_url")),
            "{told:?}"
        );
    }
    let home = Matrix::new(
        serde_json::from_value(
            json!({"homeserver_url": "http://127.0.0.1:1", "user_id": ACCOUNT, "access_token_env": TOKEN}),
        )
        .unwrap(),
        Deps { http: crate::kit::http::Http::new(false).unwrap(), ..deps(Arc::new(Recorder::default())) },
    );
    assert!(matches!(home, Err(ChannelError::Config(why)) if why.contains("private")));
}

/// As CHANNELS have it elsewhere: 429 was handled in one call only.
#[tokio::test]
async fn every_call_tells_for_how_long_to_wait() {
    let server = Server::start().await;
    let bot = server.bot();
    for _ in 0..3 {
        server.will_refuse("", 429, json!({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500}));
    }
    let wait = ChannelError::RateLimited(Duration::from_secs(2));
    assert_eq!(bot.typing(GROUP, None).await, Err(wait.clone()));
    assert_eq!(bot.probe().await.map(drop), Err(wait.clone()));
    let media =
        MediaRef { kind: MediaKind::Image, handle: "mxc://x.org/a".to_owned(), filename: None, mime: None };
    assert_eq!(bot.open_media(&media).await.map(drop), Err(wait));
}

#[tokio::test]
async fn attachments_are_opened_with_the_token_or_as_older_homeservers_have_it() {
    let server = Server::start().await;
    let media = |handle: &str| MediaRef {
        kind: MediaKind::Image,
        handle: handle.to_owned(),
        filename: None,
        mime: None,
    };
    server.will_refuse(
        "client/v1/media",
        404,
        json!({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}),
    );
    server.will("media/v3/download", json!({"a": "file"}));
    assert!(server.bot().open_media(&media("mxc://example.org/AbC")).await.is_ok());
    let paths: Vec<_> =
        std::mem::take(&mut *server.asked.lock().unwrap()).into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["client/v1/media/download/example.org/AbC", "media/v3/download/example.org/AbC"]);
    for odd in ["https://example.org/a", "mxc://example.org/..", "mxc:///a"] {
        assert!(
            matches!(server.bot().open_media(&media(odd)).await, Err(ChannelError::Permanent(_))),
            "{odd}"
        );
    }
    assert!(server.asked().is_empty());
}
