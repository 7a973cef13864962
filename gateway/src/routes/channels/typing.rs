//! `POST /api/users/{user}/channels/{instance}/typing`.

use axum::Json;
use axum::extract::State;
use claw_channels::send_body;
use claw_rpc::{CallError, Typing as Became};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::body::Body;
use crate::body::lenient::Ident;
use crate::dispatch;
use crate::error::{Kind, Problem};
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

/// Whether it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    /// `ok`: it is. `skipped`: not this time, because answers need the platform's pace.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Shows the person that an answer is being written. Nothing is stored; platforms take it away after some seconds, so
/// repeat it while the work goes on. The channel's owner calls the platform, at the pace that it shares with answers, and
/// leaves it out when those need it.
///
/// # Errors
/// 409 for a channel that is switched off, 422 where the platform can't, 502 when it could not be reached.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/typing", tag = "messages", operation_id = "show_typing",
    params(ChannelParams), request_body = Typing,
    responses(
        (status = 200, description = "It is shown or, with `skipped`, left out in favour of answers.", body = Shown),
        (status = 404, description = "There is no such channel."),
        (status = 409, description = "The channel is switched off."),
        (status = 422, description = "The platform can't, or refused it."),
        (status = 502, description = "The platform, or the worker that runs the channel, could not be reached."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: ChannelPath,
    body: Body<Typing>,
) -> Result<Json<Shown>, Problem> {
    let recipient = send_body::recipient(body.value.recipient.as_ref())?;
    let thread_id = send_body::id("thread_id", body.value.thread_id.as_ref())?;
    let known = dispatch::channel(&app, &path).await?;
    dispatch::switched_on(&known.channel)?;
    let channel = (known.channel.id, known.channel.shard);
    let shown = app.workers.show_typing(channel, &recipient, thread_id.as_deref()).await;
    match shown.map_err(|error| unreached(&error))? {
        Became::Shown => Ok(Json(Shown { status: "ok" })),
        Became::Skipped => Ok(Json(Shown { status: "skipped" })),
        Became::Refused(why) => Err(Problem::of(Kind::Refused, why)),
        Became::Failed(why) => Err(Problem::of(Kind::PlatformFailed, why)),
    }
}

fn unreached(error: &CallError) -> Problem {
    Problem::of(Kind::PlatformFailed, error.to_string()).caused_by(error)
}
