//! `DELETE /api/keys/{id}`.

use axum::Json;
use axum::extract::State;

use super::view::KeyView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{IdParams, IdPath};

/// Takes a key back. This gateway refuses it at once, the others as soon as they hear of it: 5 s later at most. The key
/// stays in the list.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    delete, path = "/api/keys/{id}", tag = "keys", operation_id = "revoke_key", params(IdParams),
    responses((status = 200, description = "The revoked key.", body = KeyView), (status = 404, description = "There is none."))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    IdPath(id): IdPath,
) -> Result<Json<KeyView>, Problem> {
    let key = app.store.key_revoke(id, &principal.actor()).await?;
    app.verifier.forget(id).await;
    app.bus.publish_keys_changed().await;
    Ok(Json(key.into()))
}
