//! `POST /api/users/{user}/channels/{instance}/pairing`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_intake::pairing;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::PairingView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::dispatch;
use crate::error::Problem;
use crate::intake;
use crate::path::{ChannelParams, ChannelPath};

/// An invitation to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// For how many seconds it is good; a day when absent.
    #[schema(minimum = 60, maximum = 2_592_000, default = 86_400)]
    expires_in_seconds: Option<u64>,
}

/// Makes an invitation: a code that lets in the one person who first sends it to the bot, alone or behind `/start` as a link
/// to a Telegram bot (`https://t.me/<bot>?start=<code>`) does. It counts while the channel's `dm_policy` is `pairing`.
///
/// # Errors
/// 400 for a time that is too short or too long, 404 for a channel that is not there, 409 when 100 are open.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/pairing", tag = "channels", operation_id = "invite",
    params(ChannelParams), request_body = Invite,
    responses(
        (status = 201, description = "Made.", body = PairingView),
        (status = 404, description = "There is no such channel."),
        (status = 409, description = "So many are open that there is no room for another one."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ChannelPath,
    body: Body<Invite>,
) -> Result<(StatusCode, Json<PairingView>), Problem> {
    let good_for = body.value.expires_in_seconds.map_or(pairing::INVITATION_GOOD_FOR, Duration::from_secs);
    if !(Duration::from_mins(1)..=pairing::INVITATION_LONGEST).contains(&good_for) {
        return Err(Problem::bad_request(format!(
            "\"expires_in_seconds\" must be from 60 to {}",
            pairing::INVITATION_LONGEST.as_secs()
        )));
    }
    let known = dispatch::channel(&app, &path).await?;
    let made = pairing::invite(intake::desk(&app), &known.channel, good_for, &principal.actor()).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
