//! `PUT /api/users/{user}/backend` and `PUT /api/users/{user}/channels/{instance}/backend`.

use axum::Json;
use axum::extract::State;
use claw_channels::kit::guard;
use claw_store::backends::MOST_SECRETS;
use claw_store::{BackendPlace, Error, OwnBackend, SaveBackend};
use serde::Deserialize;
use utoipa::ToSchema;

use super::place_of;
use super::view::BackendView;
use crate::app::{App, Shared};
use crate::auth::Principal;
use crate::body::{self, Body};
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath, UserParams, UserPath};

/// Two people who change the same backend at once are both served.
const ATTEMPTS: usize = 3;
/// Longest URL, in characters.
const URL_LIMIT: usize = 2_000;
/// Characters of a secret: shorter ones can be guessed, longer ones are a mistake.
const SECRET: std::ops::RangeInclusive<usize> = 16..=256;
/// Webhooks under way at once when nobody says how many.
const IN_FLIGHT: u16 = 16;
/// Most of them: as many as all backends of one user may have.
const MOST_IN_FLIGHT: u16 = 256;

/// A backend. What is absent stays; a new one needs `url` and `secrets`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBackend {
    /// Where messages are posted to. Private addresses only if the operator allows them.
    #[schema(max_length = 2000, example = "https://agent.example.org/webhook")]
    url: Option<String>,
    /// The keys of the signatures, all of them. Each signs `webhook-signature`, the first one `X-Webhook-Signature`, too. So
    /// one is replaced without a refusal by setting both, the new one first, and later the new one alone. Never shown.
    #[schema(min_items = 1, max_items = 4)]
    secrets: Option<Vec<String>>,
    /// Webhooks of one worker that may be under way at once; 16 when nothing else was said.
    #[schema(minimum = 1, maximum = 256)]
    max_in_flight: Option<u16>,
}

/// Has a user's messages go to this backend instead of the operator's, those that wait, too; but not those of channels that
/// have one of their own. One that was switched off gets messages again.
///
/// # Errors
/// 400 for what makes no sense; then nothing was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/backend", tag = "backends", operation_id = "set_user_backend", params(UserParams),
    request_body = SetBackend,
    responses(
        (status = 200, description = "As it is now.", body = BackendView),
        (status = 409, description = "Others kept changing it at the same moment, or the user is being erased."),
    )
)]
pub async fn of_user(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user_id): UserPath,
    body: Body<SetBackend>,
) -> Result<Json<BackendView>, Problem> {
    set(&app, &principal, BackendPlace { user_id, channel: None }, &body.value).await
}

/// Has a channel's messages go to this backend, those that wait, too. One that was switched off gets messages again.
///
/// # Errors
/// 400 for what makes no sense, 404 when there is no such channel; then nothing was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/channels/{instance}/backend", tag = "backends", operation_id = "set_channel_backend",
    params(ChannelParams), request_body = SetBackend,
    responses(
        (status = 200, description = "As it is now.", body = BackendView),
        (status = 404, description = "There is no such channel."),
        (status = 409, description = "Others kept changing it at the same moment."),
    )
)]
pub async fn of_channel(
    State(app): State<Shared>,
    principal: Principal,
    path: ChannelPath,
    body: Body<SetBackend>,
) -> Result<Json<BackendView>, Problem> {
    let place = place_of(&app, &path).await?;
    set(&app, &principal, place, &body.value).await
}

async fn set(
    app: &Shared,
    principal: &Principal,
    place: BackendPlace,
    given: &SetBackend,
) -> Result<Json<BackendView>, Problem> {
    for _ in 0..ATTEMPTS {
        let before = match app.store.backend(&place).await {
            Ok(before) => Some(before),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let save = check(app, &place, before.as_ref(), given).await?;
        match app.store.backend_save(&app.vault, &save, &principal.actor()).await {
            Err(Error::Conflict) => {}
            saved => {
                let saved = saved?;
                app.bus.publish_backends_changed().await;
                return Ok(Json(saved.into()));
            }
        }
    }
    Err(Problem::conflict("the backend was changed by other requests at the same moment: try again"))
}

/// What makes sense, with what stays.
async fn check(
    app: &App,
    place: &BackendPlace,
    before: Option<&OwnBackend>,
    given: &SetBackend,
) -> Result<SaveBackend, Problem> {
    let needed = |key: &str| Problem::bad_request(format!("{key:?} is missing: a new backend needs it"));
    let url = given.url.as_ref().or(before.map(|before| &before.url)).ok_or_else(|| needed("url"))?;
    body::printable("url", url, URL_LIMIT)?;
    guard::check(url, app.allow_private).await.map_err(|error| Problem::of_url("url", &error))?;
    let secrets = given.secrets.as_deref().map(secrets).transpose()?;
    if before.is_none() && secrets.is_none() {
        return Err(needed("secrets"));
    }
    let most = given.max_in_flight.or(before.map(|before| before.max_in_flight)).unwrap_or(IN_FLIGHT);
    if !(1..=MOST_IN_FLIGHT).contains(&most) {
        let detail = format!("\"max_in_flight\" must be from 1 to {MOST_IN_FLIGHT}");
        return Err(Problem::bad_request(detail));
    }
    Ok(SaveBackend {
        id: app.ids.next(),
        place: place.clone(),
        url: url.clone(),
        secrets,
        max_in_flight: most,
        replaces: before.map(|before| before.revision),
    })
}

fn secrets(given: &[String]) -> Result<Vec<String>, Problem> {
    if !(1..=MOST_SECRETS).contains(&given.len()) {
        let detail = format!("\"secrets\" must be a list of 1 to {MOST_SECRETS}");
        return Err(Problem::bad_request(detail));
    }
    for (place, secret) in given.iter().enumerate() {
        // Never the secret itself: answers end up in logs.
        let wrong =
            |what: String| Err(Problem::bad_request(format!("number {} of \"secrets\" {what}", place + 1)));
        if !SECRET.contains(&secret.chars().count()) {
            return wrong(format!("must have {} to {} characters", SECRET.start(), SECRET.end()));
        }
        if secret.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return wrong("may not contain spaces or control characters".to_owned());
        }
        if given[..place].contains(secret) {
            return wrong("is there twice".to_owned());
        }
    }
    Ok(given.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_make_no_sense_are_refused_without_being_repeated() {
        let good = "0123456789abcdef";
        let refused = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
            secrets(&given).unwrap_err().detail().to_owned()
        };
        assert_eq!(refused(&[]), "\"secrets\" must be a list of 1 to 4");
        assert_eq!(refused(&[good; 5]), "\"secrets\" must be a list of 1 to 4");
        assert_eq!(refused(&[good, good]), "number 2 of \"secrets\" is there twice");
        for wrong in ["", "short", &"x".repeat(257), "with a space in it", "with\0a control one"] {
            let detail = refused(&[good, wrong]);
            assert!(detail.starts_with("number 2 of \"secrets\" "), "{detail}");
            assert!(wrong.is_empty() || !detail.contains(wrong), "{detail}");
        }
        assert_eq!(secrets(&[good.to_owned()]).unwrap(), [good]);
    }
}
