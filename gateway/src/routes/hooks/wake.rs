//! `POST /hooks/wake`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_types::WakeMode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::body::lenient::Ident;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::wake::{self, Call, Place, Woken};

/// Something that an agent is to hear of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wake {
    /// What happened.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S", example = "The nightly backup failed.")]
    text: String,
    /// When the backend is told; `now` if not given.
    mode: Option<WakeMode>,
    /// Whose agent.
    #[schema(min_length = 1, max_length = 128, example = "ada")]
    user_id: String,
    /// Which agent; if not given, the one that the channel is bound to.
    #[schema(max_length = 200)]
    agent_id: Option<String>,
    /// The channel of the chat that it belongs to: its slug, or its type where the user has one of that type only.
    #[schema(max_length = 64)]
    channel: Option<String>,
    /// The platform's id of the chat; required with `channel`. The agent's answer goes there.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
    /// What else is worth telling; at most 32 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// As the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 255, pattern = r"^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// Wakes an agent: the backend gets the text as a signed webhook, at once or at the user's next heartbeat.
///
/// # Errors
/// 400 for what makes no sense, 409 for a channel that is switched off; then nothing was stored.
#[utoipa::path(
    post, path = "/hooks/wake", tag = "hooks", operation_id = "wake", params(IdempotencyParams), request_body = Wake,
    responses(
        (status = 202, description = "It is stored and will reach the backend.", body = Woken),
        (status = 409, description = "The channel is switched off."),
        (status = 422, description = "The idempotency key came with another body before."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<Wake>,
) -> Result<(StatusCode, Json<Woken>), Problem> {
    let Wake { text, mode, user_id, agent_id, channel, recipient, thread_id, metadata, idempotency_key } =
        body.value;
    let call = Call {
        source: "wake",
        text_key: "text",
        text,
        mode: mode.unwrap_or_default(),
        user_id,
        agent_id,
        place: Place { channel, recipient, thread_id },
        deliver: None,
        metadata: metadata.unwrap_or_default(),
        idempotency_key,
    };
    wake::accept(&app, &principal, key, body.digest, call).await
}
