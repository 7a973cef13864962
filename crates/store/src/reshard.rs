//! Changing the number of shards while nothing runs.
//!
//! Everything that belongs to a shard gets the one that the new number gives it, in one transaction: either all of it
//! has moved or none. What is done stays where it is, because nobody asks for its shard again.
//!
//! Must hold: nobody works by the old number afterwards. Members are refused beforehand, and the tables that a new one
//! would need are locked meanwhile; every shard's epoch is set above all that ever were, so that a write of a former
//! owner, under whatever number, touches nothing.

use claw_types::{InstanceId, ShardCount, ShardId, UserId};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use uuid::Uuid;

use crate::lease::{MEMBER, STALE};
use crate::schema::{MIGRATING, shard_count};
use crate::{Error, Result, Store};

/// Rows whose shard is computed and handed over at once.
const BATCH: i64 = 10_000;

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resharded {
    /// The number before.
    pub from: ShardCount,
    /// The number now.
    pub to: ShardCount,
    /// Channels of another shard than before, those deleted included.
    pub channels: u64,
    /// Messages that are not done, likewise.
    pub messages: u64,
    /// Acts to come, likewise.
    pub timers: u64,
    /// Destinations of events, likewise.
    pub destinations: u64,
}

/// Whatever of ours has a session: processes with a lease by their names, gateways by what they call themselves.
fn running() -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "select role || ' ' || name || ' (last heard of ' ||
                greatest(round(extract(epoch from clock_timestamp() - heartbeat_at)), 0) || ' s ago)'
         from members m
         where heartbeat_at > clock_timestamp() - interval '{STALE}'
            or exists (select 1 from pg_locks l
                       where l.locktype = 'advisory' and l.granted and l.classid::bigint = $1
                         and l.database = (select oid from pg_database where datname = current_database())
                         and l.objid::bigint = (m.lock_key::bigint & 4294967295))
         union
         select 'gateway' || coalesce(' at ' || host(client_addr), '') from pg_stat_activity
         where datname = current_database() and application_name = 'ii-claw-gateway'
         order by 1"
    ))
}

impl Store {
    /// Gives everything its shard of `to`. The cluster must be stopped.
    ///
    /// # Errors
    /// [`Error::Running`] when it is not. [`Error::NeedsSession`] through a pooler. Then nothing is changed.
    pub async fn reshard(&self, to: ShardCount) -> Result<Resharded> {
        // A connection by itself: the lock and the longer time-outs end with it.
        let mut conn = self.pool.sessions().ok_or(Error::NeedsSession)?.acquire().await?.detach();
        let alone: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(MIGRATING)
            .fetch_one(&mut conn)
            .await?;
        if !alone {
            return Err(Error::Running("a migration or another resharding".to_owned()));
        }
        let done = reshard(&mut conn, to).await;
        // The server notices the end of a connection a moment later: who comes next would find the lock taken. If the connection
        // is broken, so is the lock.
        if sqlx::query("select pg_advisory_unlock($1)").bind(MIGRATING).execute(&mut conn).await.is_ok() {
            conn.close().await?;
        }
        done
    }
}

async fn reshard(conn: &mut PgConnection, to: ShardCount) -> Result<Resharded> {
    let mut txn = conn.begin().await?;
    // Tables are read whole here, as many rows as they have. Idle members are asked for before anything waits for them.
    sqlx::raw_sql(
        "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
         set local enable_seqscan = on; set local enable_hashjoin = on; set local lock_timeout = '5s'",
    )
    .execute(&mut *txn)
    .await?;
    refuse_running(&mut txn).await?;
    sqlx::raw_sql(
        "lock table members, cluster, shards, channels, messages, timers, event_destinations in exclusive mode",
    )
    .execute(&mut *txn)
    .await?;
    refuse_running(&mut txn).await?;
    let from = shard_count(&mut *txn).await?;
    make_shards(&mut txn, to).await?;
    let channels = move_rows(&mut txn, to, &CHANNELS).await?;
    let messages = move_after_channels(&mut txn, to, "messages", "m.state <> 'done'").await?;
    let timers = move_after_channels(&mut txn, to, "timers", "m.kind = 'wake'").await?;
    let destinations = move_rows(&mut txn, to, &DESTINATIONS).await?;
    sqlx::query("delete from shards where shard >= $1").bind(i32::from(to.get())).execute(&mut *txn).await?;
    sqlx::query("update cluster set shard_count = $1").bind(i32::from(to.get())).execute(&mut *txn).await?;
    txn.commit().await?;
    Ok(Resharded { from, to, channels, messages, timers, destinations })
}

async fn refuse_running(conn: &mut PgConnection) -> Result<()> {
    let running: Vec<String> = sqlx::query_scalar(running()).bind(i64::from(MEMBER)).fetch_all(conn).await?;
    if running.is_empty() { Ok(()) } else { Err(Error::Running(running.join(", "))) }
}

/// A row for each shard, without an owner, with an epoch above every one that any shard ever had.
async fn make_shards(conn: &mut PgConnection, to: ShardCount) -> Result<()> {
    sqlx::query(
        "insert into shards (shard, epoch)
         select n, (select max(epoch) from shards) + 1
         from generate_series(0, greatest($1, (select max(shard) + 1 from shards)) - 1) n
         on conflict (shard) do update set
             epoch = excluded.epoch, owner = null, rpc_address = null, claimed_at = null",
    )
    .bind(i32::from(to.get()))
    .execute(conn)
    .await?;
    Ok(())
}

/// Rows with a shard of their own.
struct Rows {
    table: &'static str,
    /// What the shard is computed from: the row's owner and one more column.
    key: &'static str,
    shard: fn(ShardCount, Option<UserId>, Uuid, &str) -> Option<ShardId>,
}

const CHANNELS: Rows = Rows {
    table: "channels",
    key: "instance",
    shard: |to, user, _, instance| Some(to.shard_of(&user?, &instance.parse::<InstanceId>().ok()?)),
};

const DESTINATIONS: Rows = Rows {
    table: "event_destinations",
    key: "id::text",
    shard: |to, user, id, _| Some(to.shard_of_item(user.as_ref(), id)),
};

/// Moves the rows of a table; tells how many.
async fn move_rows(conn: &mut PgConnection, to: ShardCount, rows: &Rows) -> Result<u64> {
    let Rows { table, key, .. } = rows;
    let page = format!(
        "select id, user_id, {key} as key, shard from {table} where id > $1 order by id limit {BATCH}"
    );
    let (mut last, mut count) = (Uuid::nil(), 0);
    loop {
        let found = sqlx::query(AssertSqlSafe(page.clone())).bind(last).fetch_all(&mut *conn).await?;
        let Some(end) = found.last() else { return Ok(count) };
        last = end.try_get("id")?;
        let (mut ids, mut shards) = (Vec::new(), Vec::new());
        for row in &found {
            let (id, now): (Uuid, i32) = (row.try_get("id")?, row.try_get("shard")?);
            let (user, key): (Option<String>, String) = (row.try_get("user_id")?, row.try_get("key")?);
            let parsed = user.as_ref().map(|user| user.parse::<UserId>()).transpose();
            let shard = parsed.ok().and_then(|user| (rows.shard)(to, user, id, &key));
            let shard = shard.ok_or_else(|| bad(rows.table, &id.to_string(), &user.unwrap_or_default()))?;
            if shard.as_i32() != now {
                ids.push(id);
                shards.push(shard.as_i32());
            }
        }
        count += move_to(conn, rows.table, &ids, &shards).await?;
    }
}

fn bad(table: &'static str, id: &str, user: &str) -> Error {
    Error::BadRow { table, id: id.to_owned(), column: "user_id", value: user.to_owned() }
}

async fn move_to(conn: &mut PgConnection, table: &str, ids: &[Uuid], shards: &[i32]) -> Result<u64> {
    let update = format!(
        "update {table} r set shard = n.shard from unnest($1::uuid[], $2::int[]) as n (id, shard) where r.id = n.id"
    );
    Ok(sqlx::query(AssertSqlSafe(update)).bind(ids).bind(shards).execute(conn).await?.rows_affected())
}

/// Moves what goes by its channel, after channels were moved; what has none goes by its user.
async fn move_after_channels(
    conn: &mut PgConnection,
    to: ShardCount,
    table: &'static str,
    which: &str,
) -> Result<u64> {
    let update = format!(
        "update {table} m set shard = c.shard from channels c
         where c.id = m.channel_id and c.shard <> m.shard and {which}"
    );
    let with = sqlx::query(AssertSqlSafe(update)).execute(&mut *conn).await?.rows_affected();
    let users = format!(
        "select distinct m.user_id from {table} m
         where {which} and not exists (select 1 from channels c where c.id = m.channel_id)"
    );
    let users: Vec<String> = sqlx::query_scalar(AssertSqlSafe(users)).fetch_all(&mut *conn).await?;
    let mut shards = Vec::new();
    for name in &users {
        let user: UserId = name.parse().map_err(|_| bad(table, name, name))?;
        shards.push(to.shard_of(&user, &InstanceId::hooks()).as_i32());
    }
    let update = format!(
        "update {table} m set shard = n.shard from unnest($1::text[], $2::int[]) as n (user_id, shard)
         where m.user_id = n.user_id and n.shard <> m.shard and {which}
           and not exists (select 1 from channels c where c.id = m.channel_id)"
    );
    let without =
        sqlx::query(AssertSqlSafe(update)).bind(users).bind(shards).execute(conn).await?.rows_affected();
    Ok(with + without)
}
