//! The exam, and what is particular to Discord: calls against its own description, a gateway that a test plays.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use claw_types::{Inbound, MessageId, Outbound};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::exam::described;
use super::*;
use crate::adapters::webhook::testing::{NOW, Recorder, deps, serve};
use crate::kit::plan::plan;
use crate::{RawRequest, SinkError};

mod answers;
mod connections;
mod gateway;
mod posts;
mod sending;
mod shards;

crate::exam::conformance!(Discord);

const TOKEN: &str = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs";
const CHAT: &str = "700000000000000001";

/// What a server was asked: method, path, body.
type Asked = (String, String, Value);

/// A REST server that answers what it is told to, and remembers what it was asked.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<Response>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    async fn start(extra: Value) -> (Self, Discord) {
        let server = Self::default();
        let url = serve(server.router()).await;
        (server, bot(&url, extra, deps(Arc::new(Recorder::default()))))
    }

    fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    fn will(&self, status: u16, body: Value) {
        self.will_with(status, body, &[]);
    }

    fn will_with(&self, status: u16, body: Value, headers: &[(&'static str, &'static str)]) {
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        self.answers.lock().unwrap().push_back(answer);
    }

    fn will_refuse(&self, status: u16, code: u64, message: &str) {
        self.will(status, json!({"message": message, "code": code}));
    }

    /// What it was asked since the last time, as method and path; each is checked against the description.
    fn asked(&self) -> Vec<Asked> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        for (method, path, body) in &asked {
            described(method, path, body).unwrap();
        }
        asked
    }

    fn paths(&self) -> Vec<String> {
        self.asked()
            .into_iter()
            .map(|(method, path, _)| format!("{method} {}", &path["/api/v10".len()..]))
            .collect()
    }
}

async fn answer(State(server): State<Server>, request: Request<Body>) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 20_000_000).await.unwrap();
    let body = body_of(&parts.headers, &body);
    server.asked.lock().unwrap().push((parts.method.to_string(), parts.uri.path().to_owned(), body));
    let planned = server.answers.lock().unwrap().pop_front();
    planned.unwrap_or_else(|| (StatusCode::INTERNAL_SERVER_ERROR, "nothing planned").into_response())
}

/// The JSON of a call, with files or without.
fn body_of(headers: &HeaderMap, body: &Bytes) -> Value {
    let asked = crate::exam::Asked {
        method: http::Method::POST,
        target: String::new(),
        headers: headers.clone(),
        body: body.clone(),
    };
    let Some(form) = asked.form() else { return asked.json() };
    let json = form.into_iter().find(|(name, _)| name == "payload_json").unwrap().1.unwrap();
    serde_json::from_str(&json).unwrap()
}

fn bot(api_url: &str, extra: Value, deps: Deps) -> Discord {
    let config = with(json!({"bot_token_env": TOKEN, "api_url": api_url}), extra);
    Discord::new(serde_json::from_value(config).unwrap(), deps).unwrap()
}

fn with(mut json: Value, extra: Value) -> Value {
    if let Value::Object(extra) = extra {
        json.as_object_mut().unwrap().extend(extra);
    }
    json
}

fn message(extra: Value) -> Outbound {
    let message: Outbound = serde_json::from_value(with(json!({"recipient": CHAT}), extra)).unwrap();
    message.validate().unwrap();
    message
}

/// Sends each part of a message that was accepted so long ago.
async fn send_later(bot: &Discord, extra: Value, age: TimeDelta) -> Vec<Result<Receipt, ChannelError>> {
    let message = message(extra);
    let plan = plan(&message, &CAPS).unwrap();
    let mut receipts = Vec::new();
    for (index, piece) in plan.parts.iter().enumerate() {
        let part = Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index,
            recipient: &message.recipient,
            thread_id: message.thread_id.as_deref(),
            piece,
            accepted_at: DateTime::from_timestamp(NOW, 0).unwrap() - age,
            replaces: None,
        };
        receipts.push(bot.send(&part).await);
    }
    receipts
}

async fn send(bot: &Discord, extra: Value) -> Vec<Result<Receipt, ChannelError>> {
    send_later(bot, extra, TimeDelta::zero()).await
}

fn sent(id: &str) -> Receipt {
    Receipt { platform_message_id: id.to_owned() }
}

fn config(extra: Value) -> Config {
    serde_json::from_value(with(json!({"bot_token_env": TOKEN}), extra)).unwrap()
}

#[test]
fn a_bot_is_in_one_channel_whatever_its_token() {
    let credentials = |token: &str| Discord::credentials(&config(json!({"bot_token_env": token})));
    let renewed = "MTk4NjIyNDgzNDcxOTI1MjQ4.Dm3GNR.another-secret-of-the-same-bot";
    assert_eq!(credentials(TOKEN), ["MTk4NjIyNDgzNDcxOTI1MjQ4"]);
    assert_eq!(credentials(TOKEN), credentials(renewed));
    assert_eq!(credentials(TOKEN), credentials(&format!("Bot {TOKEN}")));
    assert_ne!(
        credentials(TOKEN),
        credentials("MTA5NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs")
    );
}

#[test]
fn what_is_no_token_is_refused_with_a_sentence() {
    for token in [
        "",
        "abc",
        "a.b.c",
        "Bot",
        "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ",
        "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.Zn Cjm1XVW7vRze4b7Cq4",
    ] {
        let made = Discord::new(config(json!({"bot_token_env": token})), deps(Arc::new(Recorder::default())));
        match made.map(drop) {
            Err(ChannelError::Config(why)) => assert!(why.starts_with("bot_token_env"), "{why}"),
            other => panic!("{token:?}: {other:?}"),
        }
    }
    let commands = config(json!({"commands": ["Not A Name"]}));
    let made = Discord::new(commands, deps(Arc::new(Recorder::default())));
    assert!(matches!(made.map(drop), Err(ChannelError::Config(why)) if why.starts_with("commands")));
}

#[tokio::test]
async fn a_test_tells_who_the_bot_is_and_why_not() {
    let (server, bot) = Server::start(json!({})).await;
    server.will(200, json!({"id": "1", "username": "helper"}));
    server.will(
        200,
        json!({"url": "wss://gateway.discord.gg", "shards": 1,
        "session_start_limit": {"total": 1000, "remaining": 987, "reset_after": 1, "max_concurrency": 1}}),
    );
    let probe = bot.probe().await.unwrap();
    assert_eq!(
        (probe.account.as_deref(), &probe.details["session_starts_left"]),
        (Some("helper"), &json!(987))
    );
    assert_eq!(server.paths(), ["GET /users/@me", "GET /gateway/bot"]);
    server.will_refuse(401, 0, "401: Unauthorized");
    let said = "Discord answered 401: 401: Unauthorized".to_owned();
    assert_eq!(bot.probe().await, Err(ChannelError::BadCredentials(said)));
}

#[test]
fn nothing_is_posted_to_it() {
    let bot = bot("https://discord.com", json!({}), deps(Arc::new(Recorder::default())));
    let request =
        RawRequest { headers: HeaderMap::new(), query: String::new(), body: Bytes::from_static(b"{}") };
    assert!(matches!(bot.decode(&request), Err(ChannelError::BadRequest(_))));
}
