//! `GET /api/dead-letters`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::which::user;
use crate::app::Shared;
use crate::error::Problem;
use crate::query::Query;
use crate::routes::messages::filter::{DeadFilter, DeadState};
use crate::routes::messages::view::{DirectionView, Messages};

/// Which dead letters, of all users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only this user's.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: Option<String>,
    /// Only those that go this way.
    #[param(inline)]
    direction: Option<DirectionView>,
    /// Only those in this state.
    #[param(inline)]
    state: Option<DeadState>,
    /// Only those that were accepted then or later.
    #[param(value_type = Option<DateTime<Utc>>)]
    since: Option<String>,
    /// Only those that were accepted before then.
    #[param(value_type = Option<DateTime<Utc>>)]
    until: Option<String>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(pattern = r"^[0-9]{1,17}\.[0-9]{1,18}$")]
    cursor: Option<String>,
}

/// Lists the messages of all users that ended without success and were not discarded, newest first.
///
/// # Errors
/// 400 for a filter that makes no sense.
#[utoipa::path(
    get, path = "/api/dead-letters", tag = "messages", operation_id = "list_all_dead_letters", params(Filter),
    responses((status = 200, description = "A page of messages.", body = Messages))
)]
pub async fn handle(
    State(app): State<Shared>,
    Query(given): Query<Filter>,
) -> Result<Json<Messages>, Problem> {
    let Filter { user: of, direction, state, since, until, limit, cursor } = given;
    let user = user("user", of)?;
    let page = DeadFilter { channel: None, direction, state, since, until, limit, cursor }.page()?;
    let found = app.store.messages_of_all(user.as_ref(), &page.filter, page.before, page.limit + 1).await?;
    Ok(Json(Messages::page(found, page.limit)))
}
