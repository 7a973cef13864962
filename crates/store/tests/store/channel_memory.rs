//! What channels remember by themselves.

use std::time::Duration;

use claw_store::{Actor, Lease, MemoChange, MemoOwner, Remembering};
use claw_types::Epoch;

use crate::Bench;

fn actor() -> Actor {
    Actor::named("a test")
}

fn change(name: &str, text: Option<&str>, version: i64) -> MemoChange {
    MemoChange { name: name.to_owned(), text: text.map(str::to_owned), version, keep: None }
}

#[tokio::test]
async fn only_the_owner_writes_and_only_over_what_was_read() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[save.shard]).await.unwrap()[0].epoch;
    let owner = MemoOwner { channel: save.id, shard: save.shard, epoch };
    let write = async |owner, changes: &[MemoChange]| {
        bench.store.channel_memory_save(&bench.vault, owner, changes).await.unwrap()
    };
    let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let read = async || {
        let rows = bench.store.channel_memory_load(&bench.vault, save.id, &names).await.unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|(name, memo)| (name, memo.text, memo.version)).collect();
        rows.sort();
        rows
    };
    let is = |name: &str, text: &str, version: i64| (name.to_owned(), text.to_owned(), version);

    let first = [change("a", Some("one"), 0), change("b", Some("two"), 0)];
    assert_eq!(write(owner, &first).await, Remembering::Saved);
    assert_eq!(read().await, [is("a", "one", 1), is("b", "two", 1)]);
    assert_eq!(write(owner, &first).await, Remembering::Stale, "somebody wrote before");

    let half = [change("a", Some("three"), 1), change("b", Some("four"), 7)];
    assert_eq!(write(owner, &half).await, Remembering::Stale);
    assert_eq!(read().await, [is("a", "one", 1), is("b", "two", 1)], "all or none");
    assert_eq!(
        write(owner, &[change("c", Some("x"), 3)]).await,
        Remembering::Stale,
        "it was removed meanwhile"
    );

    let former = MemoOwner { epoch: Epoch(epoch.0 - 1), ..owner };
    assert_eq!(write(former, &[change("a", Some("mine"), 1)]).await, Remembering::NotOwner);
    let next = [change("a", Some("three"), 1), change("b", None, 1)];
    assert_eq!(write(owner, &next).await, Remembering::Saved);
    assert_eq!(read().await, [is("a", "three", 2)]);

    let short = MemoChange { keep: Some(Duration::ZERO), ..change("c", Some("gone soon"), 0) };
    assert_eq!(write(owner, &[short]).await, Remembering::Saved);
    assert_eq!(write(owner, &[change("b", Some("later"), 0)]).await, Remembering::Saved);
    assert_eq!(
        read().await,
        [is("a", "three", 2), is("b", "later", 1)],
        "what is of no use any more is taken away"
    );

    bench.store.channel_delete(&save.user_id, &save.instance, &actor()).await.unwrap();
    assert_eq!(read().await, [], "it goes with its channel");
    assert_eq!(write(owner, &[change("a", Some("again"), 0)]).await, Remembering::NoChannel);
}

#[tokio::test]
async fn what_is_remembered_is_sealed() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[save.shard]).await.unwrap()[0].epoch;
    let owner = MemoOwner { channel: save.id, shard: save.shard, epoch };
    let changes = [change("key", Some("a very secret key"), 0)];
    bench.store.channel_memory_save(&bench.vault, owner, &changes).await.unwrap();
    let mut admin = bench.database.connect().await;
    let sealed: Vec<u8> =
        sqlx::query_scalar("select sealed from channel_memory").fetch_one(&mut admin).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("secret"));
    // A row that was put in another's place is not believed.
    sqlx::query("update channel_memory set name = 'other'").execute(&mut admin).await.unwrap();
    let names = ["other".to_owned()];
    assert!(bench.store.channel_memory_load(&bench.vault, save.id, &names).await.is_err());
}
