//! A database of its own for each test.

use std::sync::Arc;

use claw_runtime::{Ids, OsRandom, SystemClock};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

/// An empty database on the run's server; it goes with the server at the end of the run.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    url: String,
}

impl TestDatabase {
    /// Creates one.
    ///
    /// # Panics
    /// When the server is not there.
    pub async fn create() -> Self {
        let server = crate::service("TEST_DATABASE_URL");
        let mut admin = PgConnection::connect(&server).await.expect("the test server accepts connections");
        let name = format!("test_{}", Ids::new(Arc::new(SystemClock), Arc::new(OsRandom)).token(8));
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&mut admin).await.expect("a database can be created");
        admin.close().await.expect("the connection closes");
        let mut url = reqwest::Url::parse(&server).expect("the server's URL is one");
        url.set_path(&name);
        Self { url: url.into() }
    }

    /// How to reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection for looking into it.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the test database accepts connections")
    }
}
