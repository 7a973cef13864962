//! What the earlier attempts of a run came to. A run is one row, about its latest attempt: when the next one begins, what the row says of
//! the one before is put aside in it.
//!
//! Of a run that was tried again by the version before, some are not known.

use chrono::{DateTime, Utc};
use claw_types::MessageId;
use serde::Deserialize;
use uuid::Uuid;

use crate::{Result, RunStatus};

/// The earlier attempts of a run `r`, with the one that is over now: the latest ten, which is as often as a job may have a run tried
/// again.
pub(crate) const WITH_LATEST: &str = "case when jsonb_array_length(r.attempts) < 10 then r.attempts else r.attempts - 0 end
     || jsonb_build_object('n', r.attempt, 'status', r.status, 'error', r.error_message, 'message_id', r.message_id,
                           'finished_at', r.finished_at)";

/// An attempt that another one followed.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierAttempt {
    /// Which one, from 1.
    pub n: u32,
    /// How it went.
    pub status: RunStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// The message that it made; that of the attempt before, where this was the wait for it.
    pub message_id: Option<MessageId>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

/// As [`WITH_LATEST`] writes it.
#[derive(Deserialize)]
struct Stored {
    n: u32,
    status: String,
    error: Option<String>,
    message_id: Option<Uuid>,
    finished_at: Option<DateTime<Utc>>,
}

/// Those of this run, oldest first.
pub(crate) fn read(run: Uuid, stored: &str) -> Result<Vec<EarlierAttempt>> {
    let stored: Vec<Stored> = serde_json::from_str(stored)?;
    let attempt = |Stored { n, status, error, message_id, finished_at }: Stored| -> Result<EarlierAttempt> {
        let status = RunStatus::read(run, &status)?;
        Ok(EarlierAttempt { n, status, error, message_id: message_id.map(MessageId), finished_at })
    };
    stored.into_iter().map(attempt).collect()
}
