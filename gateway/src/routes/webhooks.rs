//! `/webhooks/{channel_type}/{channel_id}`: what platforms post there, and how some ask first whether the address is the
//! channel's. The adapter checks the signature; that is all the authentication there is.

mod refused;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use claw_channels::{RawRequest, Reply};
use claw_store::Accepted;
use claw_telemetry::trace::{self, Mark};
use claw_types::ChannelId;
use serde_json::{Value, json};
use tracing::warn;
use uuid::Uuid;

pub use self::refused::expose;
use self::refused::{Reason, Refused};
use crate::app::Shared;
use crate::channel_cache::Known;
use crate::error::Problem;
use crate::intake::{self, Taken};
use crate::{body, path};

/// Accepts what a platform posts. Answers 200 once all of it is committed: `id` is the first message's. `status` is `ignored`
/// when the channel's policy lets none of it pass. A platform that reads the answer gets one that it knows.
///
/// # Errors
/// 404 for a channel that is not there, switched off or broken, 401 for a forged request, 400 for one that can't be read, 503
/// when it was not committed, 502 when the keys by which it would be checked can't be had: the platform posts it again then.
#[utoipa::path(
    post, path = "/webhooks/{channel_type}/{channel_id}", tag = "platforms", operation_id = "platform_webhook",
    params(
        ("channel_type" = String, Path, description = "The platform's type.", example = "webhook"),
        ("channel_id" = Uuid, Path, description = "The channel's `id`."),
    ),
    request_body(content = String, description = "Whatever the platform posts.", content_type = "*/*"),
    responses(
        (status = 200, description = "All of it is committed, or the platform's question is answered.", body = Object),
        (status = 401, description = "It is not signed by the platform."),
        (status = 404, description = "No channel takes webhooks here."),
        (status = 502, description = "The platform's public keys can't be had, so it can't be checked."),
    )
)]
pub async fn handle(State(app): State<Shared>, request: axum::extract::Request) -> Result<Response, Problem> {
    // Whatever a stranger says of a trace: a message's own id decides.
    let began = trace::mark();
    let (mut parts, body) = request.into_parts();
    let address = Address::of(&mut parts).await.map_err(|refused| refused.counted(""))?;
    let taken = take(&app, &address, parts, body, began).await;
    taken.map_err(|refused| refused.counted(&address.channel_type))
}

async fn take(
    app: &Shared,
    address: &Address,
    parts: Parts,
    body: Body,
    began: Option<Mark>,
) -> Result<Response, Refused> {
    let known = channel(app, address).await?;
    let request = raw(parts, body).await?;
    let adapter = adapter(&known)?;
    if let Some(reply) = adapter.handshake(&request)? {
        return Ok(said(reply));
    }
    adapter.prepare(&request).await?;
    let mut messages = adapter.decode(&request)?;
    adapter.complete(&mut messages).await;
    let taken = intake::accept(app, &known, messages, began).await?;
    let reply = adapter.taken(&request).map_or_else(|| Json(answer(&taken)).into_response(), said);
    if adapter.is_followed_up(&request) {
        follow_up(app, &known, request);
    }
    Ok(reply)
}

/// Does what is left to do about a request without keeping its platform waiting.
fn follow_up(app: &Shared, known: &Arc<Known>, request: RawRequest) {
    let known = Arc::clone(known);
    app.lifecycle.spawn("follow-up", async move {
        let Ok(adapter) = known.adapter() else { return };
        if let Err(error) = adapter.follow_up(&request).await {
            warn!(channel.id = %known.channel.id, %error, "what a person asked for was not done: {error}");
        }
    });
}

/// Answers a platform that asks, before it posts anything, whether the address is the channel's.
///
/// # Errors
/// 404 for a channel that is not there or switched off, 401 for a question that is not the platform's, 400 where the channel's
/// platform asks nothing.
#[utoipa::path(
    get, path = "/webhooks/{channel_type}/{channel_id}", tag = "platforms", operation_id = "platform_handshake",
    params(
        ("channel_type" = String, Path, description = "The platform's type.", example = "webhook"),
        ("channel_id" = Uuid, Path, description = "The channel's `id`."),
    ),
    responses(
        (status = 200, description = "What the platform wants to hear.", body = String, content_type = "text/plain"),
        (status = 400, description = "The channel's platform asks nothing here."),
        (status = 401, description = "It is not the platform that asks."),
        (status = 404, description = "No channel takes webhooks here."),
    )
)]
pub async fn handshake(
    State(app): State<Shared>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let address = Address::of(&mut parts).await.map_err(|refused| refused.counted(""))?;
    let asked = asked(&app, &address, parts, body).await;
    asked.map_err(|refused| refused.counted(&address.channel_type))
}

async fn asked(app: &Shared, address: &Address, parts: Parts, body: Body) -> Result<Response, Refused> {
    let known = channel(app, address).await?;
    let request = raw(parts, body).await?;
    let reply = adapter(&known)?.handshake(&request)?;
    let nothing = || Problem::bad_request("the platform has nothing to ask at this address: it posts to it");
    Ok(reply.map(said).ok_or_else(nothing)?)
}

async fn channel(app: &Shared, address: &Address) -> Result<Arc<Known>, Refused> {
    let id = address.id.ok_or_else(unknown)?;
    let known = app.channels.get(id).await?;
    known
        .filter(|known| known.channel.enabled && known.channel.channel_type == address.channel_type)
        .ok_or_else(unknown)
}

/// The adapter of a channel. Without one, nothing can be said of who posts: that is a fault of ours, but a stranger must not be able to make it look like
/// many, so it is no server error; the log has it once ([`crate::channel_cache`]).
fn adapter(known: &Known) -> Result<&dyn claw_channels::Channel, Refused> {
    let broken = "this channel can take nothing until it is configured again: its fields make no sense to this version of the gateway";
    known.adapter.as_deref().map_err(|_| Refused::new(Reason::BrokenChannel, Problem::not_found(broken)))
}

fn said(Reply { content_type, body }: Reply) -> Response {
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

/// What stands in the path.
struct Address {
    channel_type: String,
    /// None where it is no id.
    id: Option<ChannelId>,
}

impl Address {
    async fn of(parts: &mut Parts) -> Result<Self, Refused> {
        let params = path::params(parts, &()).await?;
        let id = Uuid::try_parse(path::segment(&params, "channel_id")).ok();
        Ok(Self { channel_type: path::segment(&params, "channel_type").to_owned(), id: id.map(ChannelId) })
    }
}

fn unknown() -> Refused {
    let detail = "no channel takes webhooks at this address, or it is switched off";
    Refused::new(Reason::NoChannel, Problem::not_found(detail))
}

async fn raw(parts: Parts, body: Body) -> Result<RawRequest, Refused> {
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = body::read(body).await.map_err(|problem| Refused::new(Reason::BadBody, problem))?;
    Ok(RawRequest { headers: parts.headers, query, body })
}

fn answer(Taken { messages: accepted, handled, feedback }: &Taken) -> Value {
    // To the platform it is taken all the same: it must not post it again.
    let status = match (accepted.as_slice(), handled.as_slice()) {
        ([], []) if !feedback => "ignored",
        ([], [_, ..]) => "handled",
        _ => "accepted",
    };
    let mut answer = json!({"status": status});
    if let Some(first) = accepted.first() {
        answer["id"] = json!(first.id());
        if accepted.iter().all(|message| matches!(message, Accepted::Duplicate(_))) {
            answer["duplicate"] = Value::Bool(true);
        }
    }
    if accepted.len() > 1 {
        answer["ids"] = accepted.iter().map(|message| json!(message.id())).collect();
    }
    answer
}
