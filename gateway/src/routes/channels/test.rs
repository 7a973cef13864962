//! `POST /api/users/{user}/channels/{instance}/test`.

use axum::Json;
use axum::extract::State;
use claw_channels::{ChannelError, Probe};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::PATIENCE;
use crate::app::Shared;
use crate::dispatch;
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath};

/// What the platform said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelTest)]
pub struct Tested {
    /// `ok` or `error`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The account's name on the platform, where it has one.
    account: Option<String>,
    /// What else the platform tells.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// Why it does not work; null when it does.
    error: Option<String>,
    /// How long the platform took to answer, in milliseconds.
    duration_ms: u64,
}

/// Asks the platform, now, whether the channel's credential works, without anything that people could see. It works for
/// a channel that is switched off, too.
///
/// # Errors
/// 404 for a channel that is not there. A platform that says no is no error of this call: see `status`.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/test", tag = "channels", operation_id = "test_channel",
    params(ChannelParams),
    responses(
        (status = 200, description = "The platform was asked; `status` says what it answered.", body = Tested),
        (status = 404, description = "There is no such channel."),
    )
)]
pub async fn handle(State(app): State<Shared>, path: ChannelPath) -> Result<Json<Tested>, Problem> {
    let known = dispatch::channel(&app, &path).await?;
    let began = tokio::time::Instant::now();
    let answer = match &known.adapter {
        Ok(adapter) => tokio::time::timeout(PATIENCE, adapter.probe()).await.unwrap_or_else(|_| {
            Err(ChannelError::Retryable("the platform did not answer in time".to_owned()))
        }),
        Err(error) => Err(error.clone()),
    };
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(match answer {
        Ok(Probe { account, details }) => Tested { status: "ok", account, details, error: None, duration_ms },
        Err(error) => Tested {
            status: "error",
            account: None,
            details: Map::new(),
            error: Some(error.to_string()),
            duration_ms,
        },
    }))
}
