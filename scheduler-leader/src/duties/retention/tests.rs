//! Retention on a database whose first partition is made to look old.

use chrono::TimeDelta;
use claw_config::RetentionSettings;
use claw_store::Store;
use claw_testkit::TestDatabase;
use sqlx::PgConnection;

use super::{messages, run};

const KEEP: RetentionSettings =
    RetentionSettings { message_days: 90, dead_letter_days: None, run_days: 90, events_hours: 72 };

const fn keep_for(message_days: u16) -> RetentionSettings {
    RetentionSettings { message_days, ..KEEP }
}

async fn migrated() -> (Store, PgConnection) {
    let database = TestDatabase::create().await;
    let store = Store::connect(database.url(), "test", 4).await.unwrap();
    store.migrate(None).await.unwrap();
    (store, database.connect().await)
}

/// Messages of 200 days ago, one of each of these states; the partition that they are in ended 91 days ago.
async fn age(admin: &mut PgConnection) {
    sqlx::raw_sql(
        "insert into messages
             (id, user_id, channel_id, shard, direction, conversation, payload, state, accepted_at, finished_at)
         select claw_first_id(now() - n * interval '200 days'), 'ada', gen_random_uuid(), 0, 'in', state, '{}', state,
                now() - interval '200 days', case when state <> 'pending' then now() - interval '200 days' end
         from unnest(array['done', 'discarded', 'pending', 'dead', 'failed']) with ordinality as s (state, n);
         update message_partitions set high = claw_first_id(now() - interval '91 days')",
    )
    .execute(admin)
    .await
    .unwrap();
}

async fn states(admin: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("select state from messages order by state").fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn partitions_are_made_ahead_without_gaps_and_once() {
    let (store, mut admin) = migrated().await;
    // As if nobody had led for months.
    let stalled = "alter table messages detach partition messages_initial;
        update message_partitions set high = claw_first_id(now() - interval '100 days')";
    sqlx::raw_sql(stalled).execute(&mut admin).await.unwrap();
    let (one, two) =
        tokio::join!(messages::make_partitions(&store, 90), messages::make_partitions(&store, 90));
    one.unwrap();
    two.unwrap();
    let after = store.partitions().await.unwrap();
    assert!(after.len() > 4, "{after:?}");
    for pair in after.windows(2) {
        assert_eq!(Some(pair[0].until), pair[1].from);
    }
    let now = store.now().await.unwrap();
    let last = after.last().unwrap();
    assert!(last.until >= now + messages::AHEAD && last.from.unwrap() < now + messages::AHEAD, "{last:?}");
}

#[tokio::test]
async fn what_is_old_and_decided_is_forgotten_and_nothing_else() {
    let (store, mut admin) = migrated().await;
    age(&mut admin).await;
    let all = ["dead", "discarded", "done", "failed", "pending"];
    messages::forget(&store, keep_for(0)).await.unwrap();
    messages::forget(&store, keep_for(365)).await.unwrap();
    assert_eq!(states(&mut admin).await, all, "not old enough");
    sqlx::raw_sql("analyze messages_initial").execute(&mut admin).await.unwrap();
    assert_eq!(run(&store, KEEP).await, 3);
    assert_eq!(states(&mut admin).await, ["dead", "pending"]);
    sqlx::raw_sql("update messages set state = 'discarded' where state = 'dead'")
        .execute(&mut admin)
        .await
        .unwrap();
    assert_eq!(run(&store, KEEP).await, 1, "somebody decided");
    assert_eq!(states(&mut admin).await, ["pending"]);
}

#[tokio::test]
async fn what_failed_is_kept_for_as_long_as_somebody_chose() {
    let (store, mut admin) = migrated().await;
    age(&mut admin).await;
    run(&store, RetentionSettings { dead_letter_days: Some(365), ..KEEP }).await;
    assert_eq!(states(&mut admin).await, ["dead", "failed", "pending"]);
    assert_eq!(run(&store, KEEP).await, 1);
    assert_eq!(states(&mut admin).await, ["dead", "pending"]);
}

#[tokio::test]
async fn what_is_old_is_forgotten_in_one_round_however_much_there_is() {
    let (store, mut admin) = migrated().await;
    let keys = "insert into message_keys (channel_id, key, message_id, created_at)
                select gen_random_uuid(), n::text, gen_random_uuid(), now() - interval '8 days' from generate_series(1, $1) n";
    let many = super::ROWS + 1;
    sqlx::query(keys).bind(many).execute(&mut admin).await.unwrap();
    assert_eq!(run(&store, KEEP).await, many.unsigned_abs(), "more than one statement forgets");
}

#[tokio::test]
async fn a_leader_that_died_halfway_is_gone_on_for() {
    let (store, mut admin) = migrated().await;
    age(&mut admin).await;
    assert!(store.partition_detach("messages_initial", 90).await.unwrap());
    assert_eq!(states(&mut admin).await, ["dead", "pending"]);
    // Even by one that would not have begun.
    messages::forget(&store, keep_for(3650)).await.unwrap();
    let all = ["dead", "discarded", "done", "failed", "pending"];
    assert_eq!(states(&mut admin).await, all, "they are young for it");
    let first = store.partitions().await.unwrap().remove(0);
    assert!(first.dropped_at.is_some(), "{first:?}");
}

#[tokio::test]
async fn who_uses_the_table_is_not_waited_for() {
    let (store, mut admin) = migrated().await;
    age(&mut admin).await;
    sqlx::raw_sql("begin; select 1 from messages limit 1").execute(&mut admin).await.unwrap();
    assert_eq!(messages::forget(&store, KEEP).await.unwrap(), 0);
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    assert_eq!(states(&mut admin).await.len(), 5);
    messages::forget(&store, KEEP).await.unwrap();
    assert_eq!(states(&mut admin).await, ["dead", "pending"]);
}

#[tokio::test]
async fn a_partition_that_can_not_be_forgotten_now_holds_up_no_other() {
    let (store, mut admin) = migrated().await;
    age(&mut admin).await;
    let start = store.now().await.unwrap() + TimeDelta::days(3650);
    assert!(store.partition_create(start, start + TimeDelta::days(7)).await.unwrap());
    let younger = "update message_partitions set high = claw_first_id(now() - interval '90 days 12 hours')
                   where name <> 'messages_initial'";
    sqlx::raw_sql(younger).execute(&mut admin).await.unwrap();
    // Somebody reads the older one.
    sqlx::raw_sql("begin; select 1 from messages_initial limit 1").execute(&mut admin).await.unwrap();
    messages::forget(&store, KEEP).await.unwrap();
    sqlx::raw_sql("rollback").execute(&mut admin).await.unwrap();
    let dropped: Vec<bool> =
        store.partitions().await.unwrap().iter().map(|partition| partition.dropped_at.is_some()).collect();
    assert_eq!(dropped, [false, true]);
}
