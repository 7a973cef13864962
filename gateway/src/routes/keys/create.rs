//! `POST /api/keys`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use claw_store::{NewApiKey, Scope};
use claw_types::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::{KeyView, ScopeView};
use crate::app::Shared;
use crate::auth::{self, Principal};
use crate::body::{self, Body};
use crate::error::{Kind, Problem};
use crate::idempotency::{IdempotencyKey, IdempotencyParams};

/// Longest name, in characters.
const NAME_LIMIT: usize = 100;

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What it is for; shown in the audit log.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The one user it is to be good for; absent for all.
    #[schema(max_length = 128)]
    user_id: Option<String>,
    /// What it opens; when absent, all that the key that makes it does. More than that is refused.
    #[schema(min_items = 1, max_items = 3)]
    scopes: Option<Vec<ScopeView>>,
    /// Until when it is good; when absent, as long as the key that makes it. Longer than that is refused.
    expires_at: Option<DateTime<Utc>>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    view: KeyView,
    /// The key itself: shown this once and never again. Absent when the call repeats an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Whether the call repeats an earlier one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Makes a key. The answer is the only place where the key itself is ever shown. No key makes one that may do more, or is
/// good for longer, than itself.
///
/// # Errors
/// 400 for what makes no sense, 403 for more than the caller may do; then nothing was made.
#[utoipa::path(
    post, path = "/api/keys", tag = "keys", operation_id = "create_key", params(IdempotencyParams),
    request_body = CreateKey,
    responses(
        (status = 201, description = "Made.", body = CreatedKey),
        (status = 200, description = "Made before, under the same Idempotency-Key.", body = CreatedKey),
        (status = 422, description = "The Idempotency-Key came with another body before."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    IdempotencyKey(once): IdempotencyKey,
    body: Body<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Problem> {
    let digest = body.digest;
    let wanted = check(&app, &principal, body.value)?;
    let id = app.ids.next();
    let token = auth::token(id, &app.ids);
    let new = NewApiKey {
        id,
        hash: auth::digest(token.as_bytes()),
        name: wanted.name,
        user_id: wanted.user_id,
        scopes: wanted.scopes,
        expires_at: wanted.expires_at,
    };
    let once = once.as_deref().map(|key| (key, digest));
    let (key, fresh) = app.store.key_create(&new, &principal.actor(), once).await?;
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(CreatedKey { view: key.into(), key: fresh.then_some(token), duplicate: !fresh })))
}

struct Wanted {
    name: String,
    user_id: Option<UserId>,
    scopes: Vec<Scope>,
    expires_at: Option<DateTime<Utc>>,
}

fn check(app: &Shared, maker: &Principal, given: CreateKey) -> Result<Wanted, Problem> {
    let name = given.name.trim().to_owned();
    body::printable("name", &name, NAME_LIMIT)?;
    if name.is_empty() {
        return Err(Problem::bad_request("\"name\" is empty: say what the key is for"));
    }
    let user_id = given.user_id.map(|user| user.parse::<UserId>()).transpose();
    let user_id = user_id.map_err(|error| Problem::bad_request(format!("\"user_id\": {error}")))?;
    let mut scopes: Vec<Scope> = given
        .scopes
        .map_or_else(|| maker.scopes.clone(), |given| given.into_iter().map(Scope::from).collect());
    scopes.sort_by_key(|scope| scope.as_str());
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::bad_request("\"scopes\" is empty: name at least one of read, send, manage"));
    }
    if given.expires_at.is_some_and(|end| end <= app.clock.now()) {
        return Err(Problem::bad_request("\"expires_at\" is in the past: such a key would never be good"));
    }
    // Beyond year 9999 the database's dates and JSON's part ways.
    if given.expires_at.is_some_and(|end| end.timestamp() > 253_402_300_799) {
        return Err(Problem::bad_request("\"expires_at\" must be before the year 10000"));
    }
    if let Some(beyond) = scopes.iter().find(|scope| !maker.has(**scope)) {
        return Err(Problem::out_of_scope(*beyond));
    }
    let expires_at = given.expires_at.or(maker.expires_at);
    if maker.expires_at.is_some_and(|end| expires_at.is_none_or(|wanted| wanted > end)) {
        return Err(Problem::of(
            Kind::Forbidden,
            "\"expires_at\" is later than the end of the key that makes this one: choose an earlier time",
        ));
    }
    Ok(Wanted { name, user_id, scopes, expires_at })
}
