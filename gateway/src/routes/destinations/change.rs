//! `PUT /api/users/{user}/destinations/{id}` and `PUT /api/destinations/{id}`.

use axum::Json;
use axum::extract::State;
use claw_store::{Destination, DestinationSettings, Error, EventFilter};
use claw_types::UserId;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::settings;
use super::view::DestinationView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{IdParams, IdPath, ItemParams, ItemPath};

/// Two people who change the same destination at once are both served.
const ATTEMPTS: usize = 3;

/// What is to be different; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDestination {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Where events are posted to from now on.
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// The types that it gets; an empty list for all.
    #[schema(max_items = 50)]
    types: Option<Vec<String>>,
    /// Only events about the channel of this name; an empty text for all.
    #[schema(max_length = 64)]
    channel: Option<String>,
    /// `true` has it go on behind the last event that it took.
    enabled: Option<bool>,
}

/// Changes parts of a user's destination. One that was failing is tried again at once.
///
/// # Errors
/// 400 for what makes no sense, 404 when there is none; then nothing was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/destinations/{id}", tag = "events", operation_id = "change_user_destination",
    params(ItemParams), request_body = ChangeDestination,
    responses(
        (status = 200, description = "As it is now.", body = DestinationView), (status = 404, description = "There is none."),
        (status = 409, description = "Others kept changing it at the same moment."),
    )
)]
pub async fn of_user(
    State(app): State<Shared>,
    principal: Principal,
    ItemPath { user, id }: ItemPath,
    body: Body<ChangeDestination>,
) -> Result<Json<DestinationView>, Problem> {
    change(&app, &principal, Some(&user), id, &body.value).await
}

/// Changes parts of a destination of everybody's events. One that was failing is tried again at once.
///
/// # Errors
/// 400 for what makes no sense, 404 when there is none; then nothing was changed.
#[utoipa::path(
    put, path = "/api/destinations/{id}", tag = "events", operation_id = "change_destination",
    params(IdParams), request_body = ChangeDestination,
    responses(
        (status = 200, description = "As it is now.", body = DestinationView), (status = 404, description = "There is none."),
        (status = 409, description = "Others kept changing it at the same moment."),
    )
)]
pub async fn of_all(
    State(app): State<Shared>,
    principal: Principal,
    IdPath(id): IdPath,
    body: Body<ChangeDestination>,
) -> Result<Json<DestinationView>, Problem> {
    change(&app, &principal, None, id, &body.value).await
}

async fn change(
    app: &Shared,
    principal: &Principal,
    owner: Option<&UserId>,
    id: Uuid,
    given: &ChangeDestination,
) -> Result<Json<DestinationView>, Problem> {
    for _ in 0..ATTEMPTS {
        let before = app.store.destination(owner, id).await?;
        let settings = settings::check(app, merged(&before, given), Some(&before)).await?;
        let actor = principal.actor();
        let changed = app.store.destination_change(owner, id, before.revision, &settings, &actor).await;
        match changed {
            Err(Error::Conflict) => {}
            other => return Ok(Json(other?.into())),
        }
    }
    Err(Problem::conflict("the destination was changed by other requests at the same moment: try again"))
}

fn merged(before: &Destination, given: &ChangeDestination) -> DestinationSettings {
    let channel = match given.channel.as_deref() {
        None => before.filter.channel.clone(),
        Some("") => None,
        Some(slug) => Some(slug.to_owned()),
    };
    DestinationSettings {
        name: given.name.as_ref().unwrap_or(&before.name).clone(),
        url: given.url.as_ref().unwrap_or(&before.url).clone(),
        filter: EventFilter { types: given.types.as_ref().unwrap_or(&before.filter.types).clone(), channel },
        enabled: given.enabled.unwrap_or(before.enabled),
    }
}
