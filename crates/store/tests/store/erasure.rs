//! A person's data goes, all of it and nobody else's, whoever is killed when.

use std::collections::BTreeMap;
use std::time::Duration;

use claw_store::{Actor, Error, Next, Store};
use claw_types::{MessageId, UserId};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::Bench;
use crate::tenants::{seed, tenant_tables};

/// The record of the erasure itself: it stays.
const RECORD: &str = "erasures";
const AT_ONCE: Duration = Duration::ZERO;

/// Names that stand in no other text.
fn users() -> [UserId; 2] {
    ["erased-person", "other-person"].map(|user| user.parse().unwrap())
}

/// Two users with a row in every table.
async fn furnished() -> (Bench, PgConnection) {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    for user in users() {
        let save = bench.channel(user.as_str(), "one");
        bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(seed(user.as_str()))).execute(&mut admin).await.unwrap();
    }
    (bench, admin)
}

/// How many rows of a user each table has. Which columns there are is read from the schema.
async fn kept(admin: &mut PgConnection, user: &UserId, channels: &[uuid::Uuid]) -> BTreeMap<String, i64> {
    let mut kept = BTreeMap::new();
    for table in tenant_tables(admin).await {
        let columns: Vec<String> = sqlx::query_scalar(
            "select column_name::text from information_schema.columns
             where table_schema = 'public' and table_name = $1 and column_name in ('user_id', 'channel_id')",
        )
        .bind(&table)
        .fetch_all(&mut *admin)
        .await
        .unwrap();
        let has = |name: &str| columns.iter().any(|column| column == name);
        assert!(!columns.is_empty(), "{table}: say here how a user's rows in it are found");
        let mut which = vec!["strpos(t::text, $1) > 0"];
        which.extend(has("user_id").then_some("user_id = $1"));
        which.extend(has("channel_id").then_some("channel_id = any ($2)"));
        let count = format!(
            "select count(*) from {table} t where $2::uuid[] is not null and ({})",
            which.join(" or ")
        );
        let count = sqlx::query_scalar(AssertSqlSafe(count)).bind(user.as_str()).bind(channels);
        kept.insert(table, count.fetch_one(&mut *admin).await.unwrap());
    }
    kept
}

async fn channels_of(admin: &mut PgConnection, user: &UserId) -> Vec<uuid::Uuid> {
    let ids = sqlx::query_scalar("select id from channels where user_id = $1").bind(user.as_str());
    ids.fetch_all(admin).await.unwrap()
}

/// Takes steps until the end, as a gateway does; tells which attachments were to be removed.
async fn finish(store: &Store, user: &UserId) -> Vec<MessageId> {
    let mut attachments = Vec::new();
    loop {
        match store.erasure_step(user, AT_ONCE).await.unwrap().next {
            Next::More => {}
            Next::Attachments(some) => {
                store.erasure_attachments_gone(user, &some).await.unwrap();
                attachments.extend(some);
            }
            Next::Wait => panic!("nobody else is at it"),
            Next::Finished => return attachments,
        }
    }
}

#[tokio::test]
async fn everything_of_the_erased_user_goes_and_everything_of_the_other_stays() {
    let (bench, mut admin) = furnished().await;
    let [erased, other] = users();
    let [of_erased, of_other] =
        [channels_of(&mut admin, &erased).await, channels_of(&mut admin, &other).await];
    let before = kept(&mut admin, &erased, &of_erased).await;
    assert!(before.values().all(|rows| *rows > 0), "a table without a row proves nothing: {before:?}");
    let others = kept(&mut admin, &other, &of_other).await;

    let held = sqlx::query_scalar("select id from pairing_held where user_id = $1").bind(erased.as_str());
    let held = MessageId(held.fetch_one(&mut admin).await.unwrap());

    let begun = bench.store.erasure_begin(&erased, &Actor::named("operator")).await.unwrap();
    assert_eq!((begun.finished_at, begun.removed["messages"]), (None, 0));
    assert_eq!(bench.store.erasures_unfinished().await.unwrap(), std::slice::from_ref(&erased));
    let attachments = finish(&bench.store, &erased).await;
    assert_eq!(attachments.len(), 3, "a message's, a held one's, and one that an earlier erasure had left");
    assert!(attachments.contains(&held), "what a stranger sent who was not let in");

    let mut after = kept(&mut admin, &erased, &of_erased).await;
    assert_eq!(after.remove(RECORD), Some(1));
    assert_eq!(after.remove("audit_log"), Some(2), "that it was begun, and that it is done");
    assert!(after.values().all(|rows| *rows == 0), "left: {after:?}");
    assert_eq!(kept(&mut admin, &other, &of_other).await, others);

    let done = bench.store.erasure(&erased).await.unwrap();
    assert!(done.finished_at.is_some());
    for (kind, removed) in &done.removed {
        assert!(*removed > 0, "{kind} is not counted: {:?}", done.removed);
    }
    let owners: Vec<Option<String>> =
        sqlx::query_scalar("select user_id from audit_log where action like 'user.%'")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    assert_eq!(owners, [None, None], "the entries that stay are not the user's");
}

/// A row that somebody is just writing on is passed over; its request must not take it along.
#[tokio::test]
async fn what_is_held_does_not_go_unseen_with_its_request() {
    let (bench, mut admin) = furnished().await;
    let [erased, _] = users();
    bench.store.erasure_begin(&erased, &Actor::named("operator")).await.unwrap();
    sqlx::raw_sql("begin; select 1 from pairing_held for update").execute(&mut admin).await.unwrap();
    while bench.store.erasure_step(&erased, Duration::from_secs(3600)).await.unwrap().next == Next::More {}
    let part = bench.store.erasure(&erased).await.unwrap();
    assert_eq!((part.removed["held_messages"], part.removed["pairings"]), (0, 0));
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    assert_eq!(finish(&bench.store, &erased).await.len(), 3);
    let done = bench.store.erasure(&erased).await.unwrap();
    assert_eq!((done.removed["held_messages"], done.removed["pairings"]), (1, 1));
}

#[tokio::test]
async fn a_killed_process_leaves_an_erasure_that_another_one_finishes_and_counts_once() {
    let (bench, mut admin) = furnished().await;
    let [erased, _] = users();
    let many = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
        select gen_random_uuid(), user_id, id, shard, 'in', 'c', '{}' from channels, generate_series(1, 2500)
        where user_id = $1";
    sqlx::query(many).bind(erased.as_str()).execute(&mut admin).await.unwrap();
    bench.store.erasure_begin(&erased, &Actor::named("operator")).await.unwrap();
    let first = bench.store.erasure_step(&erased, AT_ONCE).await.unwrap();
    assert_eq!((first.stopped.len(), first.keys_changed, first.next), (1, true, Next::More));

    // While one process is at it, in a transaction that may yet be lost, another one neither waits nor does it twice.
    sqlx::raw_sql("begin; select 1 from erasures for update").execute(&mut admin).await.unwrap();
    let beside = bench.store.erasure_step(&erased, AT_ONCE).await.unwrap();
    assert_eq!((beside.stopped.len(), beside.next), (0, Next::Wait));
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    let part = bench.store.erasure(&erased).await.unwrap();
    assert!(part.finished_at.is_none() && (1..1_000).contains(&part.removed["messages"]), "{part:?}");

    // The process is gone, and with it all that it knew.
    bench.store.close().await;
    let another = Store::connect(bench.database.url(), "another", 2).await.unwrap();
    assert_eq!(another.erasures_unfinished().await.unwrap(), std::slice::from_ref(&erased));
    finish(&another, &erased).await;
    let done = another.erasure(&erased).await.unwrap();
    assert_eq!((done.removed["messages"], done.removed["channels"]), (2_502, 1));
}

#[tokio::test]
async fn the_end_is_not_said_while_something_may_still_be_written() {
    let (bench, mut admin) = furnished().await;
    let [erased, _] = users();
    let operator = Actor::named("operator");
    bench.store.erasure_begin(&erased, &operator).await.unwrap();
    let hour = Duration::from_secs(3600);
    while bench.store.erasure_step(&erased, hour).await.unwrap().next == Next::More {}
    assert!(
        bench.store.erasure(&erased).await.unwrap().finished_at.is_none(),
        "nothing is left, but not for an hour"
    );
    let late = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
        select gen_random_uuid(), user_id, id, shard, 'in', 'c', '{}' from channels where user_id = $1";
    sqlx::query(late).bind(erased.as_str()).execute(&mut admin).await.unwrap();
    let step = bench.store.erasure_step(&erased, AT_ONCE).await.unwrap();
    assert_eq!(step.next, Next::More, "what was in somebody's hands is removed, too");
    // A message that somebody is just writing on is passed over, and not forgotten.
    sqlx::query(late).bind(erased.as_str()).execute(&mut admin).await.unwrap();
    sqlx::raw_sql("begin; select 1 from messages for update").execute(&mut admin).await.unwrap();
    let mut next = Next::More;
    while next == Next::More {
        next = bench.store.erasure_step(&erased, AT_ONCE).await.unwrap().next;
        if let Next::Attachments(some) = &next {
            bench.store.erasure_attachments_gone(&erased, some).await.unwrap();
            next = Next::More;
        }
    }
    assert_eq!(next, Next::Wait);
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();

    let again = bench.channel(erased.as_str(), "two");
    let refused = bench.store.channel_save(&bench.vault, &again, &operator).await.unwrap_err();
    assert!(matches!(refused, Error::BeingErased), "{refused}");
    finish(&bench.store, &erased).await;
    bench.store.channel_save(&bench.vault, &again, &operator).await.unwrap();
    let anew = bench.store.erasure_begin(&erased, &operator).await.unwrap();
    assert_eq!(
        (anew.finished_at, anew.removed["messages"]),
        (None, 0),
        "another one, with counts of its own"
    );
}
