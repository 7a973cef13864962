//! Backends of users' own: for all of a user's messages, or for those of one channel.
//!
//! Not rows of `event_destinations`: those are feeds, each with a cursor, a filter and a shard that reads for it, and there
//! may be many of one owner. Here is one address for each place; messages are queued as ever and only posted elsewhere.
//!
//! Must hold: whatever is changed raises `revision` and moves `updated_at`, so that a worker that asks for what changed
//! since its last look ends with the present state, whatever it missed.

use chrono::{DateTime, Utc};
use claw_secrets::Sealed;
use claw_types::{ChannelId, UserId};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::events::tell;
use crate::tenant::write;
use crate::{Actor, Change, Error, News, Result, Store, Tenant, Vault};

/// Secrets that sign at once: one to use, one to come, and one that nobody has taken away yet.
pub const MOST_SECRETS: usize = 4;

/// Whose messages a backend gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BackendPlace {
    /// The user.
    pub user_id: UserId,
    /// Of this channel only.
    pub channel: Option<ChannelId>,
}

/// A backend of a user's own, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnBackend {
    /// Its id.
    pub id: Uuid,
    /// Whose messages it gets.
    pub place: BackendPlace,
    /// Where they go.
    pub url: String,
    /// How many secrets sign.
    pub secrets: usize,
    /// Webhooks of one worker under way at once.
    pub max_in_flight: u16,
    /// Why it gets no more messages, and since when.
    pub disabled: Option<(String, DateTime<Utc>)>,
    /// Raised by every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What [`Store::backend_save`] writes.
#[derive(Debug, Clone)]
pub struct SaveBackend {
    /// The id to give it when it is new.
    pub id: Uuid,
    /// Whose messages it gets.
    pub place: BackendPlace,
    /// Where they go.
    pub url: String,
    /// The keys of the signatures, the first one first; `None` keeps the stored ones. A new one needs some.
    pub secrets: Option<Vec<String>>,
    /// Webhooks of one worker under way at once.
    pub max_in_flight: u16,
    /// The revision that this replaces; `None` makes a new one.
    pub replaces: Option<i64>,
}

/// A backend as workers need it.
#[derive(Debug)]
pub struct LoadedBackend {
    /// Whose messages it gets.
    pub place: BackendPlace,
    /// Raised by every change.
    pub revision: i64,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// With its secrets opened, or why they don't open; `None` when it was deleted.
    pub backend: Option<(OwnBackend, Result<Vec<String>>)>,
}

const COLUMNS: &str = "b.id, b.user_id, b.channel_id, b.url, b.secrets_count, b.max_in_flight, b.disabled_reason, \
     b.disabled_at, b.revision, b.created_at, b.updated_at";

const WHAT: &str = "backend of the user's own here";

/// Where its secrets belong. No user's id has a slash.
pub(crate) fn seal(place: &BackendPlace) -> String {
    match place.channel {
        Some(channel) => format!("backend/{}/{channel}", place.user_id),
        None => format!("backend/{}/", place.user_id),
    }
}

fn channel_of(place: &BackendPlace) -> Option<Uuid> {
    place.channel.map(|channel| channel.0)
}

impl Store {
    /// The backend that is configured for just this place.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn backend(&self, place: &BackendPlace) -> Result<OwnBackend> {
        let sql = format!(
            "select {COLUMNS} from backends b
             where b.user_id = $1 and b.channel_id is not distinct from $2 and b.deleted_at is null"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(place.user_id.as_str())
            .bind(channel_of(place))
            .fetch_optional(self.tenant(&place.user_id).await?.conn())
            .await?;
        row.as_ref().map_or(Err(Error::NotFound(WHAT)), backend)
    }

    /// Makes a backend, or replaces the revision that was read; one that was switched off is on again.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else was faster, [`Error::BeingErased`] for a new one of a user who is being
    /// erased; then nothing was stored.
    pub async fn backend_save(&self, vault: &Vault, save: &SaveBackend, actor: &Actor) -> Result<OwnBackend> {
        let mut tenant = self.tenant(&save.place.user_id).await?;
        if save.replaces.is_none() {
            not_being_erased(&mut tenant).await?;
        }
        let secrets = save.secrets.as_ref();
        let sealed = match secrets {
            Some(secrets) => Some(vault.seal_text(&seal(&save.place), &serde_json::to_string(secrets)?)?),
            None => None,
        };
        let sql = if save.replaces.is_none() { insert() } else { update() };
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(save.place.user_id.as_str())
            .bind(channel_of(&save.place))
            .bind(&save.url)
            .bind(sealed.as_ref().map(|sealed| sealed.bytes.as_slice()))
            .bind(sealed.as_ref().map(|sealed| sealed.key_id.as_str()))
            .bind(secrets.map(|secrets| i32::try_from(secrets.len()).unwrap_or(i32::MAX)))
            .bind(i32::from(save.max_in_flight));
        let query = match save.replaces {
            None => query.bind(save.id),
            Some(revision) => query.bind(revision),
        };
        let row = query.fetch_optional(tenant.conn()).await?.ok_or(Error::Conflict)?;
        let saved = backend(&row)?;
        let action = if save.replaces.is_none() { "backend.created" } else { "backend.changed" };
        let change = Change { action, subject: &saved.id.to_string(), detail: detail(&saved) };
        tenant.audit(actor, &change).await?;
        tenant.commit().await?;
        Ok(saved)
    }

    /// Deletes a backend; its URL and secrets go at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn backend_delete(&self, place: &BackendPlace, actor: &Actor) -> Result<OwnBackend> {
        let mut tenant = self.tenant(&place.user_id).await?;
        let sql = format!(
            "with before as materialized (
                 select * from backends
                 where user_id = $1 and channel_id is not distinct from $2 and deleted_at is null for update),
             gone as (
                 update backends b set url = null, secrets = null, secrets_key = null, secrets_count = 0,
                     disabled_reason = null, disabled_at = null, revision = b.revision + 1, updated_at = now(),
                     deleted_at = now()
                 from before where b.id = before.id)
             select {COLUMNS} from before b"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(place.user_id.as_str())
            .bind(channel_of(place))
            .fetch_optional(tenant.conn())
            .await?
            .ok_or(Error::NotFound(WHAT))?;
        let deleted = backend(&row)?;
        let change = Change {
            action: "backend.deleted",
            subject: &deleted.id.to_string(),
            detail: json!({"channel_id": place.channel}),
        };
        tenant.audit(actor, &change).await?;
        tenant.commit().await?;
        Ok(deleted)
    }

    /// Those that changed within the last `seconds`, deleted ones, too; all of them for `None`. One whose secrets don't open
    /// keeps none of the others back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backends_changed(&self, vault: &Vault, seconds: Option<f64>) -> Result<Vec<LoadedBackend>> {
        let sql = format!(
            "select {COLUMNS}, b.secrets, b.secrets_key, b.deleted_at is not null as deleted from backends b
             where $1::float8 is null or b.updated_at > now() - make_interval(secs => $1)"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(seconds).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let place = place(row)?;
                let backend = if row.try_get("deleted")? {
                    None
                } else {
                    Some((backend(row)?, secrets(vault, &place, row)))
                };
                let (revision, updated_at) = (row.try_get("revision")?, row.try_get("updated_at")?);
                Ok(LoadedBackend { place, revision, updated_at, backend })
            })
            .collect()
    }

    /// Switches a backend off, because it said so: in the same transaction its owner is told and it is in the audit log.
    /// Tells whether it was as of this revision.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backend_disable(
        &self,
        id: Uuid,
        revision: i64,
        reason: &str,
        actor: &Actor,
    ) -> Result<bool> {
        let mut txn = self.pool.begin().await?;
        let sql = format!(
            "update backends b set disabled_reason = $3, disabled_at = now(), revision = revision + 1,
                 updated_at = now()
             where id = $1 and revision = $2 and deleted_at is null returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(revision)
            .bind(reason)
            .fetch_optional(&mut txn)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let disabled = backend(&row)?;
        let (user, subject) = (Some(&disabled.place.user_id), disabled.id.to_string());
        let data = json!({"id": disabled.id, "reason": reason});
        let news = News {
            kind: "backend.disabled",
            channel: disabled.place.channel,
            message: None,
            data: data.clone(),
        };
        tell(&mut txn, user, &news).await?;
        write(&mut txn, actor, user, &Change { action: "backend.disabled", subject: &subject, detail: data })
            .await?;
        txn.commit().await?;
        Ok(true)
    }

    /// Removes what was deleted, or whose channel was, more than `days` ago. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backends_forget(&self, days: i32) -> Result<u64> {
        let done = sqlx::query(
            "delete from backends b where b.deleted_at < now() - make_interval(days => $1)
                or exists (select 1 from channels c where c.id = b.channel_id
                           and c.deleted_at < now() - make_interval(days => $1))",
        )
        .bind(days)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

async fn not_being_erased(tenant: &mut Tenant) -> Result<()> {
    let user = tenant.user().clone();
    let sql = "select exists (select 1 from erasures where user_id = $1 and finished_at is null)";
    let erased: bool = sqlx::query_scalar(sql).bind(user.as_str()).fetch_one(tenant.conn()).await?;
    if erased { Err(Error::BeingErased) } else { Ok(()) }
}

/// A deleted row of the place is taken up again, with a higher revision.
fn insert() -> String {
    format!(
        "insert into backends as b (user_id, channel_id, url, secrets, secrets_key, secrets_count, max_in_flight, id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (user_id, coalesce(channel_id, '00000000-0000-0000-0000-000000000000')) do update
         set url = $3, secrets = $4, secrets_key = $5, secrets_count = $6, max_in_flight = $7,
             disabled_reason = null, disabled_at = null, revision = b.revision + 1, created_at = now(),
             updated_at = now(), deleted_at = null
         where b.deleted_at is not null
         returning {COLUMNS}"
    )
}

fn update() -> String {
    format!(
        "update backends b set url = $3, secrets = coalesce($4, secrets), secrets_key = coalesce($5, secrets_key),
             secrets_count = coalesce($6, secrets_count), max_in_flight = $7, disabled_reason = null,
             disabled_at = null, revision = revision + 1, updated_at = now()
         where user_id = $1 and channel_id is not distinct from $2 and revision = $8 and deleted_at is null
         returning {COLUMNS}"
    )
}

/// What the audit log keeps of it. Not the URL: some receivers have their secret in it.
fn detail(backend: &OwnBackend) -> Value {
    json!({"channel_id": backend.place.channel, "secrets": backend.secrets,
           "max_in_flight": backend.max_in_flight})
}

fn secrets(vault: &Vault, place: &BackendPlace, row: &PgRow) -> Result<Vec<String>> {
    let sealed = Sealed { key_id: row.try_get("secrets_key")?, bytes: row.try_get("secrets")? };
    Ok(serde_json::from_str(&vault.open_text(&seal(place), &sealed)?)?)
}

fn bad(id: Uuid, column: &'static str, value: String) -> Error {
    Error::BadRow { table: "backends", id: id.to_string(), column, value }
}

pub(crate) fn place(row: &PgRow) -> Result<BackendPlace> {
    let (id, user): (Uuid, String) = (row.try_get("id")?, row.try_get("user_id")?);
    let channel: Option<Uuid> = row.try_get("channel_id")?;
    let user_id = user.parse().map_err(|_| bad(id, "user_id", user))?;
    Ok(BackendPlace { user_id, channel: channel.map(ChannelId) })
}

fn backend(row: &PgRow) -> Result<OwnBackend> {
    let id: Uuid = row.try_get("id")?;
    let (secrets, most): (i32, i32) = (row.try_get("secrets_count")?, row.try_get("max_in_flight")?);
    let (reason, at): (Option<String>, _) = (row.try_get("disabled_reason")?, row.try_get("disabled_at")?);
    Ok(OwnBackend {
        id,
        place: place(row)?,
        url: row.try_get("url")?,
        secrets: usize::try_from(secrets).map_err(|_| bad(id, "secrets_count", secrets.to_string()))?,
        max_in_flight: u16::try_from(most).map_err(|_| bad(id, "max_in_flight", most.to_string()))?,
        disabled: reason.zip(at),
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
