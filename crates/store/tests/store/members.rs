use claw_store::{Error, Lease, Member};
use claw_types::ShardId;
use sqlx::Executor as _;

use crate::Bench;

fn gateway(name: &str) -> Member {
    Member { role: "gateway", ..Bench::member(name) }
}

const LATER: &str = "update members set heartbeat_at = now() - interval '7 seconds'";

#[tokio::test]
async fn a_gateway_is_a_member_until_it_leaves() {
    let bench = Bench::new().await;
    let (me, other) = (bench.ids.next(), bench.ids.next());
    bench.store.member_join(&gateway("g"), me).await.unwrap();
    let listed = bench.store.members().await.unwrap();
    assert_eq!((listed.len(), listed[0].role.as_str(), listed[0].live), (1, "gateway", true));
    // Only its own process speaks for it.
    assert!(!bench.store.member_beat("g", other).await.unwrap());
    bench.store.member_leave("g", other).await.unwrap();
    assert!(bench.store.member_beat("g", me).await.unwrap());
    bench.store.member_leave("g", me).await.unwrap();
    assert!(bench.store.members().await.unwrap().is_empty());
    assert!(!bench.store.member_beat("g", me).await.unwrap(), "it has to join again");
}

#[tokio::test]
async fn a_name_is_taken_while_its_process_is_heard_of() {
    let bench = Bench::new().await;
    let mut database = bench.database.connect().await;
    let (first, second) = (bench.ids.next(), bench.ids.next());
    bench.store.member_join(&gateway("same"), first).await.unwrap();
    bench.store.member_join(&gateway("same"), first).await.unwrap();
    let refused = bench.store.member_join(&gateway("same"), second).await;
    assert!(matches!(refused, Err(Error::NameTaken(name)) if name == "same"));
    let worker = Lease::open(bench.database.url(), Bench::member("same")).await;
    assert!(matches!(worker, Err(Error::NameTaken(_))), "by a worker neither");
    database.execute(LATER).await.unwrap();
    assert!(!bench.store.members().await.unwrap()[0].live);
    bench.store.member_join(&gateway("same"), second).await.unwrap();
    assert!(!bench.store.member_beat("same", first).await.unwrap());
    // A dead gateway's name is free for a worker, and a live worker's is not for a gateway.
    database.execute(LATER).await.unwrap();
    let mut worker = Lease::open(bench.database.url(), Bench::member("same")).await.unwrap();
    worker.heartbeat().await.unwrap();
    let refused = bench.store.member_join(&gateway("same"), second).await;
    assert!(matches!(refused, Err(Error::NameTaken(_))));
}

#[tokio::test]
async fn a_duty_can_be_given_up_without_leaving() {
    let bench = Bench::new().await;
    let mut one = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let mut two = Lease::open(bench.database.url(), Bench::member("two")).await.unwrap();
    assert!(one.try_duty("clock").await.unwrap());
    assert!(!two.try_duty("clock").await.unwrap());
    one.drop_duty("clock").await.unwrap();
    assert!(two.try_duty("clock").await.unwrap());
    one.heartbeat().await.unwrap();
}

#[tokio::test]
async fn the_living_and_the_unattended_are_counted() {
    let bench = Bench::new().await;
    bench.store.member_join(&gateway("g"), bench.ids.next()).await.unwrap();
    let mut worker = Lease::open(bench.database.url(), Bench::member("w")).await.unwrap();
    let mine = worker.claim(&[ShardId(0), ShardId(1)]).await.unwrap().len();
    let census = bench.store.census().await.unwrap();
    let mut members = census.members;
    members.sort();
    assert_eq!(members, [("gateway".to_owned(), 1), ("worker".to_owned(), 1)]);
    assert_eq!(census.shards - census.unattended, i64::try_from(mine).unwrap());
    let mut database = bench.database.connect().await;
    database.execute("update members set heartbeat_at = now() - interval '11 seconds'").await.unwrap();
    let census = bench.store.census().await.unwrap();
    assert_eq!((census.members, census.unattended), (Vec::new(), census.shards));
}
