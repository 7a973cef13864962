//! `DELETE /api/users/{user}?confirm=`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_store::{Actor, chain};
use claw_types::UserId;
use serde::Deserialize;
use tracing::warn;
use utoipa::IntoParams;

use super::view::ErasureView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::erasing;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::Query;

/// That it is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The user's id once more.
    #[param(required = true, example = "ada")]
    confirm: Option<String>,
}

/// Removes everything that is kept of a user: channels are disconnected, keys refused, and messages, attachments, jobs,
/// hooks, events and all the rest deleted. It begins with this call and goes on by itself; `GET .../erasure` tells when
/// nothing is left. It can't be undone. Calling again while it goes on changes nothing.
///
/// # Errors
/// 400 without the confirmation.
#[utoipa::path(
    delete, path = "/api/users/{user}", tag = "users", operation_id = "erase_user",
    params(UserParams, Confirmation),
    responses(
        (status = 202, description = "It has begun, and has removed this much so far.", body = ErasureView),
        (status = 400, description = "The confirmation is missing or names somebody else."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    Query(Confirmation { confirm }): Query<Confirmation>,
) -> Result<(StatusCode, Json<ErasureView>), Problem> {
    if confirm.as_deref() != Some(user.as_str()) {
        return Err(unconfirmed(&user));
    }
    let begun = app.store.erasure_begin(&user, &actor(&principal)).await?;
    // From here on it happens, whether this call does some of it or not.
    if let Err(error) = erasing::advance(&app, &user).await {
        warn!("an erasure goes on a little later: {}", chain(&*error));
    }
    let now = app.store.erasure(&user).await.unwrap_or(begun);
    Ok((StatusCode::ACCEPTED, Json(now.into())))
}

/// Its entries in the audit log stay, so they don't keep from where a person called for their own erasure.
fn actor(principal: &Principal) -> Actor {
    let address = if principal.user.is_some() { None } else { principal.actor().address };
    Actor { address, ..principal.actor() }
}

fn unconfirmed(user: &UserId) -> Problem {
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("confirm", user.as_str()).finish();
    Problem::bad_request(format!(
        "this removes everything that is kept of {:?} for good: if that is meant, repeat the call with ?{query}",
        user.as_str()
    ))
}
