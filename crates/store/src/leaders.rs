//! Leadership of cluster-wide duties: a lock decides, a term fences.
//!
//! A leader's writes lock the row of its term `for key share` ([`crate::cron`]). Renewing the term does not wait for them, because it
//! changes no key, or a leader with much to write would lose its term over it. So what begins or ends a term has to lock the row
//! `for update` first: a mere update of it would not wait for those writes either, nor they for it
//! (<https://www.postgresql.org/docs/15/explicit-locking.html#LOCKING-ROWS>).

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use crate::lease::LOCK_NOT_AVAILABLE;
use crate::{Error, Lease, Member, Result, Store};

/// Who leads a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub name: String,
    /// Where its RPC listens.
    pub rpc_address: String,
    /// The election.
    pub term: i64,
    /// When it was elected.
    pub elected_at: DateTime<Utc>,
    /// Whether it has renewed within the last 6 seconds, by database time.
    pub live: bool,
}

impl Lease {
    /// Takes `duty`, which one process at a time may have, and begins a term of it; `None` while another process has it, or a write of
    /// the former term is under way. Both go by this connection: whoever has lost the lock by the time of the second can't do it.
    ///
    /// # Errors
    /// When the connection failed, which frees the duty as well.
    pub async fn elect(&mut self, duty: &str) -> Result<Option<i64>> {
        if !self.try_duty(duty).await? {
            return Ok(None);
        }
        match self.begin_term(duty).await {
            Err(Error::Database(sqlx::Error::Database(refused)))
                if refused.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
            {
                self.drop_duty(duty).await?;
                Ok(None)
            }
            begun => begun.map(Some),
        }
    }

    async fn begin_term(&mut self, duty: &str) -> Result<i64> {
        let Member { name, rpc_address, .. } = self.member().clone();
        Ok(sqlx::query_scalar(
            "with held as materialized (select term from leaders where duty = $1 for update)
             insert into leaders (duty, term, leader, rpc_address, elected_at, renewed_at)
             values ($1, coalesce((select term from held), 0) + 1, $2, $3, now(), now())
             on conflict (duty) do update set term = leaders.term + 1, leader = $2, rpc_address = $3,
                 elected_at = now(), renewed_at = now()
             returning term",
        )
        .bind(duty)
        .bind(name)
        .bind(rpc_address)
        .fetch_one(&mut self.conn)
        .await?)
    }
}

impl Store {
    /// Renews a term; `false` when it is over: step down.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader_renew(&self, duty: &str, term: i64) -> Result<bool> {
        let sql =
            "update leaders set renewed_at = now() where duty = $1 and term = $2 and leader is not null";
        let done = sqlx::query(sql).bind(duty).bind(term).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a term of one's own: what is written within it is waited for, and nothing more is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader_resign(&self, duty: &str, term: i64) -> Result<()> {
        sqlx::query(
            "with held as materialized (select duty from leaders where duty = $1 and term = $2 for update)
             update leaders l set leader = null, rpc_address = null from held h where l.duty = h.duty",
        )
        .bind(duty)
        .bind(term)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Who leads `duty`; `None` when nobody does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader(&self, duty: &str) -> Result<Option<Leader>> {
        let row = sqlx::query(
            "select leader, rpc_address, term, elected_at, renewed_at > now() - interval '6 seconds' as live
             from leaders where duty = $1 and leader is not null",
        )
        .bind(duty)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Leader {
                name: row.try_get("leader")?,
                rpc_address: row.try_get("rpc_address")?,
                term: row.try_get("term")?,
                elected_at: row.try_get("elected_at")?,
                live: row.try_get("live")?,
            })
        })
        .transpose()
    }

    /// Removes members that have not been heard of for `minutes`. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn members_prune(&self, minutes: i32) -> Result<u64> {
        let done = sqlx::query("delete from members where heartbeat_at < now() - make_interval(mins => $1)")
            .bind(minutes)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use claw_testkit::TestDatabase;
    use sqlx::PgConnection;

    use super::*;
    use crate::cron::FENCE;

    const DUTY: &str = "clock";

    async fn elected(db: &TestDatabase) -> (Store, Lease) {
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let member = Member {
            name: "one".to_owned(),
            role: "scheduler",
            rpc_address: "one:1".to_owned(),
            version: "test",
            weight: 1.0,
        };
        let mut lease = Lease::open(db.url(), member).await.unwrap();
        assert_eq!(lease.elect(DUTY).await.unwrap(), Some(1));
        (store, lease)
    }

    /// A write of the first term that has begun, and is about to look whether the term goes on.
    async fn about_to_look(conn: &mut PgConnection) {
        let fence = FENCE.replace("$1", "'clock'").replace("$2", "1");
        let begins = format!("begin; declare looks cursor for with {fence} select 1 from fence");
        sqlx::raw_sql(sqlx::AssertSqlSafe(begins)).execute(conn).await.unwrap();
    }

    /// Whether the term goes on, as that write sees it; it is under way until its transaction ends.
    async fn looks(conn: &mut PgConnection) -> bool {
        let found = sqlx::query("fetch all from looks").persistent(false).fetch_all(conn).await.unwrap();
        !found.is_empty()
    }

    /// A write sees what is committed when it begins; the lock sees what was since.
    #[tokio::test]
    async fn a_write_that_began_in_a_term_and_looks_when_that_is_over_writes_nothing() {
        let db = TestDatabase::create().await;
        let (store, mut lease) = elected(&db).await;
        let mut conns = [db.connect().await, db.connect().await, db.connect().await];
        about_to_look(&mut conns[0]).await;
        assert!(store.leader_renew(DUTY, 1).await.unwrap());
        about_to_look(&mut conns[1]).await;
        assert!(looks(&mut conns[0]).await, "renewing ends nothing");
        sqlx::raw_sql("commit").execute(&mut conns[0]).await.unwrap();
        store.leader_resign(DUTY, 1).await.unwrap();
        assert!(!looks(&mut conns[1]).await, "resigned");
        // It wrote nothing, but holds what it has looked at.
        sqlx::raw_sql("commit").execute(&mut conns[1]).await.unwrap();
        assert!(!store.leader_renew(DUTY, 1).await.unwrap(), "nor is it renewed");
        let elected = "update leaders set leader = 'one'";
        sqlx::query(elected).execute(&mut db.connect().await).await.unwrap();
        about_to_look(&mut conns[2]).await;
        lease.drop_duty(DUTY).await.unwrap();
        assert_eq!(lease.elect(DUTY).await.unwrap(), Some(2));
        assert!(!looks(&mut conns[2]).await, "another term has begun");
    }

    #[tokio::test]
    async fn a_term_is_renewed_beside_its_writes_and_ends_behind_them() {
        let db = TestDatabase::create().await;
        let (store, mut lease) = elected(&db).await;
        let mut conn = db.connect().await;
        about_to_look(&mut conn).await;
        assert!(looks(&mut conn).await);
        assert!(store.leader_renew(DUTY, 1).await.unwrap(), "which does not wait");
        lease.drop_duty(DUTY).await.unwrap();
        assert_eq!(lease.elect(DUTY).await.unwrap(), None, "no election while the write is under way");
        let (resigned, ()) = tokio::join!(store.leader_resign(DUTY, 1), async {
            let waits = "select exists (select 1 from pg_stat_activity
                         where datname = current_database() and wait_event_type = 'Lock')";
            let mut admin = db.connect().await;
            claw_testkit::eventually("the end to wait", std::time::Duration::from_secs(10), async || {
                let waits: bool = sqlx::query_scalar(waits).fetch_one(&mut admin).await.unwrap();
                waits.then_some(())
            })
            .await;
            sqlx::raw_sql("commit").execute(&mut conn).await.unwrap();
        });
        resigned.unwrap();
        assert!(!store.leader_renew(DUTY, 1).await.unwrap());
        assert_eq!(lease.elect(DUTY).await.unwrap(), Some(2));
    }
}
