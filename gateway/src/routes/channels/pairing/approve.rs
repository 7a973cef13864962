//! `POST /api/users/{user}/channels/{instance}/pairing/{code}/approve`.

use axum::Json;
use axum::extract::State;
use claw_intake::pairing;

use super::view::PairingView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::dispatch;
use crate::error::Problem;
use crate::intake;
use crate::path::{PairingParams, PairingPath};

/// Lets in the person whose request has this code. They are told, and what they wrote meanwhile goes to the backend. Doing it
/// again changes nothing; somebody who was turned away can be let in, too.
///
/// # Errors
/// 404 when no request in this channel has the code.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/pairing/{code}/approve", tag = "channels",
    operation_id = "approve_pairing", params(PairingParams),
    responses(
        (status = 200, description = "The person is let in.", body = PairingView),
        (status = 404, description = "There is no such request, or it expired."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: PairingPath,
) -> Result<Json<PairingView>, Problem> {
    let known = dispatch::channel(&app, &path.channel).await?;
    let (approved, committed) =
        pairing::approve(intake::desk(&app), &known.channel, &path.code, &principal.actor()).await?;
    for work in &committed {
        let _first = claw_bus::first_span(work);
        intake::announce(&app, work).await;
    }
    Ok(Json(approved.into()))
}
