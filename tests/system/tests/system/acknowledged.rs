//! What a platform posts is verified and committed, then answered with 200, within half a second, whatever the backend does: platforms
//! give up after some seconds, post it again, and switch off the address of who is late too often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claw_system_tests::{Api, Cluster, free_port, token};
use claw_testkit::{Spread, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::time::Instant;

/// Posts of each case.
const POSTS: usize = 20;
/// What is promised. Half of the posts must keep to it, because a machine that runs many tests at once stands still at times.
const BOUND: Duration = Duration::from_millis(500);
/// Longer than any test takes.
const NEVER: Duration = Duration::from_hours(1);

/// A channel that a platform posts to.
struct Channel {
    api: Api,
    id: String,
    secret: String,
}

impl Channel {
    async fn made(api: &Api) -> Self {
        let secret = token(16);
        let id = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
        Self { api: api.clone(), id, secret }
    }

    async fn post(&self, name: &str) -> Option<StatusCode> {
        self.api.push(&self.id, &self.secret, &body(name)).await
    }

    /// Posts one message after another; each must be in the database when its answer is there.
    async fn is_answered_at_once(&self, database: &mut PgConnection, case: &str) {
        let mut took = Vec::new();
        for n in 0..POSTS {
            let name = format!("{case} {n}");
            let began = Instant::now();
            let answered = self.post(&name).await;
            took.push(began.elapsed());
            assert_eq!(answered, Some(StatusCode::OK), "{name}");
            assert_eq!(stored(database, &name).await, 1, "{name} was answered before it was committed");
        }
        let took = Spread::of(took);
        let (median, longest) = (took.percentile(50), took.max());
        println!("{case}: answered in {median:?}, the last of them in {longest:?}");
        assert!(median < BOUND, "{case}: half of the posts took {median:?} or longer, up to {longest:?}");
    }
}

/// A message of a conversation of its own, so that none waits for another one.
fn body(name: &str) -> Value {
    json!({"message_id": name, "sender": {"id": name}, "text": "hi"})
}

async fn stored(database: &mut PgConnection, name: &str) -> i64 {
    let count = "select count(*) from messages where payload->>'platform_message_id' = $1";
    sqlx::query_scalar(count).bind(name).fetch_one(database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_never_answers_keeps_no_platform_waiting() {
    let cluster = Cluster::prepare().await;
    cluster.receiver.answer_after(NEVER);
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let channel = Channel::made(&api).await;
    let mut database = cluster.database.connect().await;
    // The backend has one in its hands, and keeps it.
    assert_eq!(channel.post("first").await, Some(StatusCode::OK));
    cluster.receiver.wait_for(1).await;
    channel.is_answered_at_once(&mut database, "a backend that never answers").await;

    // Nobody is there to ask it.
    worker.kill().await;
    channel.is_answered_at_once(&mut database, "a worker that is gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_not_there_keeps_no_platform_waiting() {
    let nowhere = format!("http://127.0.0.1:{}/hook", free_port().await);
    let cluster = Cluster::prepare().await.with("AI_WEBHOOK_URL", &nowhere);
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let channel = Channel::made(&api).await;
    let mut database = cluster.database.connect().await;
    assert_eq!(channel.post("first").await, Some(StatusCode::OK));
    eventually("an attempt to fail", Duration::from_secs(30), async || {
        let attempts = sqlx::query_scalar("select count(*) from message_attempts");
        let failed: i64 = attempts.fetch_one(&mut database).await.unwrap();
        (failed > 0).then_some(())
    })
    .await;
    channel.is_answered_at_once(&mut database, "a backend that is not there").await;
}

/// Nothing but the commit decides when a platform has its answer.
#[tokio::test(flavor = "multi_thread")]
async fn no_platform_has_its_answer_before_the_commit() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let channel = Channel::made(&api).await;
    let mut database = cluster.database.connect().await;
    let mut holder = cluster.database.connect().await;
    sqlx::raw_sql("begin; lock table messages in share mode").execute(&mut holder).await.unwrap();
    let may_commit = AtomicBool::new(false);
    let posting = async {
        let answered = channel.post("held").await;
        (answered, may_commit.load(Ordering::SeqCst))
    };
    let letting_go = async {
        eventually("the message to wait for its commit", Duration::from_secs(20), async || {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                 and wait_event_type = 'Lock'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut database).await.unwrap();
            (waiting > 0).then_some(())
        })
        .await;
        may_commit.store(true, Ordering::SeqCst);
        sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    };
    let ((answered, after_the_commit), ()) = tokio::join!(posting, letting_go);
    assert_eq!(answered, Some(StatusCode::OK));
    assert!(after_the_commit, "it was answered while its row could not be written");
    assert_eq!(stored(&mut database, "held").await, 1);
}
