//! What both streams have in common: the query, the place to begin at, the answer.

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response, Sse};
use claw_store::Place;
use claw_types::UserId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::events::filter::filter;
use crate::events::stream::{self, Opening};

/// Where browsers say where they were.
const LAST_EVENT_ID: &str = "last-event-id";
/// nginx collects an answer before it passes it on, unless told otherwise.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Only these types, separated by commas; `message.*` is every type that begins with `message.`.
    #[param(example = "message.*,channel.failed")]
    types: Option<String>,
    /// Only those about the channel of this name.
    #[param(max_length = 64)]
    channel: Option<String>,
    /// Those behind this id; `0-0` for all that are kept. The header `Last-Event-ID` comes before it. Without either,
    /// only what happens from now on.
    #[param(pattern = r"^[0-9]{1,19}-[0-9]{1,18}$", example = "7421-18")]
    last_event_id: Option<String>,
    /// `false` ends the stream at the present instead of waiting for more.
    #[param(default = true)]
    follow: Option<bool>,
}

/// The header, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct LastEventId {
    /// Where the client was; browsers send it by themselves.
    #[param(rename = "Last-Event-ID", required = false, pattern = r"^[0-9]{1,19}-[0-9]{1,18}$")]
    id: String,
}

/// Opens a stream of this user's events, or of everybody's.
///
/// # Errors
/// 400 for a filter or a place that makes no sense, 429 or 503 when there are too many streams.
pub async fn open(
    app: &Shared,
    principal: Principal,
    headers: HeaderMap,
    user: Option<UserId>,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let filter = filter(wanted.types.as_deref().unwrap_or_default().split(','), wanted.channel.as_deref())?;
    let given = place(&headers, wanted.last_event_id.as_deref())?;
    let slot = app.streams.take(user.as_ref())?;
    let place = match given {
        Some(place) => place,
        None => app.store.events_now().await?,
    };
    let follow = wanted.follow.unwrap_or(true);
    let opening = Opening { user, filter, place, follow, principal, headers };
    Ok(([UNBUFFERED], Sse::new(stream::open(app, opening, slot))).into_response())
}

fn place(headers: &HeaderMap, query: Option<&str>) -> Result<Option<Place>, Problem> {
    let header = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
    let given = match header {
        Some(value) => Some(("the header Last-Event-ID", value.to_str().unwrap_or_default())),
        None => query.map(|text| ("\"last_event_id\"", text)),
    };
    let Some((name, text)) = given else { return Ok(None) };
    let place = Place::parse(text);
    place.map(Some).ok_or_else(|| {
        Problem::bad_request(format!(
            "{name} must be the id of an event, like 7421-18, or 0-0 for all that are kept"
        ))
    })
}
