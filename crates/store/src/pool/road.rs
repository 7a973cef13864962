//! The ways to Postgres: a pool of sessions, or a transaction pooler, in which nothing outlasts a transaction.
//!
//! Through a pooler everything is a transaction that begins with its settings, single statements too. What a session
//! would remember must not arise: settings are `set local`, statements have no name (a name would be taken when the
//! next process gets the same session), and no start-up parameter is sent, because PgBouncer refuses what it does not
//! know. The price is two more round trips a statement, one for the settings and one for the commit.
//!
//! A connection whose network was cut without a word answers nothing, ever, and TCP notices after a quarter of an hour, or
//! never while we wait. The server gives a statement up after 10 s; where not even that arrives, the connection is closed
//! instead of going back into the pool.
//!
//! Must hold: rows are handed out only once their transaction has committed. Whoever sees them may tell the world.

use std::time::Duration;

use claw_telemetry::metrics::{Counter, Histogram};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
    Postgres,
};
use sqlx::{AssertSqlSafe, Connection as _, Either, Execute, Executor, SqlSafeStr as _, SqlStr, Transaction};
use tokio::time::{Instant, timeout};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Step = Either<PgQueryResult, PgRow>;

/// How long a statement may take, with what goes around it: longer than the server lets it.
const CALL_LIMIT: Duration = Duration::from_secs(12);

/// Where statements run; `&Road` takes them as `&PgPool` would.
#[derive(Debug, Clone)]
pub(crate) struct Road {
    pool: PgPool,
    /// Which one, as metrics call it: `own`, `tenants`, or `alone` for connections that one user has to itself.
    name: &'static str,
    /// What each transaction begins with, where sessions are not ours: `begin; set local ...`.
    opening: Option<String>,
}

impl Road {
    /// Sessions of our own, prepared when they were opened.
    pub(crate) fn direct(name: &'static str, pool: PgPool) -> Self {
        Self { pool, name, opening: None }
    }

    /// Sessions that others have before and after: every transaction begins with these settings.
    pub(crate) fn pooled(name: &'static str, pool: PgPool, settings: &[(&str, &str)]) -> Self {
        let set = settings.iter().map(|(name, value)| format!("; set local {name} = '{value}'"));
        Self { pool, name, opening: Some(format!("begin{}", set.collect::<String>())) }
    }

    /// The same way, by connections of its own: they come on top of the pool's, when they are first needed.
    pub(crate) fn apart(&self, connections: u32) -> Self {
        let few = self.pool.options().clone().min_connections(0).max_connections(connections);
        let options = PgConnectOptions::clone(&self.pool.connect_options());
        Self { pool: few.connect_lazy_with(options), name: "alone", opening: self.opening.clone() }
    }

    /// What is open, what of it nobody uses, and what may be open.
    pub(crate) fn usage(&self) -> PoolUsage {
        let (open, idle) = (self.pool.size(), u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX));
        let max = self.pool.options().get_max_connections();
        PoolUsage { pool: self.name, used: open.saturating_sub(idle), idle, max }
    }

    /// Waits for a connection.
    async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let began = Instant::now();
        let acquired = self.pool.acquire().await;
        Histogram::PoolAcquire.observe(&[self.name], began.elapsed().as_secs_f64());
        if matches!(acquired, Err(sqlx::Error::PoolTimedOut)) {
            Counter::PoolTimeouts.add(&[self.name]);
        }
        acquired
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> sqlx::Result<Txn> {
        let opening = self.opening.clone().map(|opening| AssertSqlSafe(opening).into_sql_str());
        let txn = Transaction::begin(self.acquire().await?, opening).await?;
        Ok(Txn { txn, named: self.opening.is_none() })
    }

    /// The sessions themselves, for what is more than a transaction; `None` where they are not ours.
    pub(crate) fn sessions(&self) -> Option<&PgPool> {
        self.opening.is_none().then_some(&self.pool)
    }

    /// Runs a statement on a connection by itself; what it answers is committed.
    async fn run<T>(&self, ask: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let mut conn = self.acquire().await?;
        let asked = async {
            let Some(opening) = &self.opening else { return ask(&mut conn).await };
            let mut txn = conn.begin_with(AssertSqlSafe(opening.clone())).await?;
            let answer = ask(&mut txn).await?;
            txn.commit().await?;
            Ok(answer)
        };
        if let Ok(answer) = timeout(CALL_LIMIT, asked).await {
            return answer;
        }
        conn.close_on_drop();
        let late = format!("the database did not answer within {} s", CALL_LIMIT.as_secs());
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, late)))
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
        let (road, query) = (self.clone(), Statement { query, named: self.opening.is_none() });
        let steps = async move {
            let steps = road.run(async |on| on.fetch_many(query).try_collect::<Vec<Step>>().await).await?;
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (road, query) = (self.clone(), Statement { query, named: self.opening.is_none() });
        Box::pin(async move { road.run(async |on| on.fetch_optional(query).await).await })
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

/// How much of a pool is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    /// Which one, as metrics call it.
    pub pool: &'static str,
    /// Connections that somebody uses.
    pub used: u32,
    /// Connections that are open and wait for somebody.
    pub idle: u32,
    /// How many may be open.
    pub max: u32,
}

/// A transaction. Dropped without [`Txn::commit`], it changes nothing.
#[derive(Debug)]
pub(crate) struct Txn {
    txn: Transaction<'static, Postgres>,
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
