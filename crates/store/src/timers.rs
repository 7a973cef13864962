//! Future acts: rows that the scheduler's leader turns into messages when they are due.
//!
//! A timer and the message that it becomes have the same id, and one statement takes the one away and makes the other.
//! So whoever dies when: each timer fires once. The leader's term fences that statement: a leader that was replaced
//! without noticing fires nothing. The other kinds of timers are told of in [`crate::cron`].

use chrono::{DateTime, Utc};
use claw_types::{MessageId, Work};

use crate::events::TELL_ACCEPTED;
use crate::messages::{WORK, work};
use crate::{NewMessage, Result, Store, Tenant};

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
    /// Turns up to `limit` due timers into messages, the earliest first; none when another term of `duty` has begun.
    ///
    /// # Errors
    /// When the database fails; then none has fired, or all have and the owners' sweeps will find the messages.
    pub async fn timers_fire(&self, duty: &str, term: i64, limit: i64) -> Result<Vec<Work>> {
        // The share lock keeps a new term from beginning between the check and the write.
        let sql = format!(
            "with fence as materialized (
                 select 1 from leaders where duty = $1 and term = $2 for share),
             due as materialized (
                 select id from timers
                 where kind = 'wake' and due_at <= now() and exists (select 1 from fence)
                 order by due_at, id limit $3 for update skip locked),
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
            .fetch_all(&self.pool)
            .await?;
        let mut fired: Vec<Work> = rows.iter().map(work).collect::<Result<_>>()?;
        fired.sort_by_key(|work| work.seq);
        Ok(fired)
    }
}
