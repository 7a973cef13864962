//! The ways to Postgres: a pool of sessions, or a transaction pooler, in which nothing outlasts a transaction.
//!
//! Through a pooler everything is a transaction that begins with its settings, single statements too. What a session
//! would remember must not arise: settings are `set local`, statements have no name (a name would be taken when the
//! next process gets the same session), and no start-up parameter is sent, because PgBouncer refuses what it does not
//! know. The price is two more round trips a statement, one for the settings and one for the commit.
//!
//! Must hold: rows are handed out only once their transaction has committed. Whoever sees them may tell the world.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{AssertSqlSafe, Either, Execute, Executor, SqlStr};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Step = Either<PgQueryResult, PgRow>;

/// Where statements run; `&Road` takes them as `&PgPool` would.
#[derive(Debug, Clone)]
pub(crate) struct Road {
    pool: PgPool,
    /// What each transaction begins with, where sessions are not ours: `begin; set local ...`.
    opening: Option<String>,
}

impl Road {
    /// Sessions of our own, prepared when they were opened.
    pub(crate) fn direct(pool: PgPool) -> Self {
        Self { pool, opening: None }
    }

    /// Sessions that others have before and after: every transaction begins with these settings.
    pub(crate) fn pooled(pool: PgPool, settings: &[(&str, &str)]) -> Self {
        let set = settings.iter().map(|(name, value)| format!("; set local {name} = '{value}'"));
        Self { pool, opening: Some(format!("begin{}", set.collect::<String>())) }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> sqlx::Result<Txn> {
        let txn = match &self.opening {
            None => self.pool.begin().await?,
            Some(opening) => self.pool.begin_with(AssertSqlSafe(opening.clone())).await?,
        };
        Ok(Txn { txn, named: self.opening.is_none() })
    }

    /// The sessions themselves, for what is more than a transaction; `None` where they are not ours.
    pub(crate) fn sessions(&self) -> Option<&PgPool> {
        self.opening.is_none().then_some(&self.pool)
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl<'p> Executor<'p> for &'_ Road {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.opening.is_none() {
            return self.pool.fetch_many(query);
        }
        let road = self.clone();
        let steps = async move {
            let mut txn = road.begin().await?;
            let steps: Vec<Step> = txn.fetch_many(query).try_collect().await?;
            txn.commit().await?;
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.opening.is_none() {
            return self.pool.fetch_optional(query);
        }
        let road = self.clone();
        Box::pin(async move {
            let mut txn = road.begin().await?;
            let row = txn.fetch_optional(query).await?;
            txn.commit().await?;
            Ok(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }
}

/// A transaction. Dropped without [`Txn::commit`], it changes nothing.
#[derive(Debug)]
pub(crate) struct Txn {
    txn: sqlx::Transaction<'static, Postgres>,
    /// Whether statements may be prepared under a name, to be used again.
    named: bool,
}

impl Txn {
    /// Makes what was written last.
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        self.txn.commit().await
    }

    /// Undoes what was written.
    pub(crate) async fn rollback(self) -> sqlx::Result<()> {
        self.txn.rollback().await
    }
}

impl<'c> Executor<'c> for &'c mut Txn {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.txn.fetch_many(Statement { query, named: self.named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.txn.fetch_optional(Statement { query, named: self.named })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.txn.prepare_with(sql, parameters)
    }
}

/// A query that is prepared under a name only if it may be.
struct Statement<E> {
    query: E,
    named: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Statement<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named && self.query.persistent()
    }
}
