//! `GET /api/dead-letters`.

use axum::Json;
use axum::extract::State;

use crate::app::Shared;
use crate::error::Problem;
use crate::query::Query;
use crate::routes::messages::filter::AllDeadFilter;
use crate::routes::messages::view::Messages;

/// Lists the messages of all users that ended without success and were not discarded, newest first.
///
/// # Errors
/// 400 for a filter that makes no sense.
#[utoipa::path(
    get, path = "/api/dead-letters", tag = "messages", operation_id = "list_all_dead_letters", params(AllDeadFilter),
    responses((status = 200, description = "A page of messages.", body = Messages))
)]
pub async fn handle(
    State(app): State<Shared>,
    Query(filter): Query<AllDeadFilter>,
) -> Result<Json<Messages>, Problem> {
    let (user, page) = filter.page()?;
    let found = app.store.messages_of_all(user.as_ref(), &page.filter, page.before, page.limit + 1).await?;
    Ok(Json(Messages::page(found, page.limit)))
}
