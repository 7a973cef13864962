//! Keys to the API beside the operator's own: named, scoped, expiring, revocable. Only a digest of each is stored.

use chrono::{DateTime, Utc};
use claw_types::UserId;
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::tenant::{once, write};
use crate::{Actor, Change, Error, Result, Store};

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Looking at things.
    Read,
    /// Sending messages and waking agents.
    Send,
    /// Making, changing and deleting things.
    Manage,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
        }
    }

    /// The scope that [`Self::as_str`] names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id; part of the key itself.
    pub id: Uuid,
    /// The name it was given.
    pub name: String,
    /// The one user it is good for; `None` for all.
    pub user_id: Option<UserId>,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: Uuid,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// Its name.
    pub name: String,
    /// The one user it is good for.
    pub user_id: Option<UserId>,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str =
    "id, name, user_id, scopes, created_by, created_at, expires_at, revoked_at, last_used_at";

impl Store {
    /// Stores a new key. `once` is the caller's idempotency key and the digest of the body; answers the key that was
    /// made under it before, if any.
    ///
    /// # Errors
    /// [`Error::KeyReused`], or when the database fails.
    pub async fn key_create(
        &self,
        new: &NewApiKey,
        actor: &Actor,
        idempotency: Option<(&str, [u8; 32])>,
    ) -> Result<(ApiKey, bool)> {
        let mut txn = self.pool.begin().await?;
        if let Some((key, digest)) = idempotency
            && let Some(before) = once(&mut txn, "", "api_key", key, digest, new.id).await?
        {
            txn.rollback().await?;
            return Ok((self.key(before).await?, false));
        }
        let sql = format!(
            "insert into api_keys (id, name, hash, user_id, scopes, created_by, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7) returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(new.id)
            .bind(&new.name)
            .bind(new.hash.as_slice())
            .bind(new.user_id.as_ref().map(UserId::as_str))
            .bind(new.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>())
            .bind(&actor.name)
            .bind(new.expires_at)
            .fetch_one(&mut txn)
            .await?;
        let made = api_key(&row)?;
        let detail = json!({"name": made.name, "scopes": names(&made.scopes), "expires_at": made.expires_at});
        let subject = made.id.to_string();
        let change = Change { action: "key.created", subject: &subject, detail };
        write(&mut txn, actor, made.user_id.as_ref(), &change).await?;
        txn.commit().await?;
        Ok((made, true))
    }

    /// Every key, newest first, past and present.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self, before: Option<Uuid>, limit: i64) -> Result<Vec<ApiKey>> {
        let sql = format!(
            "select {COLUMNS} from api_keys where ($1::uuid is null or id < $1) order by id desc limit $2"
        );
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(before).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(api_key).collect()
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn key(&self, id: Uuid) -> Result<ApiKey> {
        let sql = format!("select {COLUMNS} from api_keys where id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map_or(Err(Error::NotFound("key")), api_key)
    }

    /// A key that is good right now, by the database's clock, with its digest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_in_force(&self, id: Uuid) -> Result<Option<(ApiKey, Vec<u8>)>> {
        let sql = format!(
            "select {COLUMNS}, hash from api_keys
             where id = $1 and revoked_at is null and (expires_at is null or expires_at > now())"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((api_key(&row)?, row.try_get("hash")?))).transpose()
    }

    /// Notes that a key was used; written at most once a minute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_used(&self, id: Uuid) -> Result<()> {
        sqlx::query(
            "update api_keys set last_used_at = now()
             where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')",
        )
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a key back; doing so twice changes nothing more.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn key_revoke(&self, id: Uuid, actor: &Actor) -> Result<ApiKey> {
        let mut txn = self.pool.begin().await?;
        let sql = format!(
            "update api_keys set revoked_at = now() where id = $1 and revoked_at is null returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&mut txn).await?;
        let Some(row) = row else { return self.key(id).await };
        let revoked = api_key(&row)?;
        let subject = id.to_string();
        let change =
            Change { action: "key.revoked", subject: &subject, detail: json!({"name": revoked.name}) };
        write(&mut txn, actor, revoked.user_id.as_ref(), &change).await?;
        txn.commit().await?;
        Ok(revoked)
    }
}

fn names(scopes: &[Scope]) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}

fn api_key(row: &PgRow) -> Result<ApiKey> {
    let id: Uuid = row.try_get("id")?;
    let bad = |column, value: &str| Error::BadRow {
        table: "api_keys",
        id: id.to_string(),
        column,
        value: value.to_owned(),
    };
    let user: Option<String> = row.try_get("user_id")?;
    let scopes: Vec<String> = row.try_get("scopes")?;
    Ok(ApiKey {
        id,
        name: row.try_get("name")?,
        user_id: user.map(|user| user.parse().map_err(|_| bad("user_id", &user))).transpose()?,
        scopes: scopes
            .iter()
            .map(|scope| Scope::parse(scope).ok_or_else(|| bad("scopes", scope)))
            .collect::<Result<_>>()?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}
