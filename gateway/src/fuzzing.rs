//! Doors for fuzzing: what reads a caller's bytes, without the database behind it.
//!
//! Each function takes what would arrive on the wire and throws away what comes of it: no input may make one panic or take
//! long. The targets of `make fuzz-parsers` are their only callers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use claw_channels::send_body::{self, SendBody};
use claw_store::HookAuth;
use claw_template::Context;

use crate::auth::{self, Proxies};
use crate::body;
use crate::idempotency;
use crate::query;
use crate::routes::cron::body::JobBody;
use crate::routes::{channels, destinations, events, hooks, keys, messages};

/// The secret behind [`hook_call`]'s signatures.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// When its calls arrive, in seconds since 1970.
const NOW: i64 = 1_700_000_000;

/// The body of a send, with what is checked of it.
pub fn send_body(bytes: &[u8]) {
    if let Ok(body) = body::parse::<SendBody>(bytes) {
        drop(send_body::read(body, false));
    }
}

/// The body of a cron job, with what is checked of it.
pub fn job_body(bytes: &[u8]) {
    if let Ok(body) = body::parse::<JobBody>(bytes) {
        drop(body.checked(claw_schedule::Limits::default()));
    }
}

/// The bodies of wake-ups, hooks, channels, keys and destinations.
pub fn other_bodies(bytes: &[u8]) {
    drop(body::parse::<hooks::wake::Wake>(bytes));
    drop(body::parse::<hooks::agent::RunAgent>(bytes));
    drop(body::parse::<channels::configure::Configure>(bytes));
    drop(body::parse::<keys::create::CreateKey>(bytes));
    drop(body::parse::<destinations::create::CreateDestination>(bytes));
    drop(body::parse::<destinations::change::ChangeDestination>(bytes));
}

/// What another system posts to a hook: the first line stands for its headers' values and its query, the rest is the body.
pub fn hook_call(bytes: &[u8]) {
    let (head, body) = bytes.iter().position(|&byte| byte == b'\n').map_or((bytes, bytes), |end| {
        let (head, rest) = bytes.split_at(end);
        (head, rest.get(1..).unwrap_or_default())
    });
    let names = [
        "authorization",
        "x-webhook-signature",
        "x-hub-signature-256",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ];
    let value = HeaderValue::from_bytes(head).unwrap_or(HeaderValue::from_static("sha256="));
    let headers: HeaderMap =
        names.into_iter().map(|name| (HeaderName::from_static(name), value.clone())).collect();
    for auth in [HookAuth::Hmac, HookAuth::Bearer] {
        drop(hooks::genuine::check(auth, SECRET, &headers, body, NOW));
    }
    let _ = auth::bearer(&headers);
    let _ = idempotency::is_key(&String::from_utf8_lossy(head));
    drop(hooks::render::Posted::new(body, &headers, Some(&String::from_utf8_lossy(head))));
    drop(hooks::receive::excerpt(body));
}

/// A hook's templates: the first line is the template, the rest the body that it is filled in with.
pub fn template(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (source, body) = text.split_once('\n').unwrap_or((&text, "{}"));
    let Ok(templates) = claw_template::FieldMap::compile(Some(source), &BTreeMap::new()) else { return };
    let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    if let Ok(context) = Context::new(&body, &BTreeMap::new(), &BTreeMap::new()) {
        drop(templates.render(&context));
    }
}

/// The queries of lists and streams, with what is checked of them.
pub fn queries(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(filter) = query::parse::<messages::filter::Filter>(&text) {
        drop(filter.page());
    }
    if let Ok(filter) = query::parse::<messages::filter::AllDeadFilter>(&text) {
        drop(filter.page());
    }
    drop(query::parse::<events::opening::Wanted>(&text));
    let _ = claw_store::Place::parse(&text);
}

/// Where a call comes from, behind proxies.
pub fn forwarded(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers: HeaderMap = [(HeaderName::from_static("x-forwarded-for"), value)].into_iter().collect();
    let mut extensions = Extensions::new();
    extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
    let trusted = ["10.0.0.0/8"].iter().filter_map(|network| network.parse().ok()).collect();
    let _ = Proxies::new(trusted).client(&headers, &extensions);
}
