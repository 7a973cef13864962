//! Scheduled jobs put straight into the database: as many as no user may have, from anchors and with first times that the API
//! would not give them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Rows of one statement.
const ROWS: usize = 5_000;

/// A job that is switched on.
#[derive(Debug, Clone)]
pub struct StoredJob {
    /// The test's own number for it; [`number_of`] tells it again.
    pub number: u64,
    /// Whose.
    pub user: String,
    /// When, as the API takes it.
    pub schedule: Value,
    /// What, as the API takes it.
    pub action: Value,
    /// What else it says: `claw_types::job::Options` as JSON.
    pub options: Value,
    /// From where the intervals of an `every` are counted.
    pub anchor: DateTime<Utc>,
    /// Its first time.
    pub due: DateTime<Utc>,
}

/// The number of the job with this id, as the API and webhooks tell it; `None` for a job that [`store`] did not make.
pub fn number_of(id: &str) -> Option<u64> {
    u64::try_from(Uuid::parse_str(id).ok()?.as_u128()).ok()
}

/// Stores them.
///
/// # Errors
/// When the database fails, or one with that number is there.
pub async fn store(database: &mut PgConnection, jobs: &[StoredJob]) -> sqlx::Result<()> {
    for jobs in jobs.chunks(ROWS) {
        let column = |of: fn(&StoredJob) -> String| jobs.iter().map(of).collect::<Vec<_>>();
        sqlx::query(
            "insert into cron_jobs (id, user_id, name, enabled, schedule, schedule_type, action, action_type, one_shot,
                 options, anchor_at, next_due_at)
             select j.id, j.user_id, 'job ' || j.id, true, j.schedule::json, j.schedule::json ->> 'type',
                    j.action::json, j.action::json ->> 'type', j.schedule::json ->> 'type' = 'at',
                    j.options::json, j.anchor_at, j.next_due_at
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                         $7::timestamptz[])
                  as j (id, user_id, schedule, action, options, anchor_at, next_due_at)",
        )
        .bind(jobs.iter().map(|job| Uuid::from_u128(job.number.into())).collect::<Vec<_>>())
        .bind(column(|job| job.user.clone()))
        .bind(column(|job| job.schedule.to_string()))
        .bind(column(|job| job.action.to_string()))
        .bind(column(|job| job.options.to_string()))
        .bind(jobs.iter().map(|job| job.anchor).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.due).collect::<Vec<_>>())
        .execute(&mut *database)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_id_tells_its_number() {
        assert_eq!(number_of(&Uuid::from_u128(77).to_string()), Some(77));
        assert_eq!(number_of("0198c0de-0000-7000-8000-000000000001"), None);
        assert_eq!(number_of("77"), None);
    }
}
