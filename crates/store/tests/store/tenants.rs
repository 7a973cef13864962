//! Nobody reads another tenant's data, whatever the query says.

use claw_store::{Actor, Error};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::Bench;

/// Tables in which no tenant's data is.
const OURS: [&str; 7] =
    ["_sqlx_migrations", "cluster", "event_horizon", "leaders", "members", "message_partitions", "shards"];
/// Tables whose rows are for our own roles only.
const NO_TENANTS: [&str; 3] = ["api_keys", "erasure_attachments", "message_keys"];

/// One row of a user's for each table, hanging off their one channel.
pub(crate) fn seed(user: &str) -> String {
    SEED.replace("USER", &format!("'{user}'"))
}

const SEED: &str = "
    insert into channel_state (channel_id, epoch) select id, 1 from channels where user_id = USER on conflict do nothing;
    insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, media)
        select ('f' || substr(gen_random_uuid()::text, 2))::uuid, user_id, id, shard, 'in', 'c', '{}', '{}'
        from channels where user_id = USER;
    insert into message_keys (channel_id, key, message_id)
        select channel_id, 'k', id from messages where user_id = USER;
    insert into message_attempts (message_id, retry, n, user_id, outcome)
        select id, 0, 1, user_id, 'dead' from messages where user_id = USER;
    insert into idempotency_keys (user_id, kind, key, digest, subject) values (USER, 'x', 'k', '', gen_random_uuid());
    insert into api_keys (id, name, hash, user_id, scopes, created_by)
        values (gen_random_uuid(), 'a key', '', USER, '{read}', 'a test');
    insert into cron_jobs (id, user_id, name, enabled, schedule, schedule_type, action, action_type, one_shot)
        values (gen_random_uuid(), USER, 'a job', true, '{}', 'at', '{}', 'channel_message', true);
    insert into cron_runs (id, user_id, job_id, job_name, status, deadline_at, action_type, schedule_type)
        select gen_random_uuid(), user_id, id, name, 'ok', now(), action_type, schedule_type from cron_jobs
        where user_id = USER;
    insert into user_settings (user_id, alerts, active_hours, heartbeat) values (USER, '{}', '{}', '{}');
    insert into timers (id, user_id, kind, due_at) values (gen_random_uuid(), USER, 'heartbeat', now());
    insert into group_context (channel_id, user_id, conversation, said)
        select id, user_id, 'c', '{}' from channels where user_id = USER;
    insert into pairings (id, channel_id, user_id, code, state)
        select gen_random_uuid(), id, user_id, 'CODE', 'approved' from channels where user_id = USER;
    insert into pairing_held (id, pairing_id, user_id, conversation, payload, media)
        select gen_random_uuid(), id, user_id, 'c', '{}', '{}' from pairings where user_id = USER;
    insert into placeholders (message_id, user_id, channel_id, conversation, seq, platform_id)
        select gen_random_uuid(), user_id, id, 'c', 1, '1' from channels where user_id = USER;
    insert into channel_memory (channel_id, name, user_id, sealed, sealed_key, version)
        select id, 'key', user_id, '', '', 1 from channels where user_id = USER;
    insert into channel_credentials (fingerprint, channel_id)
        select sha256(convert_to(id::text, 'UTF8')), id from channels where user_id = USER;
    insert into timers (id, user_id, kind, due_at, shard, channel_id, conversation, payload, source)
        select gen_random_uuid(), user_id, 'wake', now(), shard, id, 'c', '{}', 'wake' from channels
        where user_id = USER;
    insert into hooks (id, user_id, name, auth, secret, secret_key)
        values (gen_random_uuid(), USER, 'a-hook-of-' || USER, 'hmac', '', '');
    insert into hook_deliveries (hook_id, user_id, genuine, status)
        select id, user_id, true, 'accepted' from hooks where user_id = USER;
    insert into event_destinations (id, user_id, name, url, secret, secret_key, shard, cursor_xact, cursor_id)
        select gen_random_uuid(), user_id, 'a place', '', '', '', shard, '0', 0 from channels where user_id = USER;
    insert into backends (id, user_id, channel_id, url, secrets_count, max_in_flight)
        select gen_random_uuid(), user_id, id, 'https://a', 1, 1 from channels where user_id = USER;
    insert into erasures (user_id, requested_by, finished_at) values (USER, 'a test', now());
    insert into erasure_attachments (message_id, user_id) values (gen_random_uuid(), USER);
    -- The one above is in the default partition, by its id.
    insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
        select claw_first_id(now() - random() * interval '1 day'), user_id, id, shard, 'in', 'c', '{}'
        from channels where user_id = USER;";

/// Every table that is not known to be without tenants' data: so a new one is under these tests.
pub(crate) async fn tenant_tables(admin: &mut PgConnection) -> Vec<String> {
    let named = "select relname::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> all ($1)";
    sqlx::query_scalar(named).bind(OURS.map(str::to_owned).to_vec()).fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn every_tenant_table_is_under_row_level_security() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let tables = tenant_tables(&mut admin).await;
    assert!(tables.len() >= 15, "{tables:?}");
    for table in tables {
        let (enabled, forced): (bool, bool) = sqlx::query_as(
            "select relrowsecurity, relforcerowsecurity from pg_class where oid = to_regclass($1)",
        )
        .bind(&table)
        .fetch_one(&mut admin)
        .await
        .unwrap();
        assert!(enabled && forced, "{table}: a new table of tenants' data needs its policy in its migration");
    }
}

#[tokio::test]
async fn a_query_without_its_tenant_returns_nothing() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    let mut admin = bench.database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(seed("ada"))).execute(&mut admin).await.unwrap();
    let tables = tenant_tables(&mut admin).await;
    admin.close().await.unwrap();
    let count = async |tenant: &str, table: &str| -> i64 {
        let mut conn = bench.database.connect().await;
        sqlx::raw_sql("set role ii_claw_app").execute(&mut conn).await.unwrap();
        if !tenant.is_empty() {
            let set = sqlx::query("select set_config('claw.tenant', $1, false)").bind(tenant);
            set.execute(&mut conn).await.unwrap();
        }
        let select = AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(select).fetch_one(&mut conn).await.unwrap()
    };
    for table in &tables {
        let rows = count("all", table).await;
        assert!(rows > 0, "{table}: put a row of ada's into SEED, or this test proves nothing of it");
        let own = if NO_TENANTS.contains(&&**table) { 0 } else { rows };
        assert_eq!(count("user:ada", table).await, own, "{table} as its tenant");
        for (tenant, who) in [
            ("", "without a tenant"),
            ("user:bob", "as somebody else"),
            ("user:", "as nobody"),
            ("ada", "without the prefix"),
            ("user:all", "as a user of that name"),
        ] {
            assert_eq!(count(tenant, table).await, 0, "{table} {who}");
        }
    }
}

#[tokio::test]
async fn a_tenant_can_not_write_for_another() {
    let bench = Bench::new().await;
    let mut conn = bench.database.connect().await;
    sqlx::raw_sql("set role ii_claw_app; set claw.tenant = 'user:bob'").execute(&mut conn).await.unwrap();
    let stolen =
        sqlx::query("insert into audit_log (actor, action, user_id, subject) values ('b', 'x', 'ada', 's')");
    let refused = stolen.execute(&mut conn).await.unwrap_err().to_string();
    assert!(refused.contains("row-level security"), "{refused}");
}

#[tokio::test]
async fn an_idempotency_key_is_one_request() {
    let bench = Bench::new().await;
    let ada = "ada".parse().unwrap();
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut tenant = bench.store.tenant(&ada).await.unwrap();
    assert_eq!(tenant.once("job", "k", [1; 32], first).await.unwrap(), None);
    tenant.commit().await.unwrap();
    let mut tenant = bench.store.tenant(&ada).await.unwrap();
    assert_eq!(tenant.once("job", "k", [1; 32], second).await.unwrap(), Some(first));
    assert!(matches!(tenant.once("job", "k", [2; 32], second).await, Err(Error::KeyReused)));
    assert_eq!(tenant.once("hook", "k", [2; 32], second).await.unwrap(), None, "another kind of thing");
    drop(tenant);
    let mut bob = bench.store.tenant(&"bob".parse().unwrap()).await.unwrap();
    assert_eq!(bob.once("job", "k", [2; 32], second).await.unwrap(), None, "another user's key");
    drop(bob);
    assert_eq!(bench.store.idempotency_keys_forget(7, 10).await.unwrap(), 0, "it is young");
    assert_eq!(bench.store.idempotency_keys_forget(-1, 10).await.unwrap(), 1);
    let mut tenant = bench.store.tenant(&ada).await.unwrap();
    assert_eq!(tenant.once("job", "k", [2; 32], second).await.unwrap(), None, "forgotten: a new request");
}
