//! Future acts: rows that the scheduler's leader turns into messages when they are due.
//!
//! A timer and the message that it becomes have the same id, and one statement takes the one away and makes the other.
//! So whoever dies when: each timer fires once. The leader's term fences that statement: a leader that was replaced
//! without noticing fires nothing. The other kinds of timers are told of in [`crate::cron`].

use chrono::{DateTime, Utc};
use claw_types::{MessageId, Work};
use uuid::Uuid;

use crate::cron::FENCE;
use crate::events::TELL_ACCEPTED;
use crate::messages::{WORK, work};
use crate::settings::COLUMNS;
use crate::{DueHeartbeat, NewMessage, Result, Store, Tenant, heartbeats};

/// What waits for a heartbeat is late when this many seconds have passed since: then it matters whether its user's hours are over.
pub const LATE_SECS: i64 = 60;

/// A wake-up that is late and waits on.
#[derive(Debug, Clone)]
pub struct PutOff {
    /// The timer's id.
    pub timer: Uuid,
    /// The heartbeat that it waited for, as it was read.
    pub was_due: DateTime<Utc>,
    /// When its user's settings had last been changed, as they were read.
    pub was_changed: Option<DateTime<Utc>>,
    /// The heartbeat that it waits for from now on.
    pub next: DateTime<Utc>,
}

impl Tenant {
    /// Has this message accepted at the user's next heartbeat; tells when that is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wake_later(&mut self, message: &NewMessage) -> Result<DateTime<Utc>> {
        let due_at = self.settings_hold().await?.next_heartbeat_at;
        sqlx::query(
            "insert into timers (id, user_id, kind, due_at, shard, channel_id, conversation, payload, source)
             values ($1, $2, 'wake', $3, $4, $5, $6, $7::json, $8)",
        )
        .bind(message.id.0)
        .bind(message.user_id.as_str())
        .bind(due_at)
        .bind(message.shard.as_i32())
        .bind(message.channel_id.0)
        .bind(&message.conversation)
        .bind(message.payload.get())
        .bind(message.source.as_deref())
        .execute(self.conn())
        .await?;
        Ok(due_at)
    }

    /// When a timer is due; `None` when it has fired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timer_due(&mut self, id: MessageId) -> Result<Option<DateTime<Utc>>> {
        let due = sqlx::query_scalar("select due_at from timers where id = $1");
        Ok(due.bind(id.0).fetch_optional(self.conn()).await?)
    }
}

/// What waits for the user's heartbeat waits for this one from now on; what is due already is not put off.
pub(crate) async fn move_wakes(tenant: &mut Tenant, due_at: DateTime<Utc>) -> Result<()> {
    let user = tenant.user().clone();
    sqlx::query(
        "update timers set due_at = $2 where user_id = $1 and kind = 'wake' and due_at > clock_timestamp()",
    )
    .bind(user.as_str())
    .bind(due_at)
    .execute(tenant.conn())
    .await?;
    Ok(())
}

impl Store {
    /// Those of the `limit` earliest late wake-ups whose users have hours, with these, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wakes_late(&self, limit: i64) -> Result<Vec<DueHeartbeat>> {
        // The others are not read through to find these: there may be many, and they are fired, so that these come next.
        let sql = format!(
            "select t.id, t.user_id, t.due_at, now() as now, s.updated_at, {COLUMNS}
             from (select id, user_id, due_at from timers
                   where kind = 'wake' and due_at < now() - interval '{LATE_SECS} seconds'
                   order by due_at, id limit $1) t
             join user_settings s on s.user_id = t.user_id and s.active_hours is not null
             order by t.due_at, t.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(heartbeats::due).collect()
    }

    /// Has wake-ups wait on, as long as this term of `duty` goes on. Tells how many; the others, or their users' settings, were changed, or
    /// somebody holds them.
    ///
    /// # Errors
    /// When the database fails; then none was moved.
    pub async fn wakes_put_off(&self, duty: &str, term: i64, wakes: &[PutOff]) -> Result<u64> {
        // `(...) is true` is no condition of an index: each is found by its id, whatever the planner was told about timers.
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "with {FENCE},
             held as materialized (
                 select t.id, i.next
                 from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                      as i (timer, was_due, was_changed, next)
                 join timers t on t.id = i.timer and (t.kind = 'wake' and t.due_at = i.was_due) is true
                 join user_settings s on s.user_id = t.user_id and s.updated_at = i.was_changed
                 where exists (select 1 from fence)
                 for update of t skip locked)
             update timers t set due_at = h.next from held h where t.id = h.id"
        )))
        .bind(duty)
        .bind(term)
        .bind(wakes.iter().map(|w| w.timer).collect::<Vec<_>>())
        .bind(wakes.iter().map(|w| w.was_due).collect::<Vec<_>>())
        .bind(wakes.iter().map(|w| w.was_changed).collect::<Vec<_>>())
        .bind(wakes.iter().map(|w| w.next).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Turns up to `limit` due timers into messages, the earliest first; none when this term of `duty` is over. Late ones of users who
    /// have hours wait until they were looked at ([`Store::wakes_late`]): of those only `within` are fired.
    ///
    /// # Errors
    /// When the database fails; then none has fired, or all have and the owners' sweeps will find the messages.
    pub async fn timers_fire(&self, duty: &str, term: i64, limit: i64, within: &[Uuid]) -> Result<Vec<Work>> {
        let sql = format!(
            "with {FENCE},
             due as materialized (
                 select t.id from timers t
                 where t.kind = 'wake' and t.due_at <= now() and exists (select 1 from fence)
                   and (t.due_at >= now() - interval '{LATE_SECS} seconds' or t.id = any ($4)
                        or not exists (select 1 from user_settings s
                                       where s.user_id = t.user_id and s.active_hours is not null offset 0))
                 order by t.due_at, t.id limit $3 for update of t skip locked),
             fired as (
                 delete from timers t using due where t.id = due.id
                 returning t.id, t.user_id, t.due_at, t.shard, t.channel_id, t.conversation, t.payload,
                           t.source),
             accepted as (
                 insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
                 select id, user_id, channel_id, shard, 'in', conversation, payload, source from fired
                 order by due_at, id returning *),
             told as ({TELL_ACCEPTED})
             select {WORK} from accepted m"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(duty)
            .bind(term)
            .bind(limit)
            .bind(within)
            .fetch_all(&self.pool)
            .await?;
        let mut fired: Vec<Work> = rows.iter().map(work).collect::<Result<_>>()?;
        fired.sort_by_key(|work| work.seq);
        Ok(fired)
    }
}
