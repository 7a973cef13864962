//! Through a real PgBouncer in transaction mode: many clients, few sessions, and nobody notices.

use claw_store::{Error, Lease, Store};
use claw_testkit::PgBouncer;
use claw_types::{Pooler, ShardCount, UserId};
use futures::future::join_all;

use crate::Bench;

async fn through(bouncer: &PgBouncer, connections: u32) -> Store {
    Store::connect_through(Pooler::Transaction, bouncer.url(), "test", connections).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_few_sessions() {
    let bench = Bench::new().await;
    let bouncer = PgBouncer::start(&bench.database, 4).await;
    let stores = join_all((0..8).map(|_| through(&bouncer, 8))).await;
    // The same statements from all clients at once: names would clash within the first few.
    let rounds = stores.iter().enumerate().flat_map(|(n, store)| (0..10).map(move |m| (n, m, store)));
    let done = join_all(rounds.map(async |(n, m, store)| {
        let user: UserId = format!("user-{n}").parse().unwrap();
        let mut tenant = store.tenant(&user).await.unwrap();
        let made = tenant.once("a kind", &m.to_string(), [0; 32], bench.ids.next()).await.unwrap();
        assert_eq!(made, None);
        tenant.commit().await.unwrap();
        assert_eq!(store.check(ShardCount::new(8)).await.unwrap().get(), 8);
        assert_eq!(store.shards_unattended().await.unwrap(), 8);
    }));
    assert_eq!(done.await.len(), 80);
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
