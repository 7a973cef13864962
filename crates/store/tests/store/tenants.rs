//! Nobody reads another tenant's data, whatever the query says.

use claw_store::{Actor, Error};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::Bench;

/// Tables that hold a tenant's data, whether by `user_id` or by what they hang off.
async fn tenant_tables(admin: &mut PgConnection) -> Vec<String> {
    let named = "select distinct c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and a.attname in ('user_id', 'channel_id') and not a.attisdropped";
    sqlx::query_scalar(named).fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn every_tenant_table_is_under_row_level_security() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let tables = tenant_tables(&mut admin).await;
    assert!(tables.len() >= 6, "{tables:?}");
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
        assert_eq!(count("", table).await, 0, "{table} without a tenant");
        assert_eq!(count("user:bob", table).await, 0, "{table} as somebody else");
        assert_eq!(count("user:", table).await, 0, "{table} as nobody");
        assert_eq!(count("ada", table).await, 0, "{table} without the prefix");
    }
    for (tenant, rows) in [("user:ada", 1), ("all", 1), ("user:all", 0)] {
        assert_eq!(count(tenant, "channels").await, rows, "{tenant}");
        assert_eq!(count(tenant, "audit_log").await, rows, "{tenant}");
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
    assert_eq!(bench.store.idempotency_keys_forget(7).await.unwrap(), 0, "it is young");
    assert_eq!(bench.store.idempotency_keys_forget(-1).await.unwrap(), 1);
    let mut tenant = bench.store.tenant(&ada).await.unwrap();
    assert_eq!(tenant.once("job", "k", [2; 32], second).await.unwrap(), None, "forgotten: a new request");
}
