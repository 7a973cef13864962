//! An erasure as it is shown.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use claw_store::Erasure;
use claw_types::UserId;
use serde::Serialize;
use utoipa::ToSchema;

/// The removal of everything that is kept of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erasure)]
pub struct ErasureView {
    #[schema(value_type = String, example = "ada")]
    user_id: UserId,
    /// Whether nothing is left. Until then it goes on by itself.
    complete: bool,
    /// Who asked for it.
    #[schema(example = "operator")]
    requested_by: String,
    requested_at: DateTime<Utc>,
    /// Since when nothing is left.
    finished_at: Option<DateTime<Utc>>,
    /// How many of each kind of thing were removed so far.
    #[schema(example = json!({"attachments": 3, "channels": 1, "messages": 120}))]
    removed: BTreeMap<String, i64>,
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        let Erasure { user_id, requested_by, requested_at, finished_at, removed } = erasure;
        Self { user_id, complete: finished_at.is_some(), requested_by, requested_at, finished_at, removed }
    }
}
