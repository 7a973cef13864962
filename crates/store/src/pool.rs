//! The connection pool of a process.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::Result;

/// A handle on the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: PgPool,
}

impl Store {
    /// Connects. `name` shows in `pg_stat_activity`; `connections` bounds the pool.
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
        ]);
        // The pool would only say that it timed out; one connection by itself says why.
        PgConnection::connect_with(&options).await?.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await?;
        Ok(Self { pool })
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
    }
}
