//! `GET /api/users/{user}/cron/signing-secret`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use claw_secrets::WebhookSecrets;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// What the webhooks of a user's jobs are signed with.
#[derive(Serialize, ToSchema)]
pub struct SigningSecret {
    /// As Standard Webhooks writes it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// Others that sign beside it, in `webhook-signature` only, while the operator changes the master key; empty otherwise.
    others: Vec<String>,
}

/// Tells the secret by which receivers know the webhooks of this user's jobs. It is the same at every call, and another one only
/// when the operator changes the master key: meanwhile webhooks carry a signature with each of the two. Each call is in the audit log.
///
/// # Errors
/// When the audit log can't be written.
#[utoipa::path(
    get, path = "/api/users/{user}/cron/signing-secret", tag = "cron", operation_id = "signing_secret", params(UserParams),
    responses((status = 200, description = "The secret.", body = SigningSecret))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
) -> Result<([(HeaderName, &'static str); 1], Json<SigningSecret>), Problem> {
    app.store.signing_secret_shown(&user, &principal.actor()).await?;
    let WebhookSecrets { current: secret, others } = app.vault.keys().webhook_secrets(user.as_str());
    Ok(([(CACHE_CONTROL, "no-store")], Json(SigningSecret { secret, others })))
}
