//! The lease connection: a process's one direct connection that holds its advisory locks.
//!
//! Locks live on the connection, so they are gone the moment the server sees it gone. Three things make it see
//! quickly: tight TCP keepalives, `tcp_user_timeout`, and an `idle_session_timeout` that a heartbeat every 2 s keeps
//! off: a frozen process loses its session by itself. By default Postgres would keep its locks for two hours.
//!
//! The lock is only a hint of liveness. Safety is the epoch, which every claim raises in the same statement that
//! takes the lock, and which every write of an owner carries.
//!
//! Must hold: the connection goes to Postgres itself, not through a transaction pooler, which would hand the session
//! to others; and whoever loses it stops everything it owned before it connects again.

use std::str::FromStr;

use claw_types::placement::TAKEN_OVER_AFTER;
use claw_types::{Epoch, ShardId};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Row as _};

use crate::pool::connect_alone;
use crate::{Error, Result};

/// Advisory lock classes (the first of the two lock keys): members by name, shards by number, duties by name.
pub(crate) const MEMBER: i32 = 0x0C1A_0001;
const SHARD: i32 = 0x0C1A_0002;
const DUTY: i32 = 0x0C1A_0003;

/// A heartbeat older than this, by database time, is a dead or frozen process's.
pub(crate) const STALE: &str = "6 seconds";

/// A member that joined longer ago than this, by database time, has settled.
const SETTLED: &str = "3 seconds";

/// A lease connection that is silent for longer than this is ended by the server.
const IDLE: &str = "5s";

/// A row that is locked is waited for this long: a write that is under way takes milliseconds. Well below what a worker
/// trusts its lease for.
const LOCK_WAIT: &str = "1s";
/// The error of a wait that took longer (`lock_not_available`, <https://www.postgresql.org/docs/15/errcodes-appendix.html>).
pub(crate) const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The server's processes that serve somebody. A member's lock on its name lasts exactly as long as the process that
/// served its lease, and listing the locks of the whole server made a heartbeat four times as dear (`make cost`). A
/// number that was used again within 6 s would make a dead member look frozen instead, no worse.
const LIVE_BACKENDS: &str = "array(select pg_stat_get_backend_pid(b) from pg_stat_get_backend_idset() b)";

/// A process that takes part in the cluster.
#[derive(Debug, Clone)]
pub struct Member {
    /// Unique among the live ones.
    pub name: String,
    /// `worker`, `scheduler` or `gateway`.
    pub role: &'static str,
    /// Where its RPC listens, as others reach it.
    pub rpc_address: String,
    /// Its version.
    pub version: &'static str,
    /// Its share of the shards relative to the others.
    pub weight: f64,
}

/// A live worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its share.
    pub weight: f64,
    /// Whether it has been there for a while: shards that somebody holds are given to it only then.
    pub settled: bool,
}

/// A shard that was just claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// Which one.
    pub shard: ShardId,
    /// The claim.
    pub epoch: Epoch,
    /// Whom it was taken from.
    pub former: Former,
}

/// Whom a shard was claimed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// Nobody: it had been given back, or was never claimed.
    Nobody,
    /// A former process of the claimant's name.
    Ourselves,
    /// An owner that had not been heard of for [`TAKEN_OVER_AFTER`].
    Silent,
}

impl Former {
    /// By the name of the owner so far.
    pub fn of(owner: Option<&str>, claimant: &str) -> Self {
        match owner {
            None => Self::Nobody,
            Some(owner) if owner == claimant => Self::Ourselves,
            Some(_) => Self::Silent,
        }
    }

    /// The reason of the takeover, as metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "free",
            Self::Ourselves => "restart",
            Self::Silent => "silent_owner",
        }
    }
}

/// The open lease connection.
#[derive(Debug)]
pub struct Lease {
    pub(crate) conn: PgConnection,
    member: Member,
    backend: i32,
    /// A claim met a row that stays locked: until one meets none, claims pass over such rows.
    some_are_stuck: bool,
}

/// A stable number for a name; a collision would only make two processes take turns at starting.
fn lock_key(name: &str) -> i32 {
    let digest = claw_secrets::signature::sha256(name.as_bytes());
    i32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

impl Lease {
    /// Connects, takes the name's lock and writes the member's row.
    ///
    /// # Errors
    /// As [`Lease::open_again`].
    pub async fn open(url: &str, member: Member) -> Result<Self> {
        Self::open_again(url, member, None).await
    }

    /// Connects, takes the name's lock and writes the member's row. `before` is the [`Lease::backend`] of this process's
    /// former connection, if it had one; another process's name is free only [`TAKEN_OVER_AFTER`] it was last heard of.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when a live process has the name; otherwise when the database fails.
    pub async fn open_again(url: &str, member: Member, before: Option<i32>) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?
            .application_name(&format!("ii-claw lease {}", member.name))
            .options([
                ("idle_session_timeout", IDLE),
                ("tcp_keepalives_idle", "2"),
                ("tcp_keepalives_interval", "1"),
                ("tcp_keepalives_count", "3"),
                ("tcp_user_timeout", "4000"),
                ("statement_timeout", "3s"),
                ("lock_timeout", LOCK_WAIT),
            ]);
        let mut conn = connect_alone(&options).await?;
        let taken: bool = sqlx::query_scalar("select pg_try_advisory_lock($1, $2)")
            .bind(MEMBER)
            .bind(lock_key(&member.name))
            .fetch_one(&mut conn)
            .await?;
        if !taken {
            return Err(Error::NameTaken(member.name));
        }
        // A gateway has no lock by which its name would show as taken, and beats more seldom.
        let backend: Option<i32> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "insert into members as m (name, role, lock_key, backend_pid, rpc_address, version, weight)
             values ($1, $2, $3, pg_backend_pid(), $4, $5, $6)
             on conflict (name) do update set role = $2, lock_key = $3, backend_pid = pg_backend_pid(),
                 rpc_address = $4, version = $5, weight = $6, incarnation = null, draining = false,
                 started_at = now(), heartbeat_at = now()
             where m.backend_pid = $7
                or m.heartbeat_at < now() - case when m.lock_key is null then interval '{STALE}'
                                                 else make_interval(secs => $8) end
             returning backend_pid"
        )))
        .bind(&member.name)
        .bind(member.role)
        .bind(lock_key(&member.name))
        .bind(&member.rpc_address)
        .bind(member.version)
        .bind(member.weight)
        .bind(before)
        .bind(TAKEN_OVER_AFTER.as_secs_f64())
        .fetch_optional(&mut conn)
        .await?;
        let Some(backend) = backend else { return Err(Error::NameTaken(member.name)) };
        // What a process of this name had is nobody's any more: it is gone, or it is this one, which has stopped it all.
        sqlx::query("update shards set owner = null, rpc_address = null where owner = $1")
            .bind(&member.name)
            .execute(&mut conn)
            .await?;
        Ok(Self { conn, member, backend, some_are_stuck: false })
    }

    /// Says that this process is alive and tells which workers are: a fresh heartbeat, a session (and with it the name's lock), not
    /// draining. It does not wait for the disk: a heartbeat that a crash of the server forgets is worth nothing anyway.
    ///
    /// # Errors
    /// When the connection failed; then the locks are as good as gone.
    pub async fn heartbeat(&mut self) -> Result<Vec<Peer>> {
        let beat = sqlx::query(
            "with fast as materialized (select set_config('synchronous_commit', 'off', true))
             update members set heartbeat_at = now() from fast where name = $1",
        )
        .bind(&self.member.name)
        .execute(&mut self.conn)
        .await?;
        if beat.rows_affected() == 0 {
            // Pruned while we were away for long; whoever did that thought us dead.
            return Err(Error::NameTaken(self.member.name.clone()));
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select name, weight, started_at < now() - interval '{SETTLED}' as settled from members m
             where role = 'worker' and not draining and heartbeat_at > now() - interval '{STALE}'
               and backend_pid = any ({LIVE_BACKENDS})"
        )))
        .fetch_all(&mut self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                let (name, weight) = (row.try_get("name")?, row.try_get("weight")?);
                Ok(Peer { name, weight, settled: row.try_get("settled")? })
            })
            .collect()
    }

    /// Claims what can be claimed of `shards`: takes each lock and, in the same statement, raises the epoch. A shard that was
    /// not given back can be claimed only [`TAKEN_OVER_AFTER`] its owner was last heard of.
    ///
    /// A write that is under way is waited for. One of an owner that was cut off may keep its row locked until the server
    /// gives its transaction up: that shard waits for a later claim, and the others do not wait with it.
    ///
    /// # Errors
    /// When the connection failed; then nothing is held.
    pub async fn claim(&mut self, shards: &[ShardId]) -> Result<Vec<Claimed>> {
        let claimed = match self.claim_rows(shards).await {
            Err(Error::Database(sqlx::Error::Database(refused)))
                if refused.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
            {
                self.some_are_stuck = true;
                self.claim_rows(shards).await?
            }
            other => other?,
        };
        self.some_are_stuck &= claimed.len() < shards.len();
        Ok(claimed)
    }

    /// All rows are locked before the first advisory lock is tried, for that one would outlast a failure.
    async fn claim_rows(&mut self, shards: &[ShardId]) -> Result<Vec<Claimed>> {
        let wanted: Vec<i32> = shards.iter().map(|s| s.as_i32()).collect();
        let pass_over = if self.some_are_stuck { "skip locked" } else { "" };
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "with free as materialized (
                 select s.shard, s.owner from shards s
                 where s.shard = any ($2)
                   and (s.owner is null or s.owner = $3
                        or not exists (select 1 from members m where m.name = s.owner
                                       and m.heartbeat_at > now() - make_interval(secs => $5)))
                 order by s.shard for update of s {pass_over}),
             locked as materialized (select shard, owner, pg_try_advisory_lock($1, shard) as ok from free)
             update shards s set epoch = s.epoch + 1, owner = $3, rpc_address = $4, claimed_at = now()
             from locked where s.shard = locked.shard and locked.ok
             returning s.shard, s.epoch, locked.owner as former"
        )))
        .bind(SHARD)
        .bind(wanted)
        .bind(&self.member.name)
        .bind(&self.member.rpc_address)
        .bind(TAKEN_OVER_AFTER.as_secs_f64())
        .fetch_all(&mut self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                let shard: i32 = row.try_get("shard")?;
                let epoch = Epoch(row.try_get("epoch")?);
                let former = Former::of(row.try_get("former")?, &self.member.name);
                Ok(Claimed { shard: ShardId(u16::try_from(shard).unwrap_or(u16::MAX)), epoch, former })
            })
            .collect()
    }

    /// Gives shards back. Their work must have stopped before.
    ///
    /// # Errors
    /// When the connection failed; then nothing is held any more either.
    pub async fn release(&mut self, shards: &[ShardId]) -> Result<()> {
        let shards: Vec<i32> = shards.iter().map(|s| s.as_i32()).collect();
        // The owner's name goes first: once the lock is free, somebody else may write theirs.
        sqlx::query(
            "update shards set owner = null, rpc_address = null where shard = any ($1) and owner = $2",
        )
        .bind(&shards)
        .bind(&self.member.name)
        .execute(&mut self.conn)
        .await?;
        sqlx::query("select pg_advisory_unlock($1, w.shard) from unnest($2::int[]) as w (shard)")
            .bind(SHARD)
            .bind(&shards)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Ends the sessions that hold `shards` although their process has not been heard of: frozen holders. Tells
    /// how many.
    ///
    /// # Errors
    /// When the connection failed.
    pub async fn break_frozen(&mut self, shards: &[ShardId]) -> Result<usize> {
        let shards: Vec<i64> = shards.iter().map(|s| i64::from(s.0)).collect();
        let stale: Vec<i32> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select backend_pid from members
             where heartbeat_at < now() - interval '{STALE}' and backend_pid = any ({LIVE_BACKENDS})"
        )))
        .fetch_all(&mut self.conn)
        .await?;
        if stale.is_empty() {
            // The usual case while a shard changes hands. It spares the server from listing all its locks.
            return Ok(0);
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select pg_terminate_backend(pid) from (
                 select distinct l.pid from pg_locks l join members m on m.backend_pid = l.pid
                 where l.locktype = 'advisory' and l.granted and l.classid::bigint = $1
                   and l.database = (select oid from pg_database where datname = current_database())
                   and l.objid::bigint = any ($2) and l.pid = any ($3)
                   and m.heartbeat_at < now() - interval '{STALE}') frozen"
        )))
        .bind(i64::from(SHARD))
        .bind(shards)
        .bind(stale)
        .fetch_all(&mut self.conn)
        .await?;
        Ok(rows.len())
    }

    /// Whether the others plan without this process from now on.
    ///
    /// # Errors
    /// When the connection failed.
    pub async fn set_draining(&mut self, draining: bool) -> Result<()> {
        sqlx::query("update members set draining = $2 where name = $1")
            .bind(&self.member.name)
            .bind(draining)
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Tries to take a duty that one process at a time may have.
    ///
    /// # Errors
    /// When the connection failed.
    pub async fn try_duty(&mut self, duty: &str) -> Result<bool> {
        Ok(sqlx::query_scalar("select pg_try_advisory_lock($1, $2)")
            .bind(DUTY)
            .bind(lock_key(duty))
            .fetch_one(&mut self.conn)
            .await?)
    }

    /// Lets another process take the duty.
    ///
    /// # Errors
    /// When the connection failed, which frees the duty as well.
    pub async fn drop_duty(&mut self, duty: &str) -> Result<()> {
        sqlx::query("select pg_advisory_unlock($1, $2)")
            .bind(DUTY)
            .bind(lock_key(duty))
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Leaves: the member's row goes and with the connection every lock.
    ///
    /// # Errors
    /// When the connection failed, which frees the locks as well.
    pub async fn close(mut self) -> Result<()> {
        sqlx::query("delete from members where name = $1")
            .bind(&self.member.name)
            .execute(&mut self.conn)
            .await?;
        self.conn.close().await?;
        Ok(())
    }

    /// The server's process that serves this connection.
    pub fn backend(&self) -> i32 {
        self.backend
    }

    /// The member that this is.
    pub fn member(&self) -> &Member {
        &self.member
    }
}

#[cfg(test)]
mod tests {
    use claw_types::placement::{LEASE_GOOD_FOR, LEASE_IDLE, LEASE_STALE};

    use super::*;

    #[test]
    fn the_limits_are_those_that_everybody_counts_on() {
        assert_eq!(STALE, format!("{} seconds", LEASE_STALE.as_secs()));
        assert_eq!(IDLE, format!("{}s", LEASE_IDLE.as_secs()));
        assert!(LEASE_GOOD_FOR < TAKEN_OVER_AFTER && LEASE_IDLE < LEASE_STALE);
    }
}
