//! The connection pools of a process.
//!
//! Two of them, because row-level security goes by a setting of the connection: `pool` is our own roles' and sees every
//! tenant, `tenants` sees nothing until a transaction has named its tenant ([`crate::Tenant`]).
//!
//! Superusers are not subject to row-level security. Where we are given one (the private server of `ii-claw up`, many
//! test set-ups), connections work as the role `APP_ROLE` instead, which is made for that and can't log in.
//!
//! Behind a transaction pooler there are no sessions to prepare; see `pool/road.rs`.

mod road;

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_types::Pooler;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};

pub use road::PoolUsage;
pub(crate) use road::{Road, Txn};

use crate::{Error, Result};

/// Who superusers work as.
pub(crate) const APP_ROLE: &str = "ii_claw_app";

/// Whether row-level security would not apply to whoever logged in.
pub(crate) const SEES_EVERYTHING: &str =
    "select rolsuper or rolbypassrls from pg_roles where rolname = session_user";

/// What holds for all our statements.
const SETTINGS: [(&str, &str); 6] = [
    // A statement that takes longer than this is stuck: everything here is short. The caller hears an error
    // and nothing was committed.
    ("statement_timeout", "10s"),
    // A transaction whose process was cut off may keep a shard from being claimed; ours are never idle for long.
    ("idle_in_transaction_session_timeout", "5s"),
    // Every statement here finds its rows by an index. A plan made while a table was small, or without fresh
    // statistics, must not read a table whole once it has millions of rows.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    // What is switched off costs 10,000,000,000 in a plan that can't do without it. A plan of such a cost would be
    // compiled first, for more than a second, to run for less than a millisecond.
    ("jit", "off"),
];

/// What holds for the statements of our own roles besides: each is planned once a connection, whatever its values are. By
/// itself Postgres plans the statements of small batches again and again, because it expects ten elements of any array;
/// that takes longer than running them (docs/adr/0008).
const PLAN_ONCE: (&str, &str) = ("plan_cache_mode", "force_generic_plan");

/// Makes a transaction see every tenant's rows (migration 0004).
const EVERY_TENANT: (&str, &str) = ("claw.tenant", "all");

/// A connection that was idle for longer is asked whether it is still there before it is used.
const SURELY_THERE: Duration = Duration::from_secs(1);

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: Road,
    pub(crate) tenants: Road,
}

impl Store {
    /// Connects to Postgres itself. `name` shows in `pg_stat_activity`; `connections` bounds the pool of our own
    /// roles; gateways open up to half as many again for tenants.
    ///
    /// # Errors
    /// When the URL is not one or the database can't be reached.
    pub async fn connect(url: &str, name: &str, connections: u32) -> Result<Self> {
        Self::connect_through(Pooler::None, url, name, connections).await
    }

    /// As [`Store::connect`], with what stands before the database.
    ///
    /// # Errors
    /// When the URL is not one, the database can't be reached, or a pooler is there that was not named.
    pub async fn connect_through(pooler: Pooler, url: &str, name: &str, connections: u32) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name(name);
        match pooler {
            Pooler::None => Self::connect_direct(options.options(SETTINGS), connections).await,
            Pooler::Transaction => {
                // Parameters that PgBouncer does not know, and names of statements that it would mix up.
                let options = options.extra_float_digits(None).statement_cache_capacity(0);
                Self::connect_pooled(options, connections).await
            }
        }
    }

    async fn connect_direct(options: PgConnectOptions, connections: u32) -> Result<Self> {
        let step_down = app_role(&options).await?;
        let pool = |connections: u32| {
            at_most(connections).after_connect(move |conn, _| {
                Box::pin(async move {
                    if step_down {
                        let set = sqlx::AssertSqlSafe(format!("set role {APP_ROLE}"));
                        sqlx::query(set).execute(conn).await?;
                    }
                    Ok(())
                })
            })
        };
        let tenants = pool(connections.div_ceil(2)).connect_lazy_with(options.clone());
        let all = options.options([EVERY_TENANT, PLAN_ONCE]);
        let pool = pool(connections).min_connections(1).connect_with(all).await?;
        Ok(Self { pool: Road::direct("own", pool), tenants: Road::direct("tenants", tenants) })
    }

    async fn connect_pooled(options: PgConnectOptions, connections: u32) -> Result<Self> {
        let mut settings = SETTINGS.to_vec();
        if app_role(&options).await? {
            settings.push(("role", APP_ROLE));
        }
        let tenants = at_most(connections.div_ceil(2)).connect_lazy_with(options.clone());
        let tenants = Road::pooled("tenants", tenants, &settings);
        settings.extend([EVERY_TENANT, PLAN_ONCE]);
        let pool = at_most(connections).min_connections(1).connect_with(options).await?;
        Ok(Self { pool: Road::pooled("own", pool, &settings), tenants })
    }

    /// A handle whose own statements go by so many connections that nobody else uses, for who has one after the other all the
    /// time: what the server remembers of a connection stays warm, and nobody waits behind others' statements.
    pub(crate) fn apart(&self, connections: u32) -> Self {
        Self { pool: self.pool.apart(connections), tenants: self.tenants.clone() }
    }

    /// How much of the two pools is in use.
    pub fn pools(&self) -> [PoolUsage; 2] {
        [self.pool.usage(), self.tenants.usage()]
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// The database's time.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>> {
        Ok(sqlx::query_scalar("select now()").fetch_one(&self.pool).await?)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
        self.tenants.close().await;
    }
}

fn at_most(connections: u32) -> PgPoolOptions {
    let options = PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(5));
    // One that was used just now is there, or its next statement fails as one under way does: asking each time would be a
    // round trip for every statement.
    options.test_before_acquire(false).before_acquire(|conn, of| {
        Box::pin(async move {
            if of.idle_for < SURELY_THERE {
                return Ok(true);
            }
            conn.ping().await.map(|()| true)
        })
    })
}

/// Opens one connection by itself, which says why when it can't: a pool would only say that it timed out.
pub(crate) async fn connect_alone(options: &PgConnectOptions) -> Result<PgConnection> {
    PgConnection::connect_with(options).await.map_err(|error| match error {
        sqlx::Error::Database(refusal) if refusal.message().contains("unsupported startup parameter") => {
            Error::UnknownPooler(refusal.message().to_owned())
        }
        other => other.into(),
    })
}

/// Makes the role to work as, if it is needed; tells whether it is.
async fn app_role(options: &PgConnectOptions) -> Result<bool> {
    let mut conn = connect_alone(options).await?;
    // One transaction and no names, for there may be a pooler.
    let mut txn = conn.begin().await?;
    let sees_everything: bool =
        sqlx::query_scalar(SEES_EVERYTHING).persistent(false).fetch_one(&mut *txn).await?;
    if sees_everything {
        // Another process may be making it at the same moment.
        let create = format!(
            "do $$ begin if to_regrole('{APP_ROLE}') is null then create role {APP_ROLE} nologin; end if;
             exception when duplicate_object or unique_violation then null; end $$"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut *txn).await?;
    }
    txn.commit().await?;
    conn.close().await?;
    Ok(sees_everything)
}

#[cfg(test)]
mod tests {
    use claw_testkit::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn no_plan_is_compiled() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        for pool in [&store.pool, &store.tenants] {
            let plan =
                "explain (analyze) select * from pg_class a, pg_class b order by a.relname, b.oid limit 1";
            let plan: Vec<String> = sqlx::query_scalar(plan).fetch_all(pool).await.unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains("cost=10000000000") && !plan.contains("JIT"), "{plan}");
        }
    }
}
