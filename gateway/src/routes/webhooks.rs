//! `/webhooks/{channel_type}/{channel_id}`: what platforms post there, and how some ask first whether the address is the
//! channel's. The adapter checks the signature; that is all the authentication there is.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use claw_channels::{RawRequest, Reply};
use claw_store::Accepted;
use claw_telemetry::trace;
use claw_types::ChannelId;
use serde_json::{Value, json};
use tracing::warn;
use uuid::Uuid;

use crate::app::Shared;
use crate::channel_cache::Known;
use crate::error::Problem;
use crate::intake::{self, Taken};
use crate::{body, path};

/// Accepts what a platform posts. Answers 200 once all of it is committed: `id` is the first message's. `status` is `ignored`
/// when the channel's policy lets none of it pass. A platform that reads the answer gets one that it knows.
///
/// # Errors
/// 404 for a channel that is not there or switched off, 401 for a forged request, 400 for one that can't be read, 503
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
    let known = channel(&app, &mut parts).await?;
    let request = raw(parts, body).await?;
    let adapter = known.adapter()?;
    if let Some(reply) = adapter.handshake(&request)? {
        return Ok(said(reply));
    }
    adapter.prepare(&request).await?;
    let mut messages = adapter.decode(&request)?;
    adapter.complete(&mut messages).await;
    let taken = intake::accept(&app, &known, messages, began).await?;
    let reply = adapter.taken(&request).map_or_else(|| Json(answer(&taken)).into_response(), said);
    if adapter.is_followed_up(&request) {
        follow_up(&app, &known, request);
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
    let known = channel(&app, &mut parts).await?;
    let request = raw(parts, body).await?;
    let reply = known.adapter()?.handshake(&request)?;
    let nothing = || Problem::bad_request("the platform has nothing to ask at this address: it posts to it");
    reply.map(said).ok_or_else(nothing)
}

async fn channel(app: &Shared, parts: &mut Parts) -> Result<Arc<Known>, Problem> {
    let (channel_type, id) = address(parts).await?;
    let known = app.channels.get(id).await?;
    known
        .filter(|known| known.channel.enabled && known.channel.channel_type == channel_type)
        .ok_or_else(unknown)
}

fn said(Reply { content_type, body }: Reply) -> Response {
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

async fn address(parts: &mut Parts) -> Result<(String, ChannelId), Problem> {
    let params = path::params(parts, &()).await?;
    let id = Uuid::try_parse(path::segment(&params, "channel_id")).map_err(|_| unknown())?;
    Ok((path::segment(&params, "channel_type").to_owned(), ChannelId(id)))
}

fn unknown() -> Problem {
    Problem::not_found("no channel takes webhooks at this address, or it is switched off")
}

async fn raw(parts: Parts, body: Body) -> Result<RawRequest, Problem> {
    let query = parts.uri.query().unwrap_or_default().to_owned();
    Ok(RawRequest { headers: parts.headers, query, body: body::read(body).await? })
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
