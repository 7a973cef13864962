//! `POST /api/users/{user}/cron/jobs`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_store::Error;
use serde::Serialize;
use utoipa::ToSchema;

use super::action;
use super::body::JobBody;
use super::view::JobView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{UserParams, UserPath};

/// A new job.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedJob {
    #[serde(flatten)]
    view: JobView,
    /// Whether the call repeats an earlier one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Makes a job. The channel that its action names must be there.
///
/// # Errors
/// 400 for what makes no sense or would never run, 409 when the user has as many as there may be; then nothing was
/// made.
#[utoipa::path(
    post, path = "/api/users/{user}/cron/jobs", tag = "cron", operation_id = "create_job",
    params(UserParams, IdempotencyParams), request_body = JobBody,
    responses(
        (status = 201, description = "Made.", body = CreatedJob),
        (status = 200, description = "Made before, under the same Idempotency-Key.", body = CreatedJob),
        (status = 409, description = "There are too many, or the one made under the Idempotency-Key was deleted since."),
        (status = 422, description = "The Idempotency-Key came with another body before."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    IdempotencyKey(once): IdempotencyKey,
    body: Body<JobBody>,
) -> Result<(StatusCode, Json<CreatedJob>), Problem> {
    let digest = body.digest;
    let save = body.value.checked(app.job_limits)?;
    let once = once.as_deref().map(|key| (key, digest));
    if let Err(refused) = action::callable(&app, &save.does, None).await {
        // What made sense when it was made need not do so now.
        let made = match once {
            Some((key, digest)) => app.store.job_was_made(&user, key, digest).await?,
            None => false,
        };
        if !made {
            return Err(refused);
        }
    }
    let (id, actor, random) = (app.ids.next(), principal.actor(), &*app.deps.random);
    let made = app.store.job_create(&user, id, &save, &actor, random, once).await;
    let (job, fresh) = match made {
        Ok(made) => made,
        Err(Error::NotFound(_)) => {
            return Err(Problem::conflict(
                "the job that this Idempotency-Key made was deleted: use a new key to make another one",
            ));
        }
        Err(error) => return Err(action::refused(&app, &user, error).await),
    };
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(CreatedJob { view: job.into(), duplicate: !fresh })))
}
