//! `GET /api/users/{user}/channels/{instance}/pairing`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::view::{PairingView, StateView};
use crate::app::Shared;
use crate::dispatch;
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath};
use crate::query::{self, Query};

/// Which ones.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only those in this state.
    #[param(inline)]
    state: Option<StateView>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

/// Who asked, who was let in, and invitations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pairings {
    pairings: Vec<PairingView>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Lists who asked to be let in to a channel, who was, who was turned away, and open invitations, newest first. What expired
/// is not shown.
///
/// # Errors
/// 400 for a page that makes no sense, 404 for a channel that is not there.
#[utoipa::path(
    get, path = "/api/users/{user}/channels/{instance}/pairing", tag = "channels", operation_id = "list_pairings",
    params(ChannelParams, Filter),
    responses(
        (status = 200, description = "A page of them.", body = Pairings),
        (status = 404, description = "There is no such channel."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: ChannelPath,
    Query(filter): Query<Filter>,
) -> Result<Json<Pairings>, Problem> {
    let known = dispatch::channel(&app, &path).await?;
    let limit = query::limit(filter.limit)?;
    let state = filter.state.map(Into::into);
    let found = app.store.pairings(&path.user, known.channel.id, state, filter.cursor, limit + 1).await?;
    let (found, next_cursor) = query::page(found, limit, |pairing| pairing.id);
    Ok(Json(Pairings { pairings: found.into_iter().map(PairingView::from).collect(), next_cursor }))
}
