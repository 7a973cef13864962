//! `POST /api/users/{user}/hooks/{name}/secret`.

use axum::Json;
use axum::extract::State;
use claw_store::Error;

use super::view::HookWithSecret;
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{HookParams, HookPath};

/// Gives a hook a new secret, which the answer shows this once. The old one is not good any more.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    post, path = "/api/users/{user}/hooks/{name}/secret", tag = "hooks", operation_id = "renew_hook_secret",
    params(HookParams),
    responses(
        (status = 200, description = "The hook and its new secret.", body = HookWithSecret),
        (status = 404, description = "There is none."),
        (status = 409, description = "The hook was changed at the same moment."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: HookPath,
) -> Result<Json<HookWithSecret>, Problem> {
    let hook = app.store.hook(&path.user, &path.name).await?;
    let secret = app.new_secret();
    let actor = principal.actor();
    let saved = match app.store.hook_update(&app.vault, &hook, &hook.spec, Some(&secret), &actor).await {
        Err(Error::Conflict) => {
            let detail = "the hook was changed by another request at the same moment: try again";
            return Err(Problem::conflict(detail));
        }
        saved => saved?,
    };
    Ok(Json(HookWithSecret::new(saved, Some(secret), false)))
}
