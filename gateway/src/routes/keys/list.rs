//! `GET /api/keys`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::view::KeyView;
use crate::app::Shared;
use crate::error::Problem;
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
    cursor: Option<Uuid>,
}

/// Keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Keys {
    keys: Vec<KeyView>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Lists keys, newest first, revoked and expired ones, too.
///
/// # Errors
/// 400 for a page that makes no sense.
#[utoipa::path(
    get, path = "/api/keys", tag = "keys", operation_id = "list_keys", params(Page),
    responses((status = 200, description = "A page of keys.", body = Keys))
)]
pub async fn handle(State(app): State<Shared>, Query(page): Query<Page>) -> Result<Json<Keys>, Problem> {
    let limit = query::limit(page.limit)?;
    let (keys, next_cursor) = query::page(app.store.keys(page.cursor, limit + 1).await?, limit, |key| key.id);
    Ok(Json(Keys { keys: keys.into_iter().map(KeyView::from).collect(), next_cursor }))
}
