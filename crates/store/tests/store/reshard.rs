//! Another number of shards: everything moves to where the new number looks for it.

use std::time::Duration;

use claw_store::{Actor, Error, Lease, NewMessage, Settlement, Store};
use claw_testkit::eventually;
use claw_types::{
    ChannelId, Direction, Epoch, InstanceId, MessageId, MessageState, ShardCount, ShardId, UserId,
};
use serde_json::value::to_raw_value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::Bench;

/// Rows that hang off each channel, and some that are of no channel; all in shard 0, where few of them belong.
const SEED: &str = "
    insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, state, finished_at)
        select gen_random_uuid(), user_id, id, 0, 'in', 'c', '{}', state, case when state <> 'pending' then now() end
        from channels, unnest(array['pending', 'dead', 'done']) state;
    insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
        select gen_random_uuid(), user_id, '00000000-0000-0000-0000-000000000000', 0, 'in', 'c', '{}' from channels;
    insert into timers (id, user_id, kind, due_at, shard, channel_id, conversation, payload, source)
        select gen_random_uuid(), user_id, 'wake', now(), 0, id, 'c', '{}', 'wake' from channels;
    insert into event_destinations (id, user_id, name, url, secret, secret_key, shard, cursor_xact, cursor_id)
        select gen_random_uuid(), user_id, 'a place', '', '', '', 0, '0', 0 from channels;
    insert into event_destinations (id, name, url, secret, secret_key, shard, cursor_xact, cursor_id)
        values (gen_random_uuid(), 'the operator''s', '', '', '', 0, '0', 0);";

async fn seeded() -> (Bench, PgConnection) {
    let bench = Bench::new().await;
    for n in 0..40 {
        let save = bench.channel(&format!("user-{}", n % 10), &format!("instance-{n}"));
        bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    }
    let mut admin = bench.database.connect().await;
    sqlx::raw_sql(SEED).execute(&mut admin).await.unwrap();
    (bench, admin)
}

fn shards(count: u16) -> ShardCount {
    ShardCount::new(count).unwrap()
}

/// Every row is in the shard that the rules of `claw_types::shard` give it.
async fn assert_placed(admin: &mut PgConnection, count: ShardCount) {
    for (table, which) in [("messages", "state <> 'done'"), ("timers", "true")] {
        let rows = format!(
            "select r.user_id, instance, r.shard from {table} r left join channels c on c.id = channel_id where {which}"
        );
        for row in sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut *admin).await.unwrap() {
            let user: UserId = row.get::<String, _>(0).parse().unwrap();
            let instance = row.get::<Option<String>, _>(1);
            let instance = instance.map_or_else(InstanceId::hooks, |instance| instance.parse().unwrap());
            assert_eq!(row.get::<i32, _>(2), count.shard_of(&user, &instance).as_i32(), "{table} {user}");
        }
    }
    for row in
        sqlx::query("select user_id, instance, shard from channels").fetch_all(&mut *admin).await.unwrap()
    {
        let (user, instance): (String, String) = (row.get(0), row.get(1));
        let shard = count.shard_of(&user.parse().unwrap(), &instance.parse().unwrap());
        assert_eq!(row.get::<i32, _>(2), shard.as_i32(), "{user} {instance}");
    }
    for row in
        sqlx::query("select user_id, id, shard from event_destinations").fetch_all(&mut *admin).await.unwrap()
    {
        let user: Option<UserId> = row.get::<Option<String>, _>(0).map(|user| user.parse().unwrap());
        let id: Uuid = row.get(1);
        assert_eq!(row.get::<i32, _>(2), count.shard_of_item(user.as_ref(), id).as_i32());
    }
}

#[tokio::test]
async fn everything_moves_and_old_epochs_are_over() {
    let (bench, mut admin) = seeded().await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let claimed = lease.claim(&[ShardId(5)]).await.unwrap()[0];
    lease.close().await.unwrap();
    let message = accepted(&bench, claimed.shard).await;
    for count in [32, 3, 8] {
        let before: i64 =
            sqlx::query_scalar("select max(epoch) from shards").fetch_one(&mut admin).await.unwrap();
        let done = bench.store.reshard(shards(count)).await.unwrap();
        assert_eq!(done.to.get(), count);
        assert!(
            done.channels > 0 && done.messages > 0 && done.timers > 0 && done.destinations > 0,
            "{done:?}"
        );
        assert_placed(&mut admin, shards(count)).await;
        let all = "select count(*), min(epoch), count(owner) from shards";
        let now: (i64, i64, i64) = sqlx::query_as(all).fetch_one(&mut admin).await.unwrap();
        assert_eq!(now, (i64::from(count), before + 1, 0));
        assert_eq!(bench.store.check(None).await.unwrap().get(), count);
        let late = Settlement { epoch: claimed.epoch, ..settlement(message, claimed.shard) };
        assert!(!bench.writer.settle(late).await.unwrap(), "an owner of before writes nothing");
    }
    let again = bench.store.reshard(shards(8)).await.unwrap();
    assert_eq!((again.channels, again.messages, again.timers, again.destinations), (0, 0, 0, 0));
}

async fn accepted(bench: &Bench, shard: ShardId) -> MessageId {
    let message = NewMessage {
        id: MessageId(bench.ids.next()),
        user_id: "ada".parse().unwrap(),
        channel_id: ChannelId(Uuid::nil()),
        shard,
        direction: Direction::In,
        conversation: "c".to_owned(),
        payload: to_raw_value("{}").unwrap(),
        media: None,
        key: None,
        digest: None,
        source: None,
        debounce_ms: 0,
    };
    let id = message.id;
    bench.writer.accept(message).await.unwrap();
    id
}

fn settlement(id: MessageId, shard: ShardId) -> Settlement {
    Settlement {
        id,
        shard,
        epoch: Epoch(0),
        state: MessageState::Done,
        due_in: 0.0,
        attempts: 1,
        retries: 0,
        platform_message_ids: Vec::new(),
        error: None,
        burst: None,
    }
}

/// A new table with a shard has to be moved as well.
#[tokio::test]
async fn every_table_with_a_shard_is_known() {
    let bench = Bench::new().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
           and attname = 'shard' order by 1",
    )
    .fetch_all(&mut bench.database.connect().await)
    .await
    .unwrap();
    assert_eq!(tables, ["channels", "event_destinations", "messages", "shards", "timers"]);
}

#[tokio::test]
async fn a_running_cluster_is_left_alone() {
    let (bench, mut admin) = seeded().await;
    let refusal = async || match bench.store.reshard(shards(16)).await {
        Err(Error::Running(who)) => Some(who),
        other => {
            assert!(other.is_ok(), "{other:?}");
            None
        }
    };
    let worker = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    assert_eq!(refusal().await.as_deref(), Some("worker one (last heard of 0 s ago)"));
    let long_ago = "update members set heartbeat_at = now() - interval '9 seconds'";
    sqlx::query(long_ago).execute(&mut admin).await.unwrap();
    assert_eq!(refusal().await.as_deref(), Some("worker one (last heard of 9 s ago)"), "it has its session");
    worker.close().await.unwrap();
    let gateway = Store::connect(bench.database.url(), "ii-claw-gateway", 2).await.unwrap();
    let who = refusal().await.unwrap();
    assert!(who.starts_with("gateway"), "{who}");
    gateway.close().await;
    eventually("nobody to be connected", Duration::from_secs(5), async || {
        refusal().await.is_none().then_some(())
    })
    .await;
    assert_eq!(bench.store.check(None).await.unwrap().get(), 16);
}
