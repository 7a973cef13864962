//! `GET /api/users/{user}/messages`.

use axum::Json;
use axum::extract::State;

use super::filter::Filter;
use super::view::Messages;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::Query;

/// Lists a user's messages in both directions, newest first. Messages that arrive meanwhile don't move the pages.
///
/// # Errors
/// 400 for a filter that makes no sense.
#[utoipa::path(
    get, path = "/api/users/{user}/messages", tag = "messages", operation_id = "list_messages",
    params(UserParams, Filter),
    responses((status = 200, description = "A page of messages.", body = Messages))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(filter): Query<Filter>,
) -> Result<Json<Messages>, Problem> {
    let page = filter.page()?;
    let mut tenant = app.store.tenant(&user).await?;
    let found = tenant.messages(&page.filter, page.before, page.limit + 1).await?;
    Ok(Json(Messages::page(found, page.limit)))
}
