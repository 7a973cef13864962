//! Members that own nothing: gateways. They are in the cluster's list by a heartbeat through the pool, without the lease
//! connection that owners and leaders have.

use uuid::Uuid;

use crate::lease::STALE;
use crate::{Error, Member, Result, Store};

impl Store {
    /// Writes the member's row, or takes over one of that name whose process has not been heard of for 6 s.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when a live process has the name; otherwise when the database fails.
    pub async fn member_join(&self, member: &Member, incarnation: Uuid) -> Result<()> {
        let sql = format!(
            "insert into members (name, role, rpc_address, version, weight, incarnation)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (name) do update set role = $2, lock_key = null, backend_pid = null, rpc_address = $3,
                 version = $4, weight = $5, incarnation = $6, draining = false, started_at = now(),
                 heartbeat_at = now()
             where members.incarnation = $6 or members.heartbeat_at < now() - interval '{STALE}'"
        );
        let joined = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&member.name)
            .bind(member.role)
            .bind(&member.rpc_address)
            .bind(member.version)
            .bind(member.weight)
            .bind(incarnation)
            .execute(&self.pool)
            .await?;
        if joined.rows_affected() == 1 { Ok(()) } else { Err(Error::NameTaken(member.name.clone())) }
    }

    /// Says that the member is alive; `false` when its row is gone or another process's by now: join again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_beat(&self, name: &str, incarnation: Uuid) -> Result<bool> {
        let beat =
            sqlx::query("update members set heartbeat_at = now() where name = $1 and incarnation = $2")
                .bind(name)
                .bind(incarnation)
                .execute(&self.pool)
                .await?;
        Ok(beat.rows_affected() == 1)
    }

    /// Takes the member's row away, if it is still its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_leave(&self, name: &str, incarnation: Uuid) -> Result<()> {
        sqlx::query("delete from members where name = $1 and incarnation = $2")
            .bind(name)
            .bind(incarnation)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
