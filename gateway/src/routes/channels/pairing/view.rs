//! A pairing as the API shows it.

use chrono::{DateTime, Utc};
use claw_store::{Pairing, PairingState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PairingState)]
pub enum StateView {
    /// Asked to be let in; nobody decided yet.
    Pending,
    /// Nobody yet: whoever sends the code is let in.
    Invited,
    /// May write.
    Approved,
    /// Is not answered.
    Denied,
}

impl From<StateView> for PairingState {
    fn from(state: StateView) -> Self {
        match state {
            StateView::Pending => Self::Pending,
            StateView::Invited => Self::Invited,
            StateView::Approved => Self::Approved,
            StateView::Denied => Self::Denied,
        }
    }
}

impl From<PairingState> for StateView {
    fn from(state: PairingState) -> Self {
        match state {
            PairingState::Pending => Self::Pending,
            PairingState::Invited => Self::Invited,
            PairingState::Approved => Self::Approved,
            PairingState::Denied => Self::Denied,
        }
    }
}

/// A person's request, approval or denial, or an invitation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pairing)]
pub struct PairingView {
    id: Uuid,
    /// What it is approved, denied and revoked by; of an invitation, what its person sends to the bot.
    #[schema(example = "K7QM2XRA")]
    code: String,
    state: StateView,
    /// The platform's id of the person; null for an invitation.
    platform_id: Option<String>,
    /// The name that the platform shows for them. They chose it themselves.
    display_name: Option<String>,
    created_at: DateTime<Utc>,
    /// From when on it does not count and is not shown; null for ever.
    expires_at: Option<DateTime<Utc>>,
    decided_at: Option<DateTime<Utc>>,
    /// `operator`, `key <name>`, `owner <platform id>`, or `invitation`.
    decided_by: Option<String>,
}

impl From<Pairing> for PairingView {
    fn from(pairing: Pairing) -> Self {
        let (platform_id, display_name) = pairing.person.map(|person| (person.id, person.name)).unzip();
        Self {
            id: pairing.id,
            code: pairing.code,
            state: pairing.state.into(),
            platform_id,
            display_name,
            created_at: pairing.created_at,
            expires_at: pairing.expires_at,
            decided_at: pairing.decided_at,
            decided_by: pairing.decided_by,
        }
    }
}
