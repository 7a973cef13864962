//! `POST /api/users/{user}/dead-letters/replay`.

use axum::Json;
use axum::extract::State;
use claw_store::{Revived, Unchanged};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::which::{DeadLetterFilter, Refused, selection};
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::routes::messages::filter::StateView;
use crate::routes::messages::retry::{announce, note};

/// Which dead letters to set back to work: some by id, or the oldest that match a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayDeadLetters {
    /// These; discarded ones, too.
    #[schema(min_items = 1, max_items = 500)]
    ids: Option<Vec<Uuid>>,
    /// The oldest that match.
    filter: Option<DeadLetterFilter>,
    /// How many at most, with `filter`; 100 when absent.
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A message that is back at work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    id: Uuid,
    /// Whose it is.
    user_id: String,
    /// What it was.
    was: StateView,
    /// What to expect, where that is not plain.
    note: Option<String>,
}

/// What was set back to work, and what not.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayAnswer {
    /// How many are back at work.
    revived: usize,
    /// Those, in the order in which they will be worked on.
    messages: Vec<Replayed>,
    /// Of `ids`, those about which nothing was done.
    refused: Vec<Refused>,
}

impl ReplayAnswer {
    /// Of what was done.
    pub fn of(revived: &[Revived], unchanged: &[Unchanged]) -> Self {
        let replayed = |revived: &Revived| Replayed {
            id: revived.work.id.0,
            user_id: revived.work.user_id.to_string(),
            was: revived.was.into(),
            note: note(revived.was).map(str::to_owned),
        };
        Self {
            revived: revived.len(),
            messages: revived.iter().map(replayed).collect(),
            refused: unchanged.iter().map(Refused::from).collect(),
        }
    }
}

/// Sets dead letters back to work, older ones first. What can't be is told, and keeps nothing else from being done.
///
/// # Errors
/// 400 for what makes no sense; then nothing was done.
#[utoipa::path(
    post, path = "/api/users/{user}/dead-letters/replay", tag = "messages", operation_id = "replay_dead_letters",
    params(UserParams), request_body = ReplayDeadLetters,
    responses((status = 200, description = "What was set back to work, and what not.", body = ReplayAnswer))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    body: Body<ReplayDeadLetters>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let ReplayDeadLetters { ids, filter, limit } = body.value;
    let which = selection(ids, filter, limit)?;
    let mut tenant = app.store.tenant(&user).await?;
    let (revived, unchanged) = tenant.messages_revive(&which, &principal.actor()).await?;
    tenant.commit().await?;
    announce(&app, &revived).await;
    Ok(Json(ReplayAnswer::of(&revived, &unchanged)))
}
