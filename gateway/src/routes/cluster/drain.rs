//! `POST /api/cluster/workers/{name}/drain`.

use axum::Json;
use axum::extract::{Path, State};
use claw_store::Change;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::uncalled;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;

/// Which way.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DrainWorker)]
pub struct Drain {
    /// `true`: the worker hands every shard over and owns none. `false`: it takes its share again.
    drain: bool,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrainedWorker {
    name: String,
    drain: bool,
    /// Shards that it has at this moment; they go, or come, within seconds.
    shards: u32,
}

/// Has a worker hand everything over without ending it, or takes that back. It holds until the worker ends: a restarted
/// one takes its share again.
///
/// # Errors
/// 404 when no live worker has the name, 409 when its version can't do that, 503 when it does not answer.
#[utoipa::path(
    post, path = "/api/cluster/workers/{name}/drain", tag = "cluster", operation_id = "drain_worker",
    params(("name" = String, Path, description = "The worker, as GET /api/cluster names it.")),
    request_body = Drain,
    responses(
        (status = 200, description = "The worker was told.", body = DrainedWorker),
        (status = 404, description = "No live worker has this name."),
        (status = 409, description = "The worker is of a version that can't do that."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    Path(name): Path<String>,
    body: Body<Drain>,
) -> Result<Json<DrainedWorker>, Problem> {
    let drain = body.value.drain;
    let members = app.store.members().await?;
    let worker = members.into_iter().find(|m| m.name == name && m.role == "worker" && m.live);
    let worker = worker.ok_or_else(|| {
        Problem::not_found("no live worker has this name; GET /api/cluster lists them".to_owned())
    })?;
    let told = app.peers.drain(&worker.rpc_address, drain).await;
    let shards = told.map_err(|error| uncalled(&error))?;
    let action = if drain { "worker.drained" } else { "worker.undrained" };
    let change = Change { action, subject: &name, detail: json!({"shards": shards}) };
    app.store.audit_note(&principal.actor(), &change).await?;
    Ok(Json(DrainedWorker { name, drain, shards }))
}
