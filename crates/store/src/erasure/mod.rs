//! Erasing a person: everything that is kept of a user goes, in steps that anybody may take.
//!
//! A row of `erasures` says that it is to be done. A step is one short transaction that locks that row, removes a bounded
//! number of rows and counts them: whoever is killed when, what was removed is counted, and the next step goes on. Two
//! processes never take a step of one erasure at once, and none waits for the other.
//!
//! Must hold: *finished* is said only when nothing is left. What was under way when the erasure began (a webhook in a
//! gateway's hands, an answer in a worker's) may still write, so the end comes only after nothing was found for a
//! while, and what keeps more from coming goes first: channels are stopped, keys and hooks removed. Attachments and the
//! channels' tombstones go last, when no row can lead to them any more.

mod kinds;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_types::{ChannelId, MessageId, ShardId, UserId};
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use self::kinds::{ATTACHMENTS, CHANNELS, KINDS};
use crate::channels::changed;
use crate::pool::Txn;
use crate::tenant::write;
use crate::{Actor, Change, Error, Result, Store};

/// Rows in one step: a fraction of a second, so that nobody waits behind it.
const BATCH: i64 = 1_000;

/// An erasure and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose.
    pub user_id: UserId,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// Since when nothing is left; `None` while it goes on.
    pub finished_at: Option<DateTime<Utc>>,
    /// How many of each kind of thing were removed so far.
    pub removed: BTreeMap<String, i64>,
}

/// What one step did.
#[derive(Debug)]
pub struct Step {
    /// Channels that it stopped: their owners and the gateways are to be told.
    pub stopped: Vec<(ChannelId, ShardId)>,
    /// Whether keys to the API were removed: gateways are to be told.
    pub keys_changed: bool,
    /// What comes next.
    pub next: Next,
}

/// What comes after a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Another step, at once.
    More,
    /// These messages' attachments are to be removed from their store, then [`Store::erasure_attachments_gone`].
    Attachments(Vec<MessageId>),
    /// Nothing for now: it was not long enough ago that something was found, somebody else is at it, or it is finished.
    Wait,
    /// Nothing more: this step was the last one.
    Finished,
}

impl Step {
    fn only(next: Next) -> Self {
        Self { stopped: Vec::new(), keys_changed: false, next }
    }
}

impl Store {
    /// Has a user's data removed. While it goes on, asking for it again changes nothing; after its end it begins anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erasure_begin(&self, user: &UserId, actor: &Actor) -> Result<Erasure> {
        let mut txn = self.pool.begin().await?;
        let begun = sqlx::query(
            "insert into erasures as e (user_id, requested_by) values ($1, $2)
             on conflict (user_id) do update set requested_by = $2, requested_at = now(), found_at = now(),
                 finished_at = null, removed = '{}'
             where e.finished_at is not null",
        )
        .bind(user.as_str())
        .bind(&actor.name)
        .execute(&mut txn)
        .await?;
        if begun.rows_affected() == 1 {
            note(&mut txn, actor, user, "user.erasure_begun", json!({})).await?;
        }
        txn.commit().await?;
        self.erasure(user).await
    }

    /// A user's last erasure.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there was none.
    pub async fn erasure(&self, user: &UserId) -> Result<Erasure> {
        let row = sqlx::query(
            "select user_id, requested_by, requested_at, finished_at, removed::text as removed from erasures
             where user_id = $1",
        )
        .bind(user.as_str())
        .fetch_optional(self.tenant(user).await?.conn())
        .await?;
        row.as_ref().map_or(Err(Error::NotFound("erasure")), erasure)
    }

    /// The users whose erasure goes on, in the order in which they were asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erasures_unfinished(&self) -> Result<Vec<UserId>> {
        let users: Vec<String> = sqlx::query_scalar(
            "select user_id from erasures where finished_at is null order by requested_at, user_id",
        )
        .fetch_all(&self.pool)
        .await?;
        users.iter().map(|user| parse(user)).collect()
    }

    /// The users who are being erased or were within the last `days`, and since when nothing is left of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erasures_recent(&self, days: i32) -> Result<Vec<(UserId, Option<DateTime<Utc>>)>> {
        let rows: Vec<(String, Option<DateTime<Utc>>)> = sqlx::query_as(
            "select user_id, finished_at from erasures
             where finished_at is null or finished_at > now() - make_interval(days => $1)",
        )
        .bind(days)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|(user, finished)| Ok((parse(&user)?, finished))).collect()
    }

    /// Takes one step. `quiet` is how long nothing must have been found before the end.
    ///
    /// # Errors
    /// When the database fails; then the step was not taken.
    pub async fn erasure_step(&self, user: &UserId, quiet: Duration) -> Result<Step> {
        let mut txn = self.pool.begin().await?;
        let locked: Option<bool> = sqlx::query_scalar(
            "select found_at <= now() - make_interval(secs => $2) from erasures
             where user_id = $1 and finished_at is null for update skip locked",
        )
        .bind(user.as_str())
        .bind(quiet.as_secs_f64())
        .fetch_optional(&mut txn)
        .await?;
        let Some(quiet_enough) = locked else {
            txn.rollback().await?;
            return Ok(Step::only(Next::Wait));
        };
        let stopped = stop_channels(&mut txn, user).await?;
        let removed = remove_some(&mut txn, user).await?;
        let step = if stopped.is_empty() && removed.is_empty() {
            let next = if quiet_enough { end(&mut txn, user).await? } else { Next::Wait };
            Step::only(next)
        } else {
            let found = sqlx::query("update erasures set found_at = now() where user_id = $1");
            found.bind(user.as_str()).execute(&mut txn).await?;
            count(&mut txn, user, &removed).await?;
            let keys_changed = removed.iter().any(|(name, _)| *name == "api_keys");
            Step { stopped, keys_changed, next: Next::More }
        };
        txn.commit().await?;
        Ok(step)
    }

    /// Notes that these messages' attachments were removed from their store; noted twice, they count once.
    ///
    /// # Errors
    /// When the database fails; then they are named by a step again.
    pub async fn erasure_attachments_gone(&self, user: &UserId, gone: &[MessageId]) -> Result<()> {
        let mut txn = self.pool.begin().await?;
        // First, as every step does: who notes the same ones waits here, and then finds nothing to count.
        sqlx::query("select 1 from erasures where user_id = $1 for update")
            .bind(user.as_str())
            .execute(&mut txn)
            .await?;
        let done =
            sqlx::query("delete from erasure_attachments where user_id = $1 and message_id = any ($2)")
                .bind(user.as_str())
                .bind(gone.iter().map(|id| id.0).collect::<Vec<_>>())
                .execute(&mut txn)
                .await?;
        count(&mut txn, user, &[(ATTACHMENTS, number(done.rows_affected()))]).await?;
        Ok(txn.commit().await?)
    }
}

/// As a deletion of each of them: its secrets go at once, and a tombstone stays for its owner to see.
async fn stop_channels(txn: &mut Txn, user: &UserId) -> Result<Vec<(ChannelId, ShardId)>> {
    let rows = sqlx::query(
        "update channels set deleted_at = now(), updated_at = now(), revision = revision + 1, secrets = null,
             secrets_key = null, fingerprint = null
         where id = any (array(select id from channels where user_id = $1 and deleted_at is null limit $2))
         returning id, shard, revision",
    )
    .bind(user.as_str())
    .bind(BATCH)
    .fetch_all(txn)
    .await?;
    rows.iter().map(|row| changed(row).map(|(id, shard, _)| (id, shard))).collect()
}

/// Removes rows of one kind after another until it is enough for one transaction.
async fn remove_some(txn: &mut Txn, user: &UserId) -> Result<Vec<(&'static str, i64)>> {
    let (mut removed, mut room) = (Vec::new(), BATCH);
    for kind in KINDS {
        let some: i64 =
            sqlx::query_scalar(kind.sql).bind(user.as_str()).bind(room).fetch_one(&mut *txn).await?;
        if some > 0 {
            removed.push((kind.name, some));
            room -= some;
        }
        if room <= 0 {
            break;
        }
    }
    Ok(removed)
}

/// What comes after the last row: attachments, then the channels, then the end.
async fn end(txn: &mut Txn, user: &UserId) -> Result<Next> {
    let attached: Vec<Uuid> =
        sqlx::query_scalar("select message_id from erasure_attachments where user_id = $1 limit $2")
            .bind(user.as_str())
            .bind(BATCH / 10)
            .fetch_all(&mut *txn)
            .await?;
    if !attached.is_empty() {
        return Ok(Next::Attachments(attached.into_iter().map(MessageId).collect()));
    }
    for kind in KINDS {
        let left: bool = sqlx::query_scalar(kind.left).bind(user.as_str()).fetch_one(&mut *txn).await?;
        if left {
            return Ok(Next::Wait);
        }
    }
    let channels = sqlx::query(
        "delete from channels where id = any (array(select id from channels where user_id = $1 limit $2))",
    )
    .bind(user.as_str())
    .bind(BATCH)
    .execute(&mut *txn)
    .await?;
    let removed = number(channels.rows_affected());
    let counts = count(txn, user, &[(CHANNELS, removed)]).await?;
    if removed == BATCH {
        return Ok(Next::More);
    }
    let by: String = sqlx::query_scalar(
        "update erasures set finished_at = now() where user_id = $1 returning requested_by",
    )
    .bind(user.as_str())
    .fetch_one(&mut *txn)
    .await?;
    note(txn, &Actor::named(&by), user, "user.erased", json!({ "removed": counts })).await?;
    Ok(Next::Finished)
}

/// Adds to what was removed, and tells how much that is by now. The row must be locked.
async fn count(txn: &mut Txn, user: &UserId, more: &[(&'static str, i64)]) -> Result<BTreeMap<String, i64>> {
    let before: String = sqlx::query_scalar("select removed::text from erasures where user_id = $1")
        .bind(user.as_str())
        .fetch_one(&mut *txn)
        .await?;
    let mut removed: BTreeMap<String, i64> = serde_json::from_str(&before)?;
    for (name, some) in more {
        *removed.entry((*name).to_owned()).or_default() += some;
    }
    sqlx::query("update erasures set removed = $2::json where user_id = $1")
        .bind(user.as_str())
        .bind(serde_json::to_string(&removed)?)
        .execute(txn)
        .await?;
    Ok(removed)
}

/// An audit entry that stays: it is not the user's, and says nothing of them but that they were erased.
async fn note(
    txn: &mut Txn,
    actor: &Actor,
    user: &UserId,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<()> {
    write(txn, actor, None, &Change { action, subject: user.as_str(), detail }).await
}

fn number(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn parse(user: &str) -> Result<UserId> {
    user.parse().map_err(|_| Error::BadRow {
        table: "erasures",
        id: user.to_owned(),
        column: "user_id",
        value: user.to_owned(),
    })
}

fn erasure(row: &PgRow) -> Result<Erasure> {
    let user: String = row.try_get("user_id")?;
    let counted: BTreeMap<String, i64> = serde_json::from_str(row.try_get("removed")?)?;
    let all = KINDS.iter().map(|kind| kind.name).chain([ATTACHMENTS, CHANNELS]);
    let mut removed: BTreeMap<String, i64> = all.map(|name| (name.to_owned(), 0)).collect();
    removed.extend(counted);
    Ok(Erasure {
        user_id: parse(&user)?,
        requested_by: row.try_get("requested_by")?,
        requested_at: row.try_get("requested_at")?,
        finished_at: row.try_get("finished_at")?,
        removed,
    })
}
