use std::time::Duration;

use claw_store::{Error, Former, Lease};
use claw_testkit::eventually;
use claw_types::{Epoch, ShardId};
use sqlx::Executor as _;

use crate::Bench;

fn shards(range: std::ops::Range<u16>) -> Vec<ShardId> {
    range.map(ShardId).collect()
}

#[tokio::test]
async fn a_shard_is_claimed_once_and_each_claim_raises_the_epoch() {
    let bench = Bench::new().await;
    let mut one = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let mut two = Lease::open(bench.database.url(), Bench::member("two")).await.unwrap();
    assert_eq!(one.claim(&shards(0..5)).await.unwrap().len(), 5);
    let left = two.claim(&shards(0..8)).await.unwrap();
    assert_eq!(
        left.iter().map(|c| c.shard).collect::<std::collections::BTreeSet<_>>(),
        shards(5..8).into_iter().collect()
    );
    one.release(&shards(0..1)).await.unwrap();
    let again = two.claim(&shards(0..1)).await.unwrap();
    assert_eq!((again[0].shard, again[0].epoch, again[0].former), (ShardId(0), Epoch(2), Former::Nobody));
    let owners = bench.store.shard_owners().await.unwrap();
    assert_eq!((owners[&ShardId(0)].name.as_str(), owners[&ShardId(1)].name.as_str()), ("two", "one"));
    assert_eq!(owners[&ShardId(0)].rpc_address, "two:1");
    assert_eq!(bench.store.shards_unattended().await.unwrap(), 0);
    two.close().await.unwrap();
    assert_eq!(bench.store.shards_unattended().await.unwrap(), 4);
}

#[tokio::test]
async fn only_live_workers_count() {
    let bench = Bench::new().await;
    let mut one = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let two = Lease::open(bench.database.url(), Bench::member("two")).await.unwrap();
    let mut three = Lease::open(bench.database.url(), Bench::member("three")).await.unwrap();
    let mut names = async || {
        let mut names: Vec<_> = one.heartbeat().await.unwrap().into_iter().map(|peer| peer.name).collect();
        names.sort();
        names
    };
    assert_eq!(names().await, ["one", "three", "two"]);
    // A crash: the connection goes, the row stays.
    drop(two);
    three.set_draining(true).await.unwrap();
    eventually("only one to be left", Duration::from_secs(10), async || {
        (names().await == ["one"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_name_is_taken_only_while_its_process_lives() {
    let bench = Bench::new().await;
    let first = Lease::open(bench.database.url(), Bench::member("same")).await.unwrap();
    let second = Lease::open(bench.database.url(), Bench::member("same")).await;
    assert!(matches!(second, Err(Error::NameTaken(_))));
    first.close().await.unwrap();
    Lease::open(bench.database.url(), Bench::member("same")).await.unwrap();
}

#[tokio::test]
async fn a_frozen_holder_is_broken_and_a_live_one_is_not() {
    let bench = Bench::new().await;
    let mut frozen = Lease::open(bench.database.url(), Bench::member("frozen")).await.unwrap();
    let mut live = Lease::open(bench.database.url(), Bench::member("live")).await.unwrap();
    frozen.claim(&shards(0..4)).await.unwrap();
    assert_eq!(live.break_frozen(&shards(0..4)).await.unwrap(), 0, "it was heard of a moment ago");
    let mut database = bench.database.connect().await;
    database
        .execute("update members set heartbeat_at = now() - interval '7 seconds' where name = 'frozen'")
        .await
        .unwrap();
    assert_eq!(live.break_frozen(&shards(0..4)).await.unwrap(), 1);
    let claimed = eventually("the locks to be free", Duration::from_secs(5), async || {
        let claimed = live.claim(&shards(0..4)).await.unwrap();
        (!claimed.is_empty()).then_some(claimed)
    });
    let claimed = claimed.await;
    assert!(claimed.iter().all(|claim| claim.epoch == Epoch(2) && claim.former == Former::Silent));
    assert!(frozen.heartbeat().await.is_err(), "it notices");
}

#[tokio::test]
async fn a_silent_session_is_ended_by_the_server() {
    let bench = Bench::new().await;
    let mut silent = Lease::open(bench.database.url(), Bench::member("silent")).await.unwrap();
    silent.claim(&shards(0..1)).await.unwrap();
    let mut other = Lease::open(bench.database.url(), Bench::member("other")).await.unwrap();
    eventually("idle_session_timeout to free the lock", Duration::from_secs(15), async || {
        (!other.claim(&shards(0..1)).await.unwrap().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_leads_and_a_former_term_renews_nothing() {
    let bench = Bench::new().await;
    let mut one = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let mut two = Lease::open(bench.database.url(), Bench::member("two")).await.unwrap();
    let first = one.elect("clock").await.unwrap().unwrap();
    assert_eq!(two.elect("clock").await.unwrap(), None);
    let backend = one.backend();
    one.close().await.unwrap();
    forgotten(&bench, backend).await;
    let second = two.elect("clock").await.unwrap().unwrap();
    assert_eq!((first, second), (1, 2));
    assert!(!bench.store.leader_renew("clock", first).await.unwrap());
    assert!(bench.store.leader_renew("clock", second).await.unwrap());
    let leader = bench.store.leader("clock").await.unwrap().unwrap();
    assert_eq!((leader.name.as_str(), leader.term, leader.live), ("two", 2, true));
    bench.store.leader_resign("clock", second).await.unwrap();
    assert_eq!(bench.store.leader("clock").await.unwrap(), None);
    assert_eq!(bench.store.members_prune(10).await.unwrap(), 0);
}

/// Makes a member look as if it had not been heard of for a while.
async fn silence(bench: &Bench, name: &str) {
    let mut database = bench.database.connect().await;
    let sql = "update members set heartbeat_at = now() - interval '3 seconds' where name = $1";
    sqlx::query(sql).bind(name).execute(&mut database).await.unwrap();
}

/// Waits until the server has seen that a connection is gone.
async fn forgotten(bench: &Bench, backend: i32) {
    let mut database = bench.database.connect().await;
    eventually("the session to be gone", Duration::from_secs(10), async || {
        let gone = sqlx::query_scalar("select not exists (select 1 from pg_stat_activity where pid = $1)");
        let gone: bool = gone.bind(backend).fetch_one(&mut database).await.unwrap();
        gone.then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_lost_the_connection_has_time_to_stop_before_others_take_over() {
    let bench = Bench::new().await;
    let mut one = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let mut two = Lease::open(bench.database.url(), Bench::member("two")).await.unwrap();
    one.claim(&shards(0..2)).await.unwrap();
    let backend = one.backend();
    drop(one);
    forgotten(&bench, backend).await;
    assert_eq!(two.claim(&shards(0..2)).await.unwrap(), [], "it may not know yet");
    silence(&bench, "one").await;
    assert_eq!(two.claim(&shards(0..2)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_name_is_free_at_once_for_the_same_process_and_later_for_another() {
    let bench = Bench::new().await;
    let mut first = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let mut two = Lease::open(bench.database.url(), Bench::member("two")).await.unwrap();
    first.claim(&shards(0..2)).await.unwrap();
    let backend = first.backend();
    drop(first);
    forgotten(&bench, backend).await;
    let other = Lease::open(bench.database.url(), Bench::member("one")).await;
    assert!(matches!(other, Err(Error::NameTaken(_))));
    let again = Lease::open_again(bench.database.url(), Bench::member("one"), Some(backend)).await.unwrap();
    assert_eq!(
        two.claim(&shards(0..2)).await.unwrap().len(),
        2,
        "it came back, so it holds nothing of before"
    );
    let backend = again.backend();
    drop(again);
    forgotten(&bench, backend).await;
    silence(&bench, "one").await;
    Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_stuck_holds_back_its_own_shard_only() {
    let bench = Bench::new().await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let mut stuck = bench.database.connect().await;
    sqlx::raw_sql("begin; select * from shards where shard = 1 for share").execute(&mut stuck).await.unwrap();
    let claimed = lease.claim(&shards(0..3)).await.unwrap();
    let claimed: std::collections::BTreeSet<_> = claimed.iter().map(|claim| claim.shard).collect();
    assert_eq!(claimed, [ShardId(0), ShardId(2)].into());
    sqlx::raw_sql("rollback").execute(&mut stuck).await.unwrap();
    let claimed = lease.claim(&shards(1..2)).await.unwrap();
    assert_eq!((claimed[0].shard, claimed[0].epoch), (ShardId(1), Epoch(1)));
}
