//! `GET /api/users/{user}/destinations` and `GET /api/destinations`.

use axum::Json;
use axum::extract::State;
use claw_types::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::view::DestinationView;
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
    cursor: Option<Uuid>,
}

/// Destinations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Destinations {
    destinations: Vec<DestinationView>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Lists a user's destinations, newest first.
///
/// # Errors
/// 400 for a page that makes no sense.
#[utoipa::path(
    get, path = "/api/users/{user}/destinations", tag = "events", operation_id = "list_user_destinations",
    params(UserParams, Page),
    responses((status = 200, description = "A page of destinations.", body = Destinations))
)]
pub async fn of_user(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(page): Query<Page>,
) -> Result<Json<Destinations>, Problem> {
    list(&app, Some(&user), &page).await
}

/// Lists the destinations of everybody's events, newest first.
///
/// # Errors
/// 400 for a page that makes no sense.
#[utoipa::path(
    get, path = "/api/destinations", tag = "events", operation_id = "list_destinations", params(Page),
    responses((status = 200, description = "A page of destinations.", body = Destinations))
)]
pub async fn of_all(
    State(app): State<Shared>,
    Query(page): Query<Page>,
) -> Result<Json<Destinations>, Problem> {
    list(&app, None, &page).await
}

async fn list(app: &Shared, owner: Option<&UserId>, page: &Page) -> Result<Json<Destinations>, Problem> {
    let limit = query::limit(page.limit)?;
    let found = app.store.destinations(owner, page.cursor, limit + 1).await?;
    let (found, next_cursor) = query::page(found, limit, |destination| destination.id);
    Ok(Json(Destinations {
        destinations: found.into_iter().map(DestinationView::from).collect(),
        next_cursor,
    }))
}
