//! Where events are posted to: a user's own and the operator's.
//!
//! Whose it is comes as `owner`: a user, under that user's rights, or `None` for the operator's, which get everybody's
//! events. The functions at the end are for the worker that owns a destination's shard; what they write is fenced by
//! its epoch.

use chrono::{DateTime, Utc};
use claw_secrets::Sealed;
use claw_types::{Epoch, ShardId, UserId};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::events::tell;
use crate::pool::Txn;
use crate::tenant::{made_before, once, write};
use crate::{Actor, Change, Error, EventFilter, News, Place, Result, Store, Vault};

/// Most destinations of one owner: each gets every event, so they multiply the work.
pub const MOST: i64 = 20;

/// A destination without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its id.
    pub id: Uuid,
    /// Whose; `None` for the operator's.
    pub user_id: Option<UserId>,
    /// What it is called.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// Which ones.
    pub filter: EventFilter,
    /// Whether it gets any.
    pub enabled: bool,
    /// Who delivers.
    pub shard: ShardId,
    /// Raised by every change of the above.
    pub revision: i64,
    /// Up to where it has them all.
    pub cursor: Place,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Since when it fails.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it is tried again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it last took an event.
    pub last_delivered_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A destination to make; it gets what happens from then on.
#[derive(Debug, Clone)]
pub struct NewDestination {
    /// Its id.
    pub id: Uuid,
    /// Whose; `None` for the operator's.
    pub user_id: Option<UserId>,
    /// Who delivers.
    pub shard: ShardId,
    /// The rest.
    pub settings: DestinationSettings,
    /// The key of its signatures.
    pub secret: String,
}

/// What can be changed about a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationSettings {
    /// What it is called.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// Which ones.
    pub filter: EventFilter,
    /// Whether it gets any.
    pub enabled: bool,
}

/// A destination that there may be something for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: Uuid,
    /// Whose; `None` for the operator's.
    pub user_id: Option<UserId>,
    /// Who delivers.
    pub shard: ShardId,
}

/// Why and how an event was not taken.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The destination.
    pub id: Uuid,
    /// As of which change of it.
    pub revision: i64,
    /// Its shard.
    pub shard: ShardId,
    /// The claim.
    pub epoch: Epoch,
    /// Why.
    pub error: String,
    /// Seconds until the next attempt.
    pub due_in: f64,
    /// Whether it said that it wants no more.
    pub gone: bool,
    /// Days of failing after which it is switched off.
    pub patience_days: i32,
}

/// What became of what was to be written about a destination under its shard's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served<T> {
    /// It is written, and the destination was as it had been loaded.
    Written(T),
    /// The destination was changed since it was loaded, is switched off, or deleted: who loads it again knows.
    Changed,
    /// Nothing is written: the claim is over.
    NotOwner,
}

impl<T> Served<T> {
    /// Nothing was found that is as it had been loaded; `ours` when the claim is the newest one.
    fn otherwise(ours: bool) -> Self {
        if ours { Self::Changed } else { Self::NotOwner }
    }
}

const COLUMNS: &str = "d.id, d.user_id, d.name, d.url, d.types, d.channel, d.enabled, d.shard, d.revision, \
     d.cursor_xact::text as cursor_xact, d.cursor_id, d.attempts, d.failing_since, d.next_attempt_at, d.last_error, \
     d.last_delivered_at, d.created_at, d.updated_at";

const WHAT: &str = "event destination";
/// Of idempotency keys.
const KIND: &str = "destination";

fn owner_key(owner: Option<&UserId>) -> &str {
    owner.map_or("", UserId::as_str)
}

/// Where a destination's secret belongs.
pub(crate) fn place(id: Uuid) -> String {
    format!("event destination/{id}")
}

impl Store {
    async fn owner(&self, owner: Option<&UserId>) -> Result<Txn> {
        match owner {
            Some(user) => Ok(self.tenant(user).await?.into_txn()),
            None => Ok(self.pool.begin().await?),
        }
    }

    /// Makes a destination. `idempotency` is the caller's key and the digest of the body; answers the destination that
    /// was made under it before, if any.
    ///
    /// # Errors
    /// [`Error::KeyReused`], [`Error::TooMany`], or when the database fails.
    pub async fn destination_create(
        &self,
        vault: &Vault,
        new: &NewDestination,
        actor: &Actor,
        idempotency: Option<(&str, [u8; 32])>,
    ) -> Result<(Destination, bool)> {
        let owner = new.user_id.as_ref();
        let mut txn = self.owner(owner).await?;
        if let Some((key, digest)) = idempotency
            && let Some(before) = once(&mut txn, owner_key(owner), KIND, key, digest, new.id).await?
        {
            txn.rollback().await?;
            return Ok((self.destination(owner, before).await?, false));
        }
        let sealed = vault.seal_text(&place(new.id), &new.secret)?;
        let sql = format!(
            "insert into event_destinations as d (id, user_id, name, url, types, channel, enabled, shard, secret,
                 secret_key, cursor_xact, cursor_id)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, pg_snapshot_xmin(pg_current_snapshot()), 0
             where (select count(*) from event_destinations where coalesce(user_id, '') = coalesce($2, '')) < $11
             returning {COLUMNS}"
        );
        // One at a time for each owner: two at once would both still see room.
        sqlx::query("select pg_advisory_xact_lock(hashtext('event destinations'), hashtext($1))")
            .bind(owner_key(owner))
            .execute(&mut txn)
            .await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(new.id)
            .bind(owner.map(UserId::as_str))
            .bind(&new.settings.name)
            .bind(&new.settings.url)
            .bind(&new.settings.filter.types)
            .bind(&new.settings.filter.channel)
            .bind(new.settings.enabled)
            .bind(new.shard.as_i32())
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .bind(MOST)
            .fetch_optional(&mut txn)
            .await?
            .ok_or(Error::TooMany { what: "event destinations", limit: MOST })?;
        let made = destination(&row)?;
        audit(&mut txn, actor, "destination.created", &made, detail(&made)).await?;
        txn.commit().await?;
        Ok((made, true))
    }

    /// The destination that was made under a caller's key, if any.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key came with another body, [`Error::NotFound`] when it was deleted since.
    pub async fn destination_made(
        &self,
        owner: Option<&UserId>,
        key: &str,
        digest: [u8; 32],
    ) -> Result<Option<Destination>> {
        let mut txn = self.owner(owner).await?;
        let before = made_before(&mut txn, owner_key(owner), KIND, key, digest).await?;
        txn.commit().await?;
        match before {
            Some(id) => self.destination(owner, id).await.map(Some),
            None => Ok(None),
        }
    }

    /// An owner's destinations, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destinations(
        &self,
        owner: Option<&UserId>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Destination>> {
        let sql = format!(
            "select {COLUMNS} from event_destinations d
             where coalesce(d.user_id, '') = $1 and ($2::uuid is null or d.id < $2)
             order by d.id desc limit $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner_key(owner))
            .bind(before)
            .bind(limit)
            .fetch_all(&mut self.owner(owner).await?)
            .await?;
        rows.iter().map(destination).collect()
    }

    /// One destination of an owner.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner has no such destination.
    pub async fn destination(&self, owner: Option<&UserId>, id: Uuid) -> Result<Destination> {
        let sql = format!(
            "select {COLUMNS} from event_destinations d where d.id = $1 and coalesce(d.user_id, '') = $2"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(owner_key(owner))
            .fetch_optional(&mut self.owner(owner).await?)
            .await?;
        row.as_ref().map_or(Err(Error::NotFound(WHAT)), destination)
    }

    /// Changes a destination; a failing one is tried again at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner has no such destination, [`Error::Conflict`] when somebody else changed it
    /// since it was read as `revision`.
    pub async fn destination_change(
        &self,
        owner: Option<&UserId>,
        id: Uuid,
        revision: i64,
        settings: &DestinationSettings,
        actor: &Actor,
    ) -> Result<Destination> {
        let mut txn = self.owner(owner).await?;
        let sql = format!(
            "update event_destinations d set name = $3, url = $4, types = $5, channel = $6, enabled = $7,
                 revision = revision + 1, updated_at = now(),
                 attempts = 0, failing_since = null, next_attempt_at = null, last_error = null
             where d.id = $1 and coalesce(d.user_id, '') = $2 and d.revision = $8 returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(owner_key(owner))
            .bind(&settings.name)
            .bind(&settings.url)
            .bind(&settings.filter.types)
            .bind(&settings.filter.channel)
            .bind(settings.enabled)
            .bind(revision)
            .fetch_optional(&mut txn)
            .await?
            .ok_or(Error::Conflict)?;
        let changed = destination(&row)?;
        audit(&mut txn, actor, "destination.changed", &changed, detail(&changed)).await?;
        txn.commit().await?;
        Ok(changed)
    }

    /// Gives a destination another secret; the former one is not used again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner has no such destination.
    pub async fn destination_rekey(
        &self,
        vault: &Vault,
        owner: Option<&UserId>,
        id: Uuid,
        secret: &str,
        actor: &Actor,
    ) -> Result<Destination> {
        let mut txn = self.owner(owner).await?;
        let sealed = vault.seal_text(&place(id), secret)?;
        let sql = format!(
            "update event_destinations d set secret = $3, secret_key = $4, revision = revision + 1,
                 updated_at = now(), next_attempt_at = null
             where d.id = $1 and coalesce(d.user_id, '') = $2 returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(owner_key(owner))
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .fetch_optional(&mut txn)
            .await?
            .ok_or(Error::NotFound(WHAT))?;
        let changed = destination(&row)?;
        audit(&mut txn, actor, "destination.rekeyed", &changed, json!({"name": changed.name})).await?;
        txn.commit().await?;
        Ok(changed)
    }

    /// Deletes a destination.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner has no such destination.
    pub async fn destination_delete(
        &self,
        owner: Option<&UserId>,
        id: Uuid,
        actor: &Actor,
    ) -> Result<Destination> {
        let mut txn = self.owner(owner).await?;
        let sql = format!(
            "delete from event_destinations d where d.id = $1 and coalesce(d.user_id, '') = $2 returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(owner_key(owner))
            .fetch_optional(&mut txn)
            .await?
            .ok_or(Error::NotFound(WHAT))?;
        let deleted = destination(&row)?;
        audit(&mut txn, actor, "destination.deleted", &deleted, json!({"name": deleted.name})).await?;
        txn.commit().await?;
        Ok(deleted)
    }

    /// One destination with its secret, for its owner's test.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner has no such destination, or when its secret does not open.
    pub async fn destination_open(
        &self,
        vault: &Vault,
        owner: Option<&UserId>,
        id: Uuid,
    ) -> Result<(Destination, String)> {
        let sql = format!(
            "select {COLUMNS}, d.secret, d.secret_key from event_destinations d
             where d.id = $1 and coalesce(d.user_id, '') = $2"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(owner_key(owner))
            .fetch_optional(&mut self.owner(owner).await?)
            .await?;
        let row = row.ok_or(Error::NotFound(WHAT))?;
        Ok((destination(&row)?, secret(vault, &row)?))
    }

    /// The destinations of these shards that there is something for, by what is behind their cursors, and whose time
    /// has come.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destinations_due(&self, shards: &[ShardId]) -> Result<Vec<Due>> {
        let rows: Vec<(Uuid, Option<String>, i32)> = sqlx::query_as(
            "with edge as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xact)
             select d.id, d.user_id, d.shard from event_destinations d cross join edge
             where d.shard = any ($1) and d.enabled and (d.next_attempt_at is null or d.next_attempt_at <= now())
               and case when d.user_id is null then exists (
                       select 1 from events e
                       where (e.xact, e.id) > (d.cursor_xact, d.cursor_id) and e.xact < edge.xact)
                   else exists (
                       select 1 from events e
                       where e.user_id = d.user_id and (e.xact, e.id) > (d.cursor_xact, d.cursor_id)
                         and e.xact < edge.xact) end",
        )
        .bind(shards.iter().map(|shard| shard.as_i32()).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        // A row that can't be read must not keep the others from being served.
        let due = |(id, user, shard)| {
            Some(Due { id, user_id: user_of(id, user).ok()?, shard: shard_of(id, shard).ok()? })
        };
        Ok(rows.into_iter().filter_map(due).collect())
    }

    /// One destination and its secret, for who delivers; `None` when there is none or it gets nothing. A secret that does
    /// not open is the destination's trouble, not the caller's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destination_load(
        &self,
        vault: &Vault,
        id: Uuid,
    ) -> Result<Option<(Destination, Result<String>)>> {
        let sql = format!(
            "select {COLUMNS}, d.secret, d.secret_key from event_destinations d where d.id = $1 and d.enabled"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| Ok((destination(row)?, secret(vault, row)))).transpose()
    }

    /// Everything up to here is delivered or was not wanted; `taken` when some was delivered, so that it does not fail
    /// any more. This is written even of a destination that was changed since `revision` ([`Served::Changed`]).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destination_advance(
        &self,
        id: Uuid,
        revision: i64,
        shard: ShardId,
        epoch: Epoch,
        upto: Place,
        taken: bool,
    ) -> Result<Served<()>> {
        // What was taken was taken, whatever was changed meanwhile.
        let (ours, same): (bool, Option<bool>) = sqlx::query_as(
            "with fence as materialized (select 1 from shards where shard = $2 and epoch = $3 for share),
             advanced as (
                 update event_destinations set cursor_xact = $4::text::xid8, cursor_id = $5,
                     attempts = case when $6 then 0 else attempts end,
                     failing_since = case when $6 then null else failing_since end,
                     next_attempt_at = case when $6 then null else next_attempt_at end,
                     last_error = case when $6 then null else last_error end,
                     last_delivered_at = case when $6 then now() else last_delivered_at end
                 where id = $1 and exists (select 1 from fence) returning revision = $7 and enabled as same)
             select exists (select 1 from fence), (select same from advanced)",
        )
        .bind(id)
        .bind(shard.as_i32())
        .bind(epoch.0)
        .bind(upto.xact.to_string())
        .bind(upto.id)
        .bind(taken)
        .bind(revision)
        .fetch_one(&self.pool)
        .await?;
        Ok(if same == Some(true) { Served::Written(()) } else { Served::otherwise(ours) })
    }

    /// An event was not taken. A destination that is gone, or has failed for too long, is switched off: in the same
    /// transaction its owner is told and it is in the audit log. Tells whether it was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn destination_refused(&self, refusal: &Refusal, actor: &Actor) -> Result<Served<bool>> {
        let mut txn = self.pool.begin().await?;
        let sql = format!(
            "with fence as materialized (select 1 from shards where shard = $2 and epoch = $3 for share),
             refused as (
                 update event_destinations d set attempts = attempts + 1, failing_since = coalesce(failing_since, now()),
                     next_attempt_at = now() + make_interval(secs => $5),
                     enabled = not ($6 or coalesce(failing_since < now() - make_interval(days => $7), false)),
                     last_error = case when $6 then $8 || '; switched off'
                         when failing_since < now() - make_interval(days => $7)
                         then $8 || '; switched off after ' || $7 || ' days of failing' else $8 end
                 where d.id = $1 and d.revision = $4 and d.enabled and exists (select 1 from fence)
                 returning {COLUMNS})
             select o.ours, refused.* from (select exists (select 1 from fence) as ours) o left join refused on true"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(refusal.id)
            .bind(refusal.shard.as_i32())
            .bind(refusal.epoch.0)
            .bind(refusal.revision)
            .bind(refusal.due_in)
            .bind(refusal.gone)
            .bind(refusal.patience_days)
            .bind(&refusal.error)
            .fetch_one(&mut txn)
            .await?;
        if row.try_get::<Option<Uuid>, _>("id")?.is_none() {
            return Ok(Served::otherwise(row.try_get("ours")?));
        }
        let refused = destination(&row)?;
        if !refused.enabled {
            let detail = json!({"id": refused.id, "name": refused.name, "error": refused.last_error});
            let news =
                News { kind: "destination.disabled", channel: None, message: None, data: detail.clone() };
            tell(&mut txn, refused.user_id.as_ref(), &news).await?;
            audit(&mut txn, actor, "destination.disabled", &refused, detail).await?;
        }
        txn.commit().await?;
        Ok(Served::Written(!refused.enabled))
    }
}

/// What the audit log keeps of it. Not the URL: some receivers have their secret in it.
fn detail(destination: &Destination) -> Value {
    json!({"name": destination.name, "types": destination.filter.types, "channel": destination.filter.channel,
           "enabled": destination.enabled})
}

async fn audit(
    txn: &mut Txn,
    actor: &Actor,
    action: &'static str,
    destination: &Destination,
    detail: Value,
) -> Result<()> {
    let subject = destination.id.to_string();
    write(txn, actor, destination.user_id.as_ref(), &Change { action, subject: &subject, detail }).await
}

fn secret(vault: &Vault, row: &PgRow) -> Result<String> {
    let sealed = Sealed { key_id: row.try_get("secret_key")?, bytes: row.try_get("secret")? };
    vault.open_text(&place(row.try_get("id")?), &sealed)
}

fn bad(id: Uuid, column: &'static str, value: String) -> Error {
    Error::BadRow { table: "event_destinations", id: id.to_string(), column, value }
}

fn user_of(id: Uuid, user: Option<String>) -> Result<Option<UserId>> {
    user.map(|user| user.parse().map_err(|_| bad(id, "user_id", user))).transpose()
}

fn shard_of(id: Uuid, shard: i32) -> Result<ShardId> {
    Ok(ShardId(u16::try_from(shard).map_err(|_| bad(id, "shard", shard.to_string()))?))
}

fn destination(row: &PgRow) -> Result<Destination> {
    let id: Uuid = row.try_get("id")?;
    let attempts: i32 = row.try_get("attempts")?;
    Ok(Destination {
        id,
        user_id: user_of(id, row.try_get("user_id")?)?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        filter: EventFilter { types: row.try_get("types")?, channel: row.try_get("channel")? },
        enabled: row.try_get("enabled")?,
        shard: shard_of(id, row.try_get("shard")?)?,
        revision: row.try_get("revision")?,
        cursor: Place::read(row.try_get("cursor_xact")?, row.try_get("cursor_id")?)?,
        attempts: u32::try_from(attempts).unwrap_or_default(),
        failing_since: row.try_get("failing_since")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        last_error: row.try_get("last_error")?,
        last_delivered_at: row.try_get("last_delivered_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
