//! Creating, upgrading and checking the schema.

use std::borrow::Cow;
use std::time::Duration;

use claw_types::ShardCount;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{PgExecutor, SqlSafeStr as _};
use uuid::Uuid;

use crate::pool::{APP_ROLE, SEES_EVERYTHING};
use crate::{Error, Result, Store};

macro_rules! migrations {
    ($($version:literal $name:literal),+ $(,)?) => {
        [$(($version, $name, include_str!(concat!("../../../migrations/", $name, ".sql")))),+]
    };
}

const MIGRATIONS: &[(i64, &str, &str)] = &migrations![
    1 "0001_cluster",
    2 "0002_channels",
    3 "0003_messages",
    4 "0004_tenants",
    5 "0005_api_keys",
    6 "0006_cron",
    7 "0007_hooks",
    8 "0008_message_details",
    9 "0009_events",
    10 "0010_members",
    11 "0011_conversations",
    12 "0012_group_context",
    13 "0013_erasures",
    14 "0014_pairing",
    15 "0015_backends",
    16 "0016_message_ids",
    17 "0017_placeholders",
    18 "0018_bursts",
    19 "0019_message_partitions",
    20 "0020_cron_timers",
    21 "0021_alerts_and_heartbeats",
    22 "0022_after_sending",
    23 "0023_cheaper_runs",
    24 "0024_indexes_of_what_is_over",
    25 "0025_sealed_by_key",
    26 "0026_channel_memory",
    27 "0027_channel_credentials",
    28 "0028_failed_messages_go",
    29 "0029_looking_without_holding_up",
    30 "0030_over_and_attempts",
];

/// Advisory lock: whoever holds it makes or changes the schema. sqlx has one of its own, which ends before the grants, and
/// two that grant at the same moment get "tuple concurrently updated".
pub(crate) const MIGRATING: i64 = 0x0C1A_0000;

/// Lets the role that superusers work as use the tables; see [`crate::pool`].
async fn grant(conn: &mut PgConnection) -> Result<()> {
    let exists: bool =
        sqlx::query_scalar("select to_regrole($1) is not null").bind(APP_ROLE).fetch_one(&mut *conn).await?;
    let superuser: bool = sqlx::query_scalar(SEES_EVERYTHING).fetch_one(&mut *conn).await?;
    if exists && superuser {
        let grants = format!(
            "grant usage on schema public to {APP_ROLE};
             grant select, insert, update, delete on all tables in schema public to {APP_ROLE};
             grant usage, select on all sequences in schema public to {APP_ROLE};
             grant execute on all functions in schema public to {APP_ROLE}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(grants)).execute(conn).await?;
    }
    Ok(())
}

/// How many shards the cluster has.
pub(crate) async fn shard_count<'c>(on: impl PgExecutor<'c>) -> Result<ShardCount> {
    let stored: Option<i32> =
        sqlx::query_scalar("select shard_count from cluster").fetch_optional(on).await?;
    let count = stored.and_then(|count| ShardCount::new(u16::try_from(count).ok()?));
    count.ok_or(Error::NoCluster)
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Whether newer ones are in order is for `refuse_if_ahead` to say.
    migrator.set_ignore_missing(true);
    migrator
}

/// The newest migration of this binary.
fn newest() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default()
}

/// The oldest migration that this binary does not know, if there is one.
async fn first_unknown<'c>(on: impl PgExecutor<'c>) -> Result<Option<i64>> {
    let sql = "select min(version) from _sqlx_migrations where success and version > $1";
    Ok(sqlx::query_scalar(sql).bind(newest()).fetch_one(on).await?)
}

/// How old a binary may be that runs on this database: during an upgrade the old version runs beside the new one, and must
/// be able to start again.
async fn oldest_schema<'c>(on: impl PgExecutor<'c>) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar("select oldest_schema from cluster").fetch_optional(on).await?)
}

fn gets_along(unknown: i64, oldest: Option<i64>) -> Result<()> {
    match oldest {
        Some(oldest) if newest() >= oldest => Ok(()),
        _ => Err(Error::SchemaAhead(unknown)),
    }
}

/// Refuses migrations of newer binaries, unless the database says that this one gets along with them.
async fn refuse_if_ahead(conn: &mut PgConnection) -> Result<()> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        return Ok(());
    }
    match first_unknown(&mut *conn).await? {
        Some(unknown) => gets_along(unknown, oldest_schema(&mut *conn).await?),
        None => Ok(()),
    }
}

async fn apply(conn: &mut PgConnection) -> Result<()> {
    refuse_if_ahead(conn).await?;
    migrator().run(&mut *conn).await?;
    grant(conn).await
}

impl Store {
    /// Applies what is missing and, in a new database, creates the cluster with `shards` (or the default).
    /// Safe to run by several processes at once: migrating takes an advisory lock.
    ///
    /// # Errors
    /// When a migration fails, there is a pooler before the database, the database is too far ahead of this binary, or the
    /// cluster has another number of shards.
    pub async fn migrate(&self, shards: Option<ShardCount>) -> Result<ShardCount> {
        let mut conn = self.pool.sessions().ok_or(Error::NeedsSession)?.acquire().await?;
        // A migration may rewrite a table; only this connection may take that long. It owns what it makes.
        sqlx::raw_sql("set statement_timeout = 0; reset role").execute(&mut *conn).await?;
        sqlx::query("select pg_advisory_lock($1)").bind(MIGRATING).execute(&mut *conn).await?;
        let migrated = apply(&mut conn).await;
        // Not back into the pool with its time-out off; the lock ends with it.
        drop(conn.detach());
        migrated?;
        self.create_cluster(shards.unwrap_or(ShardCount::DEFAULT)).await?;
        self.check(shards).await
    }

    async fn create_cluster(&self, shards: ShardCount) -> Result<()> {
        let mut txn = self.pool.begin().await?;
        let created = sqlx::query("insert into cluster (shard_count) values ($1) on conflict do nothing")
            .bind(i32::from(shards.get()))
            .execute(&mut txn)
            .await?;
        if created.rows_affected() == 1 {
            sqlx::query("insert into shards (shard) select generate_series(0, $1 - 1)")
                .bind(i32::from(shards.get()))
                .execute(&mut txn)
                .await?;
        }
        txn.commit().await?;
        Ok(())
    }

    /// Checks that this binary may run on this database, and tells the cluster's number of shards.
    ///
    /// # Errors
    /// When the schema is behind or too far ahead, or `shards` is given and differs.
    pub async fn check(&self, shards: Option<ShardCount>) -> Result<ShardCount> {
        let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
            .fetch_one(&self.pool)
            .await?;
        if !exists {
            return Err(Error::NoCluster);
        }
        let applied: Vec<i64> =
            sqlx::query_scalar("select version from _sqlx_migrations where success order by version")
                .fetch_all(&self.pool)
                .await?;
        let mut known = MIGRATIONS.iter().map(|(version, ..)| *version);
        if let Some(missing) = known.find(|version| !applied.contains(version)) {
            return Err(Error::SchemaBehind(missing));
        }
        if let Some(unknown) = first_unknown(&self.pool).await? {
            gets_along(unknown, oldest_schema(&self.pool).await?)?;
        }
        let count = shard_count(&self.pool).await?;
        match shards {
            Some(given) if given != count => {
                Err(Error::ShardCount { stored: count.get().into(), given: given.get() })
            }
            _ => Ok(count),
        }
    }

    /// What tells this cluster from others, e.g. on a NATS that they share.
    ///
    /// # Errors
    /// When there is no cluster or the database fails.
    pub async fn cluster_id(&self) -> Result<Uuid> {
        sqlx::query_scalar("select id from cluster").fetch_optional(&self.pool).await?.ok_or(Error::NoCluster)
    }

    /// Waits until another process has migrated the database, up to `limit`; for roles that start beside it.
    ///
    /// # Errors
    /// When the schema is still behind after `limit`, or anything else is wrong with it.
    pub async fn wait_for_schema(&self, shards: Option<ShardCount>, limit: Duration) -> Result<ShardCount> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match self.check(shards).await {
                Err(Error::NoCluster | Error::SchemaBehind(_)) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use claw_testkit::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn migrating_twice_and_at_once_is_harmless() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 4).await.unwrap();
        for _ in 0..5 {
            let (a, b, c) = tokio::join!(store.migrate(None), store.migrate(None), store.migrate(None));
            assert_eq!([a.unwrap(), b.unwrap(), c.unwrap()], [ShardCount::DEFAULT; 3]);
        }
        let shards: i64 =
            sqlx::query_scalar("select count(*) from shards").fetch_one(&store.pool).await.unwrap();
        assert_eq!(shards, 256);
    }

    /// A database with messages from before there were partitions.
    #[tokio::test]
    async fn messages_of_before_are_in_the_first_partition() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        let mut before = migrator();
        before.migrations.to_mut().retain(|migration| migration.version < 16);
        before.run(&mut db.connect().await).await.unwrap();
        let old = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
                select id::uuid, 'ada', gen_random_uuid(), 0, 'in', 'c', '{}'
                from unnest(array['01939393-0000-7000-8000-000000000000', 'ffffffff-ffff-7000-8000-000000000000']) id;
            insert into message_attempts (message_id, retry, n, user_id, outcome)
                select id, 0, 1, 'ada', 'pending' from messages;
            select setval(pg_get_serial_sequence('messages', 'seq'), 41)";
        sqlx::raw_sql(old).execute(&mut db.connect().await).await.unwrap();

        store.migrate(None).await.unwrap();
        let new = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
            values (claw_first_id(now()), 'ada', gen_random_uuid(), 0, 'in', 'c', '{}')";
        sqlx::query(new).execute(&store.pool).await.unwrap();
        let rows: Vec<(String, i64)> =
            sqlx::query_as("select tableoid::regclass::text, seq from messages order by seq")
                .fetch_all(&store.pool)
                .await
                .unwrap();
        let rows: Vec<(&str, i64)> = rows.iter().map(|(table, seq)| (table.as_str(), *seq)).collect();
        assert_eq!(rows, [("messages_initial", 1), ("messages_default", 2), ("messages_initial", 42)]);
        let attempts = "select count(*) from message_attempts";
        let attempts = async || sqlx::query_scalar::<_, i64>(attempts).fetch_one(&store.pool).await.unwrap();
        assert_eq!(attempts().await, 2);
        // As the version before does it.
        sqlx::query("delete from messages where seq = 1").execute(&store.pool).await.unwrap();
        assert_eq!(attempts().await, 1);
    }

    /// A database with channels from before their credentials had a table.
    #[tokio::test]
    async fn credentials_of_before_belong_to_their_channels() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        let mut before = migrator();
        before.migrations.to_mut().retain(|migration| migration.version < 27);
        before.run(&mut db.connect().await).await.unwrap();
        let old = "insert into cluster (shard_count) values (1);
            insert into shards (shard) values (0);
            insert into channels (id, user_id, instance, instance_name, channel_type, config, shard, fingerprint, deleted_at)
                select gen_random_uuid(), 'ada', name, '', 'kind', '{}', 0, fingerprint, deleted_at
                from (values ('bot', '\\x01'::bytea, null), ('none', null, null), ('gone', '\\x02', now()))
                     as given (name, fingerprint, deleted_at)";
        sqlx::raw_sql(old).execute(&mut db.connect().await).await.unwrap();

        store.migrate(None).await.unwrap();
        let credentials = "select c.instance, k.fingerprint from channel_credentials k
            join channels c on c.id = k.channel_id";
        let found: Vec<(String, Vec<u8>)> = sqlx::query_as(credentials).fetch_all(&store.pool).await.unwrap();
        assert_eq!(found, [("bot".to_owned(), vec![1])]);
    }

    #[tokio::test]
    async fn another_shard_count_is_refused() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        assert!(matches!(store.check(None).await, Err(Error::NoCluster)));
        store.migrate(ShardCount::new(8)).await.unwrap();
        assert_eq!(store.check(None).await.unwrap().get(), 8);
        let error = store.check(ShardCount::new(16)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "this cluster was created with 8 shards but II_CLAW_SHARDS says 16: unset it or set it to 8"
        );
    }

    #[tokio::test]
    async fn an_unknown_schema_is_refused_unless_it_says_that_this_one_may_run() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let future = "insert into _sqlx_migrations values (999, 'future', now(), true, '', 0)";
        sqlx::query(future).execute(&store.pool).await.unwrap();
        // It only added something.
        store.check(None).await.unwrap();
        store.migrate(None).await.unwrap();
        // The oldest that may run is this one, then the next.
        for (oldest, may) in [(newest(), true), (newest() + 1, false)] {
            let raise = sqlx::query("update cluster set oldest_schema = $1").bind(oldest);
            raise.execute(&store.pool).await.unwrap();
            for refused in [store.check(None).await, store.migrate(None).await] {
                assert_eq!(refused.is_ok(), may, "{oldest}: {refused:?}");
                assert!(may || matches!(refused, Err(Error::SchemaAhead(999))), "{refused:?}");
            }
        }
        let gone = "delete from _sqlx_migrations where version in (3, 999)";
        sqlx::query(gone).execute(&store.pool).await.unwrap();
        assert!(matches!(store.check(None).await, Err(Error::SchemaBehind(3))));
    }

    #[tokio::test]
    async fn a_new_database_may_be_used_by_the_binaries_that_an_old_one_may() {
        let db = TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let oldest: i64 =
            sqlx::query_scalar("select oldest_schema from cluster").fetch_one(&store.pool).await.unwrap();
        assert!((1..=newest()).contains(&oldest), "{oldest}");
    }
}
