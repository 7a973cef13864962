//! Heartbeats that come by themselves: at each the agent is told what its user has set.
//!
//! A user who has set something has one row of `timers` of the kind `heartbeat`; saving the settings keeps it in step. When it is
//! due, one statement accepts the message and moves the timer on to the next heartbeat, if both the timer and the settings are
//! as they were read: so each heartbeat is told once, and of several that nobody led for only one is.
//!
//! What waits for the same heartbeat comes first: a heartbeat is not due while a wake-up of its user is that was due by then.

use chrono::{DateTime, Utc};
use claw_types::{UserId, Work};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::cron::FENCE;
use crate::cron::fire::{bind_made, fired};
use crate::events::TELL_ACCEPTED;
use crate::messages::AHEAD;
use crate::settings::COLUMNS;
use crate::{NewMessage, News, Preferences, Result, Store, Tenant};

/// A heartbeat that is due, or what waited for one.
#[derive(Debug)]
pub struct DueHeartbeat {
    /// The timer's id.
    pub timer: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// When it was to be.
    pub due_at: DateTime<Utc>,
    /// What the user has set, or why this version can't read it.
    pub set: Result<Preferences>,
    /// When that was last changed; `None` when nothing is set any more.
    pub changed_at: Option<DateTime<Utc>>,
    /// The database's time when it was read.
    pub now: DateTime<Utc>,
}

/// What becomes of a heartbeat that is due.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The timer's id.
    pub timer: Uuid,
    /// When it was to be, as it was read.
    pub was_due: DateTime<Utc>,
    /// When the settings had last been changed, as they were read.
    pub was_changed: Option<DateTime<Utc>>,
    /// The next one; none: it comes no more.
    pub next: Option<DateTime<Utc>>,
    /// What the agent is told.
    pub message: Option<NewMessage>,
    /// What there is to tell others.
    pub news: Option<News>,
}

/// Not before what waits for it.
const WAKES_ARE_TOLD: &str = "not exists (
    select 1 from timers w where w.user_id = t.user_id and w.kind = 'wake' and w.due_at <= t.due_at)";

impl Store {
    /// Up to `limit` heartbeats that are due, the earliest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heartbeats_due(&self, limit: i64) -> Result<Vec<DueHeartbeat>> {
        let sql = format!(
            "select t.id, t.user_id, t.due_at, now() as now, s.updated_at, {COLUMNS}
             from timers t left join user_settings s on s.user_id = t.user_id
             where t.kind = 'heartbeat' and t.due_at <= now() and {WAKES_ARE_TOLD}
             order by t.due_at, t.id limit $1"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(due).collect()
    }

    /// Tells of heartbeats and moves their timers on, as long as this term of `duty` goes on. Answers how many that were, and the
    /// messages to tell their owners of; the others were changed or held by somebody.
    ///
    /// # Errors
    /// When the database fails; then nothing was written, or everything and the owners' sweeps will find the messages.
    pub async fn heartbeats_fire(
        &self,
        duty: &str,
        term: i64,
        beats: &[Heartbeat],
    ) -> Result<(u64, Vec<Work>)> {
        let made = || beats.iter().map(|beat| beat.message.as_ref());
        let news = || beats.iter().map(|beat| beat.news.as_ref());
        let query = sqlx::query(sqlx::AssertSqlSafe(fire_sql()))
            .bind(duty)
            .bind(term)
            .bind(beats.iter().map(|b| b.timer).collect::<Vec<_>>())
            .bind(beats.iter().map(|b| b.was_due).collect::<Vec<_>>())
            .bind(beats.iter().map(|b| b.was_changed).collect::<Vec<_>>())
            .bind(beats.iter().map(|b| b.next).collect::<Vec<_>>());
        let rows = bind_made(query, made())
            .bind(news().map(|news| news.map(|news| news.kind)).collect::<Vec<_>>())
            .bind(news().map(|news| news.map(|news| news.data.to_string())).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        let written = fired(&rows, made().flatten())?;
        Ok((written.jobs, written.messages))
    }
}

/// Has the agent told at this heartbeat and those after it; without one, at none. What is due already is not put off.
pub(crate) async fn arm(tenant: &mut Tenant, next: Option<DateTime<Utc>>) -> Result<()> {
    let user = tenant.user().clone();
    let sql = match next {
        Some(_) => {
            "insert into timers (id, user_id, kind, due_at) values (gen_random_uuid(), $1, 'heartbeat', $2)
             on conflict (user_id) where kind = 'heartbeat' do update set due_at = excluded.due_at
             where timers.due_at > clock_timestamp()"
        }
        None => "delete from timers where user_id = $1 and kind = 'heartbeat' and $2::timestamptz is null",
    };
    sqlx::query(sql).bind(user.as_str()).bind(next).execute(tenant.conn()).await?;
    Ok(())
}

fn fire_sql() -> String {
    format!(
        "with {FENCE},
         held as materialized (
             select i.*, t.user_id
             from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::uuid[],
                         $9::int[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
                  with ordinality
                  as i (timer, was_due, was_changed, next, message, channel_id, shard, direction, conversation, payload,
                        source, news, data, n)
             join timers t on t.id = i.timer and t.kind = 'heartbeat' and t.due_at = i.was_due
             left join user_settings s on s.user_id = t.user_id
             where s.updated_at is not distinct from i.was_changed and {WAKES_ARE_TOLD} and exists (select 1 from fence)
             for update of t skip locked),
         moved as (update timers t set due_at = h.next from held h where t.id = h.timer and h.next is not null),
         gone as (delete from timers t using held h where t.id = h.timer and h.next is null),
         accepted as (
             insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
             select message, user_id, channel_id, shard, direction, conversation, payload::json, source
             from held where message is not null order by n
             returning id, seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
                       user_id, channel_id, direction, conversation, source),
         told as ({TELL_ACCEPTED}),
         news as (
             insert into events (user_id, type, data)
             select user_id, news, data::json from held where news is not null order by n)
         select (select count(*) from held) as jobs, 0::bigint as runs,
                accepted.id, accepted.seq, accepted.accepted_at_ms, {AHEAD} as ahead
         from (values (1)) one left join accepted on true"
    )
}

pub(crate) fn due(row: &PgRow) -> Result<DueHeartbeat> {
    let (timer, user): (Uuid, String) = (row.try_get("id")?, row.try_get("user_id")?);
    let user_id = crate::cron::user("timers", timer, &user)?;
    Ok(DueHeartbeat {
        timer,
        due_at: row.try_get("due_at")?,
        set: Preferences::read(&user_id, row),
        changed_at: row.try_get("updated_at")?,
        now: row.try_get("now")?,
        user_id,
    })
}
