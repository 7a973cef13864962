//! An erasure beside those who write: it waits for nobody, nobody waits for it for long, and it forgets nothing.

use std::time::Duration;

use claw_store::{Actor, Lease, Next, Settlement};
use claw_testkit::eventually;
use claw_types::{Epoch, MessageId, MessageState, ShardId, UserId};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::Bench;
use crate::tenants::{seed, tenant_tables};

const AT_ONCE: Duration = Duration::ZERO;
/// Runs of a user, each with a message that is being settled.
const RUNS: i32 = 200;
const ROUNDS: usize = 20;

fn operator() -> Actor {
    Actor::named("operator")
}

async fn with_channel(bench: &Bench, user: &UserId) {
    let save = bench.channel(user.as_str(), "one");
    bench.store.channel_save(&bench.vault, &save, &operator()).await.unwrap();
}

/// Takes steps until there is nothing to do for now.
async fn advance(bench: &Bench, user: &UserId) -> Next {
    loop {
        match bench.store.erasure_step(user, AT_ONCE).await.unwrap().next {
            Next::More => {}
            Next::Attachments(some) => bench.store.erasure_attachments_gone(user, &some).await.unwrap(),
            next => return next,
        }
    }
}

/// Whoever waited for one of these would be ended by Postgres after 10 s, and the step would fail.
#[tokio::test]
async fn a_step_passes_over_what_others_hold_and_the_end_is_not_said_before_that_is_gone() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let user: UserId = "erased-person".parse().unwrap();
    with_channel(&bench, &user).await;
    sqlx::raw_sql(AssertSqlSafe(seed(user.as_str()))).execute(&mut admin).await.unwrap();
    bench.store.erasure_begin(&user, &operator()).await.unwrap();
    // Channels are stopped by a step, one row each; erasures are what a step itself holds; and what goes with its parent, and what is a
    // partition of it, is held by whoever holds that.
    let apart = ["channels", "channel_state", "erasures", "erasure_attachments"];
    let parts = ["channel_credentials", "message_attempts", "hook_deliveries", "pairing_held"];
    let mut tables = tenant_tables(&mut admin).await;
    tables.retain(|table| {
        let is_part = parts.contains(&table.as_str()) || table.starts_with("messages_");
        !apart.contains(&table.as_str()) && !is_part
    });
    let mut held = Vec::new();
    for table in &tables {
        let mut holder = bench.database.connect().await;
        let lock = format!("begin; select 1 from {table} for update");
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
        held.push((table, holder));
    }
    assert!(held.len() > 10, "{tables:?}");
    assert_eq!(advance(&bench, &user).await, Next::Wait);
    while let Some((table, mut holder)) = held.pop() {
        sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
        let next = if held.is_empty() { Next::Finished } else { Next::Wait };
        assert_eq!(advance(&bench, &user).await, next, "{table} is not held any more");
    }
}

/// Messages of runs, with the runs in the other order: who goes through the ones meets the others from their end.
async fn running(admin: &mut PgConnection, user: &UserId) -> Vec<(Uuid, i32)> {
    let messages = sqlx::query_as(
        "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
         select gen_random_uuid(), user_id, id, shard, 'out', 'c', '{}', 'cron'
         from channels, generate_series(1, $2) where user_id = $1 returning id, shard",
    );
    let messages = messages.bind(user.as_str()).bind(RUNS).fetch_all(&mut *admin).await.unwrap();
    sqlx::query(
        "insert into cron_runs (id, user_id, job_id, job_name, status, scheduled_for, deadline_at, action_type,
                                schedule_type, message_id)
         select gen_random_uuid(), user_id, gen_random_uuid(), 'x', 'running', now(), now() + interval '1 hour', 'x', 'x', id
         from messages where user_id = $1 order by seq desc",
    )
    .bind(user.as_str())
    .execute(admin)
    .await
    .unwrap();
    messages
}

/// Settling locks a batch of messages and then their runs; erasing removes runs, then messages.
#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_user_with_many_runs_and_settling_them_end_without_a_deadlock() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("worker")).await.unwrap();
    let claimed = lease.claim(&(0..8).map(ShardId).collect::<Vec<_>>()).await.unwrap();
    let epoch = |shard: ShardId| -> Epoch {
        claimed.iter().find(|claim| claim.shard == shard).map(|claim| claim.epoch).unwrap()
    };
    for round in 0..ROUNDS {
        let user: UserId = format!("user-{round}").parse().unwrap();
        with_channel(&bench, &user).await;
        let messages = running(&mut admin, &user).await;
        bench.store.erasure_begin(&user, &operator()).await.unwrap();
        let settle = |(id, shard): &(Uuid, i32)| {
            let shard = ShardId(u16::try_from(*shard).unwrap());
            bench.writer.settle(Settlement {
                id: MessageId(*id),
                shard,
                epoch: epoch(shard),
                state: MessageState::Failed,
                due_in: 0.0,
                attempts: 1,
                retries: 0,
                platform_message_ids: Vec::new(),
                error: Some("refused".to_owned()),
                burst: None,
            })
        };
        let settled = join_all(messages.iter().map(settle));
        let erased = async {
            let over = async || (advance(&bench, &user).await == Next::Finished).then_some(());
            eventually("the end of the erasure", Duration::from_secs(120), over).await;
        };
        let (settled, ()) = tokio::join!(settled, erased);
        assert!(settled.into_iter().all(Result::unwrap), "the shard is ours");
    }
    assert_eq!(deadlocks(&mut admin).await, 0);
}

/// How many were found in this database. A session tells what it has counted when it ends, at the latest.
async fn deadlocks(admin: &mut PgConnection) -> i64 {
    let mut others = async || {
        let ended = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()",
        );
        let others: i64 = ended.fetch_one(&mut *admin).await.unwrap();
        (others == 0).then_some(())
    };
    eventually("all other sessions to end", Duration::from_secs(60), &mut others).await;
    sqlx::query_scalar("select deadlocks from pg_stat_database where datname = current_database()")
        .fetch_one(admin)
        .await
        .unwrap()
}
