//! The connection pools of a process.
//!
//! Two of them, because row-level security goes by a setting of the connection: `pool` is our own roles' and sees every
//! tenant, `tenants` sees nothing until a transaction has named its tenant ([`crate::Tenant`]).
//!
//! Superusers are not subject to row-level security. Where we are given one (the private server of `ii-claw up`, many
//! test set-ups), connections work as the role `APP_ROLE` instead, which is made for that and can't log in.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::Result;

/// Who superusers work as.
pub(crate) const APP_ROLE: &str = "ii_claw_app";

/// Whether row-level security would not apply to whoever logged in.
pub(crate) const SEES_EVERYTHING: &str =
    "select rolsuper or rolbypassrls from pg_roles where rolname = session_user";

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: PgPool,
    pub(crate) tenants: PgPool,
}

impl Store {
    /// Connects. `name` shows in `pg_stat_activity`; `connections` bounds the pool of our own
    /// roles; gateways open up to half as many again for tenants.
    ///
    /// # Errors
    /// When the URL is not one or the database can't be reached.
    pub async fn connect(url: &str, name: &str, connections: u32) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name(name).options([
            // A statement that takes longer than this is stuck: everything here is short. The caller hears an error
            // and nothing was committed.
            ("statement_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "10s"),
            // Every statement here finds its rows by an index. A plan made while a table was small, or without fresh
            // statistics, must not read a table whole once it has millions of rows.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            // What is switched off costs 10,000,000,000 in a plan that can't do without it. A plan of such a cost would be
            // compiled first, for more than a second, to run for less than a millisecond.
            ("jit", "off"),
        ]);
        // The pool would only say that it timed out; one connection by itself says why.
        let mut first = PgConnection::connect_with(&options).await?;
        let step_down = app_role(&mut first).await?;
        first.close().await?;
        let pool = |connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(5))
                .after_connect(move |conn, _| {
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
        let all = options.options([("claw.tenant", "all")]);
        let pool = pool(connections).min_connections(1).connect_with(all).await?;
        Ok(Self { pool, tenants })
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

/// Makes the role to work as, if it is needed; tells whether it is.
async fn app_role(conn: &mut PgConnection) -> Result<bool> {
    let sees_everything: bool = sqlx::query_scalar(SEES_EVERYTHING).fetch_one(&mut *conn).await?;
    if !sees_everything {
        return Ok(false);
    }
    let exists: bool =
        sqlx::query_scalar("select to_regrole($1) is not null").bind(APP_ROLE).fetch_one(&mut *conn).await?;
    if !exists {
        // Another process may be making it at the same moment.
        let create = format!(
            "do $$ begin create role {APP_ROLE} nologin; exception
                 when duplicate_object or unique_violation then null; end $$"
        );
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(conn).await?;
    }
    Ok(true)
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
