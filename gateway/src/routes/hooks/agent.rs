//! `POST /hooks/agent`.

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
use crate::body::lenient::{Flag, Ident};
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::wake::{self, Call, Place, Woken};

/// Longest time that an agent can be given.
const MAX_TIMEOUT_SECS: u32 = 86_400;

/// A task for an agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunAgent {
    /// What to do.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S", example = "Summarise yesterday's tickets.")]
    message: String,
    /// When the backend is told; `now` if not given.
    mode: Option<WakeMode>,
    /// Whose agent.
    #[schema(min_length = 1, max_length = 128, example = "ada")]
    user_id: String,
    /// Which agent; if not given, the one that the channel is bound to.
    #[schema(max_length = 200)]
    agent_id: Option<String>,
    /// Whether the agent's answer goes to the chat; if not given, it does where there is one.
    deliver: Option<Flag>,
    /// The channel of the chat that it belongs to: its slug, or its type where the user has one of that type only.
    #[schema(max_length = 64)]
    channel: Option<String>,
    /// The platform's id of the chat; required with `channel`.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
    /// How long the agent may take; handed on as `metadata.timeout_secs`.
    #[schema(minimum = 1, maximum = 86400)]
    timeout_secs: Option<u32>,
    /// What else is worth telling; at most 32 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// As the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 255, pattern = r"^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// Gives an agent a task: the backend gets the message as a signed webhook, at once or at the user's next heartbeat.
///
/// # Errors
/// 400 for what makes no sense, 409 for a channel that is switched off; then nothing was stored.
#[utoipa::path(
    post, path = "/hooks/agent", tag = "hooks", operation_id = "run_agent", params(IdempotencyParams),
    request_body = RunAgent,
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
    body: Body<RunAgent>,
) -> Result<(StatusCode, Json<Woken>), Problem> {
    let given = body.value;
    let mut metadata = given.metadata.unwrap_or_default();
    if let Some(secs) = given.timeout_secs {
        if !(1..=MAX_TIMEOUT_SECS).contains(&secs) {
            return Err(Problem::bad_request(format!(
                "\"timeout_secs\" must be from 1 to {MAX_TIMEOUT_SECS}"
            )));
        }
        metadata.insert("timeout_secs".to_owned(), secs.into());
    }
    let call = Call {
        source: "agent",
        text_key: "message",
        text: given.message,
        mode: given.mode.unwrap_or_default(),
        user_id: given.user_id,
        agent_id: given.agent_id,
        place: Place { channel: given.channel, recipient: given.recipient, thread_id: given.thread_id },
        deliver: given.deliver.map(|Flag(deliver)| deliver),
        metadata,
        idempotency_key: given.idempotency_key,
    };
    wake::accept(&app, &principal, key, body.digest, call).await
}
