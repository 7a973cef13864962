//! Through a real PgBouncer in transaction mode: many clients, few sessions, and nobody notices.

use std::time::Duration;

use claw_store::{Error, Lease, Store};
use claw_testkit::{PgBouncer, eventually};
use claw_types::{Pooler, ShardCount, UserId};
use futures::StreamExt as _;
use futures::future::join_all;

use crate::Bench;

/// Statements under way at once: several to a session, so that each session has one client after the other. No more, because a
/// transaction that waits for its turn on a busy machine is ended after 5 s.
const AT_ONCE: usize = 16;

async fn through(bouncer: &PgBouncer, connections: u32) -> Store {
    Store::connect_through(Pooler::Transaction, bouncer.url(), "test", connections).await.unwrap()
}

/// Asks again when the pool had no connection within its 5 s: on a busy machine it can take longer to open one, and nothing was asked of
/// the database then.
async fn answered<T>(ask: impl AsyncFn() -> claw_store::Result<T>) -> T {
    eventually("a connection", Duration::from_secs(120), async || match ask().await {
        Err(Error::Database(sqlx::Error::PoolTimedOut)) => None,
        answer => Some(answer.unwrap()),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_few_sessions() {
    let bench = Bench::new().await;
    let bouncer = PgBouncer::start(&bench.database, 2).await;
    let stores = join_all((0..4).map(|_| through(&bouncer, 6))).await;
    // The same statements from all clients, in turns that cross: names would clash within the first few.
    let rounds = (0..20).flat_map(|m| stores.iter().enumerate().map(move |(n, store)| (n, m, store)));
    let done = futures::stream::iter(rounds.map(async |(n, m, store)| {
        let user: UserId = format!("user-{n}").parse().unwrap();
        let mut tenant = answered(async || store.tenant(&user).await).await;
        let made = tenant.once("a kind", &m.to_string(), [0; 32], bench.ids.next()).await.unwrap();
        assert_eq!(made, None);
        tenant.commit().await.unwrap();
        assert_eq!(answered(async || store.check(ShardCount::new(8)).await).await.get(), 8);
        assert_eq!(answered(async || store.shards_unattended().await).await, 8);
    }));
    assert_eq!(done.buffer_unordered(AT_ONCE).count().await, 80);
    let keys: i64 = sqlx::query_scalar("select count(*) from idempotency_keys")
        .fetch_one(&mut bench.database.connect().await)
        .await
        .unwrap();
    assert_eq!(keys, 80, "what was said to be done is committed");
}

#[tokio::test]
async fn a_pooler_that_was_not_named_is_found_out() {
    let bench = Bench::new().await;
    let bouncer = PgBouncer::start(&bench.database, 2).await;
    for refused in [
        Store::connect(bouncer.url(), "test", 2).await.map(drop),
        Lease::open(bouncer.url(), Bench::member("one")).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::UnknownPooler(_)), "{error:?}");
        assert!(error.to_string().contains("set II_CLAW_DATABASE_POOLER=transaction"), "{error}");
    }
    assert!(matches!(through(&bouncer, 2).await.migrate(None).await, Err(Error::NeedsSession)));
}
