//! A database of its own for each test.
//!
//! A run of all tests makes well over a thousand of some ten megabytes each. A test can't drop its own (a panic would have to wait
//! for the server), so the first test of a process drops what processes left that are gone: there is one binary's worth at a time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claw_runtime::{Ids, OsRandom, SystemClock};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

/// Whether this process looked for what others left.
static SWEPT: AtomicBool = AtomicBool::new(false);

/// An empty database on the run's server; it goes after the end of this process.
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
        if !SWEPT.swap(true, Ordering::Relaxed) {
            drop_left_over(&mut admin).await;
        }
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            Ids::new(Arc::new(SystemClock), Arc::new(OsRandom)).token(8)
        );
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

/// Drops the databases of processes that are gone.
async fn drop_left_over(admin: &mut PgConnection) {
    let names: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where datname like 'test\\_%'")
            .fetch_all(&mut *admin)
            .await
            .expect("the server lists its databases");
    for name in names.iter().filter(|name| maker(name).is_some_and(|pid| !is_there(pid))) {
        let gone = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
        sqlx::query(gone).execute(&mut *admin).await.expect("a database that nobody uses can be dropped");
    }
}

/// The process that made a database.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix("test_")?.split_once('_')?.0.parse().ok()
}

fn is_there(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::{is_there, maker};

    #[test]
    fn only_what_names_its_maker_may_go_and_only_when_that_is_gone() {
        assert_eq!(maker("test_17_abc"), Some(17));
        assert_eq!([maker("test_abc"), maker("ii_claw"), maker("test__x")], [None; 3]);
        assert!(is_there(std::process::id()) && !is_there(u32::MAX));
    }
}
