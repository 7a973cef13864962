//! `DELETE /api/users/{user}/hooks/{name}`.

use axum::Json;
use axum::extract::State;
use claw_types::HookName;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{HookParams, HookPath};

/// A hook that is no more.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedHook {
    #[schema(example = "deleted")]
    status: &'static str,
    id: Uuid,
    #[schema(value_type = String)]
    name: HookName,
}

/// Deletes a hook, its secret and what is noted of its calls. What it accepted before still goes to the backend.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    delete, path = "/api/users/{user}/hooks/{name}", tag = "hooks", operation_id = "delete_hook", params(HookParams),
    responses((status = 200, description = "Deleted.", body = DeletedHook), (status = 404, description = "There is none."))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: HookPath,
) -> Result<Json<DeletedHook>, Problem> {
    let id = app.store.hook_delete(&path.user, &path.name, &principal.actor()).await?;
    Ok(Json(DeletedHook { status: "deleted", id, name: path.name }))
}
