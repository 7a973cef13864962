//! `GET /api/events`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::opening::{self, LastEventId, Wanted};
use super::view::EventView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::query::Query;

/// Tells everybody's events as server-sent events, in order, each once: first those behind `Last-Event-ID`, then each as it
/// happens. An event `gap` says that some behind that id were forgotten, or that the id is unknown; the stream then
/// begins with the oldest that are kept. The stream ends when the gateway goes down, when the key is not good any more
/// and when its reader is too slow: come back with the last id.
///
/// # Errors
/// 400 for a filter or an id that makes no sense.
#[utoipa::path(
    get, path = "/api/events", tag = "events", operation_id = "stream_events", params(Wanted, LastEventId),
    responses((
        status = 200, description = "Events; the `data` of each is one of these.", body = EventView,
        content_type = "text/event-stream"
    ))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    opening::open(&app, principal, headers, None, wanted).await
}
