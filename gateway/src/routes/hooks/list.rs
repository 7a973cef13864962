//! `GET /api/users/{user}/hooks`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::HookView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::{self, Query};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Entries of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Hooks by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hooks {
    hooks: Vec<HookView>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists a user's hooks by name.
///
/// # Errors
/// 400 for a page that makes no sense.
#[utoipa::path(
    get, path = "/api/users/{user}/hooks", tag = "hooks", operation_id = "list_hooks", params(UserParams, Page),
    responses((status = 200, description = "A page of hooks.", body = Hooks))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(page): Query<Page>,
) -> Result<Json<Hooks>, Problem> {
    let limit = query::limit(page.limit)?;
    let after = query::storable("cursor", page.cursor)?;
    let found = app.store.hooks_of(&user, after.as_deref(), limit + 1).await?;
    let (hooks, next_cursor) = query::page(found, limit, |hook| hook.name.to_string());
    Ok(Json(Hooks { hooks: hooks.into_iter().map(HookView::from).collect(), next_cursor }))
}
