//! A transaction on behalf of one tenant: the database itself shows it that tenant's rows only.
//!
//! Row-level security decides by the setting `claw.tenant` (migration 0004). This is the only way to a connection that
//! does not see everything, and a connection of that pool sees nothing until its transaction has named its tenant; so
//! a query that forgot to ask for the user's rows returns none instead of everybody's.

use claw_types::UserId;
use serde_json::Value;
use uuid::Uuid;

use crate::pool::Txn;
use crate::{Error, Result, Store};

/// A transaction that sees one tenant's rows. Dropped without [`Tenant::commit`], it changes nothing.
pub struct Tenant {
    user: UserId,
    txn: Txn,
}

/// Who changes something, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `operator`, `key <name>`, or the command that did it.
    pub name: String,
    /// The caller's address, where there is one.
    pub address: Option<String>,
}

impl Actor {
    /// Without an address: a process of ours.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), address: None }
    }
}

/// A change, for the audit log.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// What was done to what, e.g. `channel.created`.
    pub action: &'static str,
    /// To which one.
    pub subject: &'a str,
    /// What is worth keeping of it; never a secret.
    pub detail: Value,
}

impl Store {
    /// Begins a transaction of this tenant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tenant(&self, user: &UserId) -> Result<Tenant> {
        let mut txn = self.tenants.begin().await?;
        sqlx::query("select set_config('claw.tenant', 'user:' || $1, true)")
            .bind(user.as_str())
            .execute(&mut txn)
            .await?;
        Ok(Tenant { user: user.clone(), txn })
    }
}

impl Tenant {
    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// When it was not committed.
    pub async fn commit(self) -> Result<()> {
        Ok(self.txn.commit().await?)
    }

    pub(crate) fn into_txn(self) -> Txn {
        self.txn
    }

    pub(crate) fn conn(&mut self) -> &mut Txn {
        &mut self.txn
    }

    /// Writes a change to the audit log; it lasts if the change does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit(&mut self, actor: &Actor, change: &Change<'_>) -> Result<()> {
        let user = self.user.clone();
        write(&mut self.txn, actor, Some(&user), change).await
    }

    /// Claims a caller's idempotency key for what this transaction is about to make as `subject`. Answers what was
    /// made under it before, if anything: then nothing is to be made. A call that is under way with the same key is
    /// waited for.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key came with another body before.
    pub async fn once(
        &mut self,
        kind: &str,
        key: &str,
        digest: [u8; 32],
        subject: Uuid,
    ) -> Result<Option<Uuid>> {
        let user = self.user.clone();
        once(&mut self.txn, user.as_str(), kind, key, digest, subject).await
    }

    /// What an earlier call with this idempotency key made, if any.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key came with another body before.
    pub async fn made_before(&mut self, kind: &str, key: &str, digest: [u8; 32]) -> Result<Option<Uuid>> {
        let user = self.user.clone();
        made_before(&mut self.txn, user.as_str(), kind, key, digest).await
    }

    /// Makes sure that this tenant may have one more row in `table`. Until the transaction ends nobody else makes one
    /// for it: two at once would both see the last place free.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub(crate) async fn room(&mut self, table: &'static str, what: &'static str, limit: i64) -> Result<()> {
        let user = self.user.clone();
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1 || ':' || $2, 0))")
            .bind(table)
            .bind(user.as_str())
            .execute(self.conn())
            .await?;
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table} where user_id = $1"));
        let count: i64 = sqlx::query_scalar(count).bind(user.as_str()).fetch_one(self.conn()).await?;
        if count >= limit { Err(Error::TooMany { what, limit }) } else { Ok(()) }
    }
}

impl Store {
    /// Forgets up to `limit` callers' keys older than `days`: a call that is repeated later than that is a new one. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn idempotency_keys_forget(&self, days: i32, limit: i64) -> Result<u64> {
        let done = sqlx::query(
            "delete from idempotency_keys where ctid = any (array(
                 select ctid from idempotency_keys where created_at < now() - make_interval(days => $1)
                 order by created_at limit $2))",
        )
        .bind(days)
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

/// What was made under a caller's key, if anything; `user` is empty for what belongs to no tenant.
///
/// # Errors
/// [`Error::KeyReused`] when it came with another body.
pub(crate) async fn made_before(
    conn: &mut Txn,
    user: &str,
    kind: &str,
    key: &str,
    digest: [u8; 32],
) -> Result<Option<Uuid>> {
    let row: Option<(Vec<u8>, Uuid)> = sqlx::query_as(
        "select digest, subject from idempotency_keys where user_id = $1 and kind = $2 and key = $3",
    )
    .bind(user)
    .bind(kind)
    .bind(key)
    .fetch_optional(conn)
    .await?;
    match row {
        Some((before, _)) if before != digest => Err(Error::KeyReused),
        found => Ok(found.map(|(_, subject)| subject)),
    }
}

/// [`Tenant::once`] for what belongs to no tenant: `user` is empty then.
pub(crate) async fn once(
    conn: &mut Txn,
    user: &str,
    kind: &str,
    key: &str,
    digest: [u8; 32],
    subject: Uuid,
) -> Result<Option<Uuid>> {
    let claimed = sqlx::query(
        "insert into idempotency_keys (user_id, kind, key, digest, subject) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
    )
    .bind(user)
    .bind(kind)
    .bind(key)
    .bind(digest.as_slice())
    .bind(subject)
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    // Forgotten at this very moment: the caller tries again.
    let before = made_before(conn, user, kind, key, digest).await?;
    before.map(Some).ok_or(Error::Database(sqlx::Error::RowNotFound))
}

/// Writes to the audit log within a transaction.
pub(crate) async fn write(
    conn: &mut Txn,
    actor: &Actor,
    user: Option<&UserId>,
    change: &Change<'_>,
) -> Result<()> {
    sqlx::query(
        "insert into audit_log (actor, address, action, user_id, subject, detail)
         values ($1, $2, $3, $4, $5, $6::json)",
    )
    .bind(&actor.name)
    .bind(actor.address.as_deref())
    .bind(change.action)
    .bind(user.map(UserId::as_str))
    .bind(change.subject)
    .bind(change.detail.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use claw_testkit::{PgBouncer, TestDatabase};
    use claw_types::{Pooler, UserId};
    use sqlx::postgres::PgConnectOptions;

    use crate::Store;
    use crate::pool::{APP_ROLE, connect_alone};

    const COUNT: &str = "select count(*) from idempotency_keys";

    /// What a tenant sees when its query forgets to ask for its own rows.
    async fn seen_by(store: &Store, user: &str) -> i64 {
        let mut tenant = store.tenant(&user.parse().unwrap()).await.unwrap();
        sqlx::query_scalar(COUNT).fetch_one(tenant.conn()).await.unwrap()
    }

    async fn tenants_are_apart(store: &Store) {
        for user in ["ada", "bob"] {
            let user: UserId = user.parse().unwrap();
            let mut tenant = store.tenant(&user).await.unwrap();
            tenant.once("a kind", "a key", [0; 32], uuid::Uuid::nil()).await.unwrap();
            tenant.commit().await.unwrap();
        }
        for _ in 0..3 {
            assert_eq!((seen_by(store, "ada").await, seen_by(store, "bob").await), (1, 1));
            let nobody: i64 = sqlx::query_scalar(COUNT).fetch_one(&store.tenants).await.unwrap();
            let all: i64 = sqlx::query_scalar(COUNT).fetch_one(&store.pool).await.unwrap();
            assert_eq!((nobody, all), (0, 2), "also on a connection that had a tenant before");
        }
    }

    #[tokio::test]
    async fn the_tenants_connections_see_nothing_before_they_name_one() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        tenants_are_apart(&store).await;
    }

    #[tokio::test]
    async fn tenants_are_apart_although_they_share_one_session() {
        let db = TestDatabase::create().await;
        Store::connect(db.url(), "test", 2).await.unwrap().migrate(None).await.unwrap();
        let bouncer = PgBouncer::start(&db, 1).await;
        let store = Store::connect_through(Pooler::Transaction, bouncer.url(), "test", 2).await.unwrap();
        tenants_are_apart(&store).await;
        let options: PgConnectOptions = bouncer.url().parse().unwrap();
        let options = options.extra_float_digits(None).statement_cache_capacity(0);
        let mut session = connect_alone(&options).await.unwrap();
        let left: (String, Option<String>, String) = sqlx::query_as(
            "select current_user::text, current_setting('claw.tenant', true), current_setting('jit')",
        )
        .persistent(false)
        .fetch_one(&mut session)
        .await
        .unwrap();
        assert_ne!(left.0, APP_ROLE, "the role is not left behind");
        assert_eq!((left.1.unwrap_or_default().as_str(), left.2.as_str()), ("", "on"), "nor is a setting");
    }
}
