//! `POST /api/cluster/scheduler/step-down`.

use axum::Json;
use axum::extract::State;
use claw_store::Change;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{DUTY, uncalled};
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;

/// Who resigned.
#[derive(Debug, Serialize, ToSchema)]
pub struct SteppedDown {
    name: String,
    /// The term that ended.
    term: i64,
    /// For how many milliseconds it lets others be elected.
    stands_by_ms: u64,
}

/// Has the leading scheduler resign, so that another one is elected: before its machine goes down, say. With no other one
/// it is elected again after ten seconds.
///
/// # Errors
/// 409 when nobody leads, 503 when the leader does not answer.
#[utoipa::path(
    post, path = "/api/cluster/scheduler/step-down", tag = "cluster", operation_id = "step_down",
    responses(
        (status = 200, description = "It has resigned.", body = SteppedDown),
        (status = 409, description = "Nobody leads."),
    )
)]
pub async fn handle(State(app): State<Shared>, principal: Principal) -> Result<Json<SteppedDown>, Problem> {
    let leader = app.store.leader(DUTY).await?.filter(|leader| leader.live);
    let leader = leader.ok_or_else(|| Problem::conflict("no scheduler leads: there is none to step down"))?;
    let done = app.peers.step_down(&leader.rpc_address).await.map_err(|error| uncalled(&error))?;
    let change = Change {
        action: "scheduler.stepped_down",
        subject: &leader.name,
        detail: json!({"term": done.term}),
    };
    app.store.audit_note(&principal.actor(), &change).await?;
    let stands_by_ms = u64::try_from(done.stands_by.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(SteppedDown { name: leader.name, term: done.term, stands_by_ms }))
}
