//! `POST /api/users/{user}/destinations` and `POST /api/destinations`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_store::{DestinationSettings, EventFilter, NewDestination};
use claw_types::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::settings;
use super::view::DestinationWithSecret;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{UserParams, UserPath};

/// A destination to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDestination {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100, example = "our statistics")]
    name: String,
    /// Where events are posted to. Private addresses only if the operator allows them.
    #[schema(max_length = 2000, example = "https://example.org/events")]
    url: String,
    /// The types that it gets, e.g. `message.sent` or `message.*`; all when absent.
    #[schema(max_items = 50)]
    types: Option<Vec<String>>,
    /// Only events about the channel of this name; all when absent.
    #[schema(max_length = 64)]
    channel: Option<String>,
    /// Whether it gets any; it does when absent.
    enabled: Option<bool>,
}

type Created = (StatusCode, Json<DestinationWithSecret>);

/// Makes a destination for this user's events: what happens from now on is posted there. The answer is the only place
/// where its secret is ever shown.
///
/// # Errors
/// 400 for what makes no sense, 409 when there are 20 already; then nothing was made.
#[utoipa::path(
    post, path = "/api/users/{user}/destinations", tag = "events", operation_id = "create_user_destination",
    params(UserParams, IdempotencyParams), request_body = CreateDestination,
    responses(
        (status = 201, description = "Made.", body = DestinationWithSecret),
        (status = 200, description = "Made before, under the same Idempotency-Key.", body = DestinationWithSecret),
        (status = 404, description = "It was made under the same Idempotency-Key, and deleted since."),
        (status = 409, description = "There are as many as there may be."),
        (status = 422, description = "The Idempotency-Key came with another body before."),
    )
)]
pub async fn of_user(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    key: IdempotencyKey,
    body: Body<CreateDestination>,
) -> Result<Created, Problem> {
    create(&app, &principal, Some(user), key, body).await
}

/// Makes a destination for everybody's events: what happens from now on is posted there. The answer is the only place
/// where its secret is ever shown.
///
/// # Errors
/// 400 for what makes no sense, 409 when there are 20 already; then nothing was made.
#[utoipa::path(
    post, path = "/api/destinations", tag = "events", operation_id = "create_destination",
    params(IdempotencyParams), request_body = CreateDestination,
    responses(
        (status = 201, description = "Made.", body = DestinationWithSecret),
        (status = 200, description = "Made before, under the same Idempotency-Key.", body = DestinationWithSecret),
        (status = 404, description = "It was made under the same Idempotency-Key, and deleted since."),
        (status = 409, description = "There are as many as there may be."),
        (status = 422, description = "The Idempotency-Key came with another body before."),
    )
)]
pub async fn of_all(
    State(app): State<Shared>,
    principal: Principal,
    key: IdempotencyKey,
    body: Body<CreateDestination>,
) -> Result<Created, Problem> {
    create(&app, &principal, None, key, body).await
}

async fn create(
    app: &Shared,
    principal: &Principal,
    user_id: Option<UserId>,
    IdempotencyKey(once): IdempotencyKey,
    body: Body<CreateDestination>,
) -> Result<Created, Problem> {
    let Body { value: given, digest } = body;
    let once = once.as_deref().map(|key| (key, digest));
    // Before anything is checked: what made sense then need not do so now.
    if let Some((key, digest)) = once
        && let Some(made) = app.store.destination_made(user_id.as_ref(), key, digest).await?
    {
        return Ok((StatusCode::OK, Json(DestinationWithSecret::new(made, None))));
    }
    let filter = EventFilter {
        types: given.types.unwrap_or_default(),
        channel: given.channel.filter(|slug| !slug.is_empty()),
    };
    let enabled = given.enabled.unwrap_or(true);
    let wanted = DestinationSettings { name: given.name, url: given.url, filter, enabled };
    let settings = settings::check(app, wanted, None).await?;
    let (id, secret) = (app.ids.next(), app.new_secret());
    let shard = app.shards.shard_of_item(user_id.as_ref(), id);
    let new = NewDestination { id, user_id, shard, settings, secret };
    let (made, fresh) = app.store.destination_create(&app.vault, &new, &principal.actor(), once).await?;
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(DestinationWithSecret::new(made, fresh.then_some(new.secret)))))
}
