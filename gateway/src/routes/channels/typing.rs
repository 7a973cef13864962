//! `POST /api/users/{user}/channels/{instance}/typing`.

use axum::Json;
use axum::extract::State;
use claw_channels::ChannelError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PATIENCE;
use crate::app::Shared;
use crate::body::Body;
use crate::body::lenient::Ident;
use crate::dispatch;
use crate::error::{Kind, Problem};
use crate::outbound;
use crate::path::{ChannelParams, ChannelPath};

/// Where an answer is being written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    /// The chat.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
}

/// It is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Shows the person that an answer is being written. Nothing is stored; platforms take it away after some seconds, so
/// repeat it while the work goes on.
///
/// # Errors
/// 409 for a channel that is switched off, 422 where the platform can't, 502 when it could not be reached.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/typing", tag = "messages", operation_id = "show_typing",
    params(ChannelParams), request_body = Typing,
    responses(
        (status = 200, description = "It is shown.", body = Shown),
        (status = 404, description = "There is no such channel."),
        (status = 409, description = "The channel is switched off."),
        (status = 422, description = "The platform can't, or refused it."),
        (status = 502, description = "The platform could not be reached."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: ChannelPath,
    body: Body<Typing>,
) -> Result<Json<Shown>, Problem> {
    let recipient = outbound::recipient(body.value.recipient.as_ref())?;
    let thread_id = outbound::id("thread_id", body.value.thread_id.as_ref())?;
    let known = dispatch::channel(&app, &path).await?;
    dispatch::switched_on(&known.channel)?;
    let shown = known.adapter()?.typing(&recipient, thread_id.as_deref());
    let late = |_| Problem::of(Kind::PlatformFailed, "the platform did not answer in time");
    match tokio::time::timeout(PATIENCE, shown).await.map_err(late)? {
        Ok(()) => Ok(Json(Shown { status: "ok" })),
        Err(error @ (ChannelError::Unsupported(_) | ChannelError::Permanent(_))) => {
            Err(Problem::of(Kind::Refused, error.to_string()))
        }
        Err(error) => Err(Problem::of(Kind::PlatformFailed, error.to_string())),
    }
}
