//! A backend as the API shows it: everything but its secrets.

use chrono::{DateTime, Utc};
use claw_channels::kit::guard;
use claw_rpc::AwayBackend;
use claw_store::OwnBackend;
use futures::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::error::Problem;

/// Where messages are posted to instead of the operator's backend.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backend)]
pub struct BackendView {
    id: Uuid,
    user_id: String,
    /// The channel whose messages it gets; null for all of the user's.
    channel_id: Option<Uuid>,
    url: String,
    /// How many secrets sign. They are never shown.
    secrets: usize,
    /// Webhooks of one worker that may be under way at once.
    max_in_flight: u16,
    /// Whether it gets messages. One that answers 410 is switched off: what comes for it then is dead.
    enabled: bool,
    /// Why it gets none.
    disabled_reason: Option<String>,
    disabled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A backend, and whether it answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackendWithState {
    #[serde(flatten)]
    view: BackendView,
    /// `closed`: it answers, as far as is known. `open`: it does not, messages to it wait, and none of their attempts is
    /// counted. `half_open`: the next attempt, or one under way, is to find out. Null when no worker could be asked.
    #[schema(example = "closed")]
    state: Option<&'static str>,
    /// For how long it has not answered, in milliseconds; null when it does.
    away_ms: Option<u64>,
}

impl BackendWithState {
    /// Asks every worker. Several may find it differently for a moment: the one that found it away longest counts.
    pub async fn ask(app: &App, backend: OwnBackend) -> Result<Self, Problem> {
        let members = app.store.members().await?;
        let workers = members.iter().filter(|member| member.live && member.role == "worker");
        let said = join_all(workers.map(|worker| app.peers.worker_status(&worker.rpc_address))).await;
        let said: Vec<_> = said.into_iter().flatten().collect();
        // Whether it may be called is the workers' question.
        let origin = guard::check_form(&backend.url, true).map(|url| url.origin().ascii_serialization());
        let (user, origin) = (backend.place.user_id.as_str(), origin.unwrap_or_default());
        let ours = |away: &&AwayBackend| away.user.as_deref() == Some(user) && away.origin == origin;
        let away = said.iter().flat_map(|worker| &worker.away).filter(ours).max_by_key(|away| away.time);
        let state = match away {
            Some(AwayBackend { half_open: true, .. }) => Some("half_open"),
            Some(_) => Some("open"),
            None if said.is_empty() => None,
            None => Some("closed"),
        };
        let away_ms = away.map(|away| u64::try_from(away.time.as_millis()).unwrap_or(u64::MAX));
        Ok(Self { view: backend.into(), state, away_ms })
    }
}

impl From<OwnBackend> for BackendView {
    fn from(backend: OwnBackend) -> Self {
        let (disabled_reason, disabled_at) = backend.disabled.unzip();
        Self {
            id: backend.id,
            user_id: backend.place.user_id.into(),
            channel_id: backend.place.channel.map(|channel| channel.0),
            url: backend.url,
            secrets: backend.secrets,
            max_in_flight: backend.max_in_flight,
            enabled: disabled_reason.is_none(),
            disabled_reason,
            disabled_at,
            created_at: backend.created_at,
            updated_at: backend.updated_at,
        }
    }
}
