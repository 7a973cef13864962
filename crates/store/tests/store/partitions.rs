//! Messages in partitions: where they land, and what goes with a partition and what stays.

use std::time::Duration;

use chrono::{DateTime, TimeZone as _, Utc};
use claw_store::{Actor, MessageFilter, Partition, Selection, Span};
use claw_testkit::eventually;
use claw_types::MessageId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Bench;

/// Of a partition that no migration made.
const NAME: &str = "messages_20400101";

fn day(year: i32, month: u32, day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, month, day, 0, 0, 0).unwrap()
}

/// An id of that moment.
fn id(at: DateTime<Utc>, n: u16) -> Uuid {
    Uuid::from_u128(u128::try_from(at.timestamp_millis()).unwrap() << 80 | u128::from(n))
}

/// A message of ada's, accepted so many days ago.
async fn insert(admin: &mut PgConnection, id: Uuid, state: &str, days: i32) {
    let insert = "insert into messages
            (id, user_id, channel_id, shard, direction, conversation, payload, state, finished_at, accepted_at)
        values ($1, 'ada', gen_random_uuid(), 0, 'in', 'c', '{}', $2, case when $2 <> 'pending' then now() end,
                now() - make_interval(days => $3))";
    sqlx::query(insert).bind(id).bind(state).bind(days).execute(&mut *admin).await.unwrap();
    let attempt = "insert into message_attempts (message_id, retry, n, user_id, outcome) values ($1, 0, 1, 'ada', 'pending')";
    sqlx::query(attempt).bind(id).execute(admin).await.unwrap();
}

/// Which messages each table of `messages` has, by their number.
async fn where_they_are(admin: &mut PgConnection) -> Vec<(String, i64)> {
    let rows = "select tableoid::regclass::text, ('x' || right(id::text, 4))::bit(16)::bigint from messages order by 2";
    sqlx::query_as(rows).fetch_all(admin).await.unwrap()
}

async fn attempts(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from message_attempts").fetch_one(admin).await.unwrap()
}

async fn found(bench: &Bench) -> Partition {
    bench.store.partitions().await.unwrap().into_iter().find(|p| p.name == NAME).unwrap()
}

/// A partition with one message of each kind.
async fn furnished() -> (Bench, PgConnection) {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    assert!(bench.store.partition_create(day(2040, 1, 1), day(2040, 2, 1)).await.unwrap());
    let kinds =
        [("done", 200), ("discarded", 200), ("pending", 200), ("dead", 200), ("uncertain", 200), ("done", 2)];
    for (n, (state, days)) in (1..).zip(kinds) {
        insert(&mut admin, id(day(2040, 1, 5), n), state, days).await;
    }
    (bench, admin)
}

#[test]
fn partitions_end_with_a_week_or_a_month_however_they_begin() {
    assert_eq!(Span::Month.end(day(2026, 12, 1)), day(2027, 1, 1));
    assert_eq!(Span::Month.end(day(2027, 1, 31)), day(2027, 2, 1));
    assert_eq!(Span::Week.end(day(2026, 11, 23)), day(2026, 11, 30), "from a Monday");
    assert_eq!(Span::Week.end(day(2026, 11, 29)), day(2026, 11, 30), "from a Sunday");
    assert_eq!([0, 7, 59, 60].map(Span::for_retention), [Span::Month, Span::Week, Span::Week, Span::Month]);
}

#[tokio::test]
async fn an_id_goes_where_its_time_says_and_is_never_refused() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let (from, until) = (day(2040, 1, 1), day(2040, 2, 1));
    insert(&mut admin, bench.ids.next(), "done", 0).await;
    insert(&mut admin, id(from, 1), "pending", 0).await;
    insert(&mut admin, id(until, 2), "pending", 0).await;
    let tables = |rows: Vec<(String, i64)>| rows.into_iter().map(|(table, _)| table).collect::<Vec<_>>();
    let mut before = tables(where_they_are(&mut admin).await);
    before.sort();
    assert_eq!(before, ["messages_default", "messages_default", "messages_initial"]);

    // What is in the default partition keeps none from being made, and is in it then. Two leaders make one.
    let (one, two) =
        tokio::join!(bench.store.partition_create(from, until), bench.store.partition_create(from, until));
    assert!(one.unwrap() && two.unwrap());
    insert(&mut admin, id(day(2040, 1, 31), 3), "pending", 0).await;
    let mut after = tables(where_they_are(&mut admin).await);
    after.sort();
    assert_eq!(after, [NAME, NAME, "messages_default", "messages_initial"]);
    let partition = found(&bench).await;
    assert_eq!((partition.from, partition.until), (Some(from), until));
}

#[tokio::test]
async fn a_dropped_partition_leaves_what_is_not_to_be_forgotten() {
    let (bench, mut admin) = furnished().await;
    // Two leaders at once, in every step.
    let (one, two) =
        tokio::join!(bench.store.partition_detach(NAME, 90), bench.store.partition_detach(NAME, 90));
    assert!(one.unwrap() && two.unwrap());
    let default = |n: i64| ("messages_default".to_owned(), n);
    assert_eq!(where_they_are(&mut admin).await, [default(3), default(4), default(5)]);

    // Here the first one dies. A drop without what comes before it is refused.
    let early = bench.store.partition_drop(NAME).await.unwrap_err();
    assert!(claw_store::chain(&early).contains("was not looked through"), "{early:?}");
    assert_eq!(bench.store.partition_sift(NAME, 90).await.unwrap(), Some(1));
    assert_eq!(bench.store.partition_sift(NAME, 90).await.unwrap(), None);
    assert_eq!(bench.store.partition_forget_attempts(NAME).await.unwrap(), 2);
    let (one, two) = tokio::join!(bench.store.partition_drop(NAME), bench.store.partition_drop(NAME));
    one.unwrap();
    two.unwrap();

    assert_eq!(where_they_are(&mut admin).await, [3, 4, 5, 6].map(default));
    assert_eq!(attempts(&mut admin).await, 4, "those of what was kept");
    let shown = bench.store.messages_of_all(None, &MessageFilter::default(), None, 10).await.unwrap();
    assert_eq!(shown.len(), 4);
    let partition = found(&bench).await;
    assert!(partition.dropped_at.is_some() && partition.kept == 4, "{partition:?}");
    let gone: bool =
        sqlx::query_scalar("select to_regclass($1) is null").bind(NAME).fetch_one(&mut admin).await.unwrap();
    assert!(gone);
    // And once more, by somebody who has not heard of it.
    assert!(bench.store.partition_detach(NAME, 90).await.unwrap());
    assert_eq!(bench.store.partition_sift(NAME, 90).await.unwrap(), None);
    bench.store.partition_drop(NAME).await.unwrap();
}

#[tokio::test]
async fn messages_are_kept_for_ever_from_the_moment_that_somebody_says_so() {
    let (bench, mut admin) = furnished().await;
    assert!(bench.store.partition_detach(NAME, 90).await.unwrap());
    assert_eq!(bench.store.partition_sift(NAME, 0).await.unwrap(), Some(3));
    assert_eq!(where_they_are(&mut admin).await.len(), 6);
}

#[tokio::test]
async fn the_default_partition_forgets_row_by_row() {
    let (bench, mut admin) = furnished().await;
    bench.store.partition_detach(NAME, 90).await.unwrap();
    bench.store.partition_sift(NAME, 90).await.unwrap();
    let forget = async || {
        let (gone, next) = bench.store.messages_default_forget(90, 90, Uuid::nil()).await.unwrap();
        assert_eq!(next, None, "one look is enough for so few");
        gone
    };
    assert_eq!(forget().await, 0);
    sqlx::query("update messages set state = 'discarded' where state = 'dead'")
        .execute(&mut admin)
        .await
        .unwrap();
    sqlx::query("update messages set state = 'done', finished_at = now() where state = 'pending'")
        .execute(&mut admin)
        .await
        .unwrap();
    let attempts_before = attempts(&mut admin).await;
    assert_eq!(forget().await, 2, "somebody decided about the dead one, and the pending one is done");
    assert_eq!(attempts(&mut admin).await, attempts_before - 2);
    let left: Vec<i64> = where_they_are(&mut admin).await.into_iter().map(|(_, n)| n).collect();
    assert_eq!(left, [5, 6], "an uncertain one, and a young one");
}

#[tokio::test]
async fn nobody_waits_for_the_moving_of_many_messages() {
    let (bench, mut admin) = furnished().await;
    let many = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
        select (left($1::uuid::text, 23) || '-' || lpad(to_hex(n), 12, '0'))::uuid, 'ada', gen_random_uuid(), 0, 'in',
               'c', '{}'
        from generate_series(100, 10100) n";
    for at in [day(2040, 1, 7), day(2041, 1, 7)] {
        sqlx::query(many).bind(id(at, 0)).execute(&mut admin).await.unwrap();
    }
    assert!(!bench.store.partition_detach(NAME, 90).await.unwrap(), "10,003 are pending or dead");
    let partition = found(&bench).await;
    assert_eq!((partition.detached_at, partition.kept), (None, 0), "it is as it was");
    assert!(!bench.store.partition_create(day(2041, 1, 1), day(2041, 2, 1)).await.unwrap());
    assert!(
        bench.store.partition_create(day(2041, 2, 1), day(2041, 3, 1)).await.unwrap(),
        "the next one can be made"
    );
}

/// What a platform refuses is everyday, and one busy user's must not keep everybody's messages.
#[tokio::test]
async fn what_failed_long_ago_holds_no_partition_up_and_goes_with_it() {
    let (bench, mut admin) = furnished().await;
    insert(&mut admin, id(day(2040, 1, 6), 7), "failed", 200).await;
    let refusals = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, state, expired,
                              accepted_at, finished_at)
        select (left($1::uuid::text, 23) || '-' || lpad(to_hex(n), 12, '0'))::uuid, 'ada', gen_random_uuid(), 0, 'out',
               'c', '{}', 'failed', nullif(n % 2 = 0, false), now() - interval '200 days', now() - interval '200 days'
        from generate_series(100, 10100) n";
    sqlx::query(refusals).bind(id(day(2040, 1, 7), 0)).execute(&mut admin).await.unwrap();
    for days in [0, 365] {
        assert!(!bench.store.partition_detach(NAME, days).await.unwrap(), "all 10,001 are kept: {days}");
    }
    // A scheduler of the version before keeps all of them, too.
    sqlx::raw_sql("set claw.tenant = 'all'").execute(&mut admin).await.unwrap();
    let before = sqlx::query_scalar("select claw_partition_detach($1, 10000)").bind(NAME);
    let detached: bool = before.fetch_one(&mut admin).await.unwrap();
    assert!(!detached);
    assert_eq!(found(&bench).await.detached_at, None, "it is as it was");

    assert!(bench.store.partition_detach(NAME, 90).await.unwrap());
    assert_eq!(found(&bench).await.kept, 4);
    let left = async |admin: &mut PgConnection| -> Vec<i64> {
        where_they_are(admin).await.into_iter().map(|(_, n)| n).collect()
    };
    assert_eq!(left(&mut admin).await, [3, 4, 5, 7], "pending, dead, uncertain, and one that failed today");
    let forget = async |failed_days| {
        bench.store.messages_default_forget(90, failed_days, Uuid::nil()).await.unwrap().0
    };
    assert_eq!(forget(90).await, 0);
    let aged = "update messages set finished_at = now() - interval '100 days' where finished_at is not null";
    sqlx::raw_sql(aged).execute(&mut admin).await.unwrap();
    assert_eq!([forget(0).await, forget(365).await, forget(90).await], [0, 0, 1]);
    assert_eq!(left(&mut admin).await, [3, 4, 5], "about these somebody decides");
}

#[tokio::test]
async fn looking_through_what_failed_may_take_longer_than_other_statements() {
    let bench = Bench::new().await;
    let tells = "create or replace function claw_partition_detach(partition text, most bigint, failed_since timestamptz)
        returns boolean language sql as $$ select current_setting('statement_timeout') = '1min' $$";
    sqlx::raw_sql(tells).execute(&mut bench.database.connect().await).await.unwrap();
    assert!(bench.store.partition_detach(NAME, 90).await.unwrap());
}

/// Events are handed out up to the oldest transaction that has an id, and that look may take a minute.
#[tokio::test]
async fn no_event_is_held_back_while_a_partition_is_looked_through() {
    let (_bench, mut admin) = furnished().await;
    sqlx::raw_sql("set claw.tenant = 'all'").execute(&mut admin).await.unwrap();
    sqlx::raw_sql("begin").execute(&mut admin).await.unwrap();
    let looked = sqlx::query_scalar("select claw_partition_detach($1, 0, now())").bind(NAME);
    let detached: bool = looked.fetch_one(&mut admin).await.unwrap();
    assert!(!detached, "it has been looked through: there is more to keep than may be moved");
    let assigned: Option<String> = sqlx::query_scalar("select pg_current_xact_id_if_assigned()::text")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(assigned, None);
}

/// Whoever tries one again decides about it, whenever that is.
#[tokio::test]
async fn what_is_retried_while_its_partition_is_looked_through_and_fails_again_is_kept() {
    let (bench, mut admin) = furnished().await;
    let (retried, left) = (id(day(2040, 1, 6), 7), id(day(2040, 1, 6), 8));
    insert(&mut admin, retried, "failed", 200).await;
    insert(&mut admin, left, "failed", 200).await;
    let long_ago = "update messages set finished_at = now() - interval '200 days' where state = 'failed';
        alter function claw_partition_detach(text, bigint, timestamptz) set lock_timeout = '30s'";
    sqlx::raw_sql(long_ago).execute(&mut admin).await.unwrap();
    // It waits for this row when it has looked.
    let mut other = bench.database.connect().await;
    sqlx::raw_sql("begin").execute(&mut other).await.unwrap();
    let row = sqlx::query("select from message_partitions where name = $1 for update").bind(NAME);
    row.execute(&mut other).await.unwrap();
    let meanwhile = async {
        let waits = "select exists (select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%claw_partition_detach%')";
        eventually("the partition to be looked through", Duration::from_secs(20), async || {
            let waits: bool = sqlx::query_scalar(waits).fetch_one(&mut admin).await.unwrap();
            waits.then_some(())
        })
        .await;
        let which = Selection::Ids(vec![MessageId(retried)]);
        let actor = Actor::named("a test");
        let (revived, _) = bench.store.messages_revive_of_all(None, &which, &actor).await.unwrap();
        assert_eq!(revived.len(), 1);
        let fails = "update messages set state = 'failed', finished_at = now() where id = $1";
        sqlx::query(fails).bind(retried).execute(&mut admin).await.unwrap();
        sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    };
    let (detached, ()) = tokio::join!(bench.store.partition_detach(NAME, 90), meanwhile);
    assert!(detached.unwrap());
    let kept: Vec<i64> = where_they_are(&mut admin).await.into_iter().map(|(_, n)| n).collect();
    assert_eq!(kept, [3, 4, 5, 7], "the other one failed long ago");
    assert_eq!(found(&bench).await.kept, 4);
}

#[tokio::test]
async fn nothing_is_moved_by_whoever_does_not_see_everything() {
    let (_bench, mut admin) = furnished().await;
    sqlx::raw_sql("set role ii_claw_app; set claw.tenant = 'user:ada'").execute(&mut admin).await.unwrap();
    for call in [
        "claw_partition_detach($1, 9)",
        "claw_partition_detach($1, 9, now())",
        "claw_partition_sift($1, now(), 9)",
    ] {
        let refused =
            sqlx::query(sqlx::AssertSqlSafe(format!("select {call}"))).bind(NAME).execute(&mut admin).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("must be visible"), "{call}: {refused}");
    }
}

/// A later migration that makes an index must make it on the parent.
#[tokio::test]
async fn every_index_is_on_all_partitions() {
    let bench = Bench::new().await;
    let alone: Vec<String> = sqlx::query_scalar(
        "select i.indexrelid::regclass::text from pg_index i join pg_inherits t on t.inhrelid = i.indrelid
         where t.inhparent = 'messages'::regclass
           and not exists (select 1 from pg_inherits h where h.inhrelid = i.indexrelid)",
    )
    .fetch_all(&mut bench.database.connect().await)
    .await
    .unwrap();
    assert_eq!(alone, Vec::<String>::new());
}
