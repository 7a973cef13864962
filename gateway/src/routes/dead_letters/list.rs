//! `GET /api/users/{user}/dead-letters`.

use axum::Json;
use axum::extract::State;

use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::Query;
use crate::routes::messages::filter::DeadFilter;
use crate::routes::messages::view::Messages;

/// Lists a user's messages that ended without success and were not discarded, newest first.
///
/// # Errors
/// 400 for a filter that makes no sense.
#[utoipa::path(
    get, path = "/api/users/{user}/dead-letters", tag = "messages", operation_id = "list_dead_letters",
    params(UserParams, DeadFilter),
    responses((status = 200, description = "A page of messages.", body = Messages))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(filter): Query<DeadFilter>,
) -> Result<Json<Messages>, Problem> {
    let page = filter.page()?;
    let mut tenant = app.store.tenant(&user).await?;
    let found = tenant.messages(&page.filter, page.before, page.limit + 1).await?;
    Ok(Json(Messages::page(found, page.limit)))
}
