//! `DELETE /api/users/{user}/channels/{instance}/pairing/{code}`.

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

/// Turns away who waits with this code: they are not answered for a day, and what they wrote is dropped. From anybody else it
/// takes back what they have: an approval (who writes again asks again), an invitation, a denial.
///
/// # Errors
/// 404 when nothing in this channel has the code.
#[utoipa::path(
    delete, path = "/api/users/{user}/channels/{instance}/pairing/{code}", tag = "channels",
    operation_id = "revoke_pairing", params(PairingParams),
    responses(
        (status = 200, description = "What it was before.", body = PairingView),
        (status = 404, description = "There is none, or it expired."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: PairingPath,
) -> Result<Json<PairingView>, Problem> {
    let known = dispatch::channel(&app, &path.channel).await?;
    let before = pairing::deny(intake::desk(&app), &known.channel, &path.code, &principal.actor()).await?;
    Ok(Json(before.into()))
}
