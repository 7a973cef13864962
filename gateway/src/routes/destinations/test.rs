//! `POST /api/users/{user}/destinations/{id}/test` and `POST /api/destinations/{id}/test`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use claw_channels::kit::signed_post::SignedPost;
use claw_types::UserId;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::error::Problem;
use crate::path::{IdParams, IdPath, ItemParams, ItemPath};

/// A receiver that takes longer than this would not do.
const LIMIT: Duration = Duration::from_secs(10);

/// What a destination made of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DestinationTest)]
pub struct Tested {
    /// Whether it took the event: answered 2xx.
    ok: bool,
    /// The HTTP status of its answer; null without one.
    status: Option<u16>,
    /// Until its answer, in milliseconds.
    duration_ms: u64,
    /// Why there was no answer.
    error: Option<String>,
}

/// Posts a signed event `ping` to a user's destination right now, switched off or not, and tells what it answered. What
/// waits for the destination is not touched.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    post, path = "/api/users/{user}/destinations/{id}/test", tag = "events", operation_id = "test_user_destination",
    params(ItemParams),
    responses((status = 200, description = "What it answered, or why it did not.", body = Tested), (status = 404, description = "There is none."))
)]
pub async fn of_user(
    State(app): State<Shared>,
    ItemPath { user, id }: ItemPath,
) -> Result<Json<Tested>, Problem> {
    test(&app, Some(&user), id).await
}

/// Posts a signed event `ping` to a destination of everybody's events right now, switched off or not, and tells what it
/// answered. What waits for the destination is not touched.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    post, path = "/api/destinations/{id}/test", tag = "events", operation_id = "test_destination",
    params(IdParams),
    responses((status = 200, description = "What it answered, or why it did not.", body = Tested), (status = 404, description = "There is none."))
)]
pub async fn of_all(State(app): State<Shared>, IdPath(id): IdPath) -> Result<Json<Tested>, Problem> {
    test(&app, None, id).await
}

async fn test(app: &Shared, owner: Option<&UserId>, id: Uuid) -> Result<Json<Tested>, Problem> {
    let (destination, secret) = app.store.destination_open(&app.vault, owner, id).await?;
    let (webhook_id, now) = (format!("ping-{}", app.ids.next()), app.clock.now());
    let body = json!({"id": webhook_id, "type": "ping", "at": now, "user_id": destination.user_id,
                      "channel": Value::Null, "message_id": Value::Null, "data": {"destination": id}});
    let post = SignedPost {
        url: &destination.url,
        by: secret.as_str().into(),
        id: &webhook_id,
        timestamp: now.timestamp(),
        body: body.to_string().into(),
        limit: LIMIT,
    };
    let began = Instant::now();
    let answer = post.send(&app.deps.http).await;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(match answer {
        Ok(posted) => Tested { ok: posted.taken(), status: Some(posted.status), duration_ms, error: None },
        Err(error) => Tested { ok: false, status: None, duration_ms, error: Some(error.to_string()) },
    }))
}
