//! The connection ends while messages are being accepted: before the commit nothing is there, behind it all is, and the caller hears
//! which it was, or will be.

use std::net::SocketAddr;
use std::time::Duration;

use claw_runtime::Lifecycle;
use claw_store::{Accepted, Error, MessageWriter, Store};
use claw_testkit::fault_proxy::Mode;
use claw_testkit::{FaultProxy, eventually};
use sqlx::postgres::PgConnection;

use crate::Bench;
use crate::messages::message;

/// The writer's way to the database leads through a proxy.
struct Line {
    bench: Bench,
    proxy: FaultProxy,
    writer: MessageWriter,
    /// Keeps what is accepted from being written as long as it is open.
    lock: PgConnection,
}

impl Line {
    /// The writer has accepted something, so it has a connection and its statement is prepared.
    async fn new() -> Self {
        let bench = Bench::new().await;
        let url = bench.database.url();
        let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        let address = authority.rsplit('@').next().unwrap();
        let server: SocketAddr = address.parse().unwrap();
        let proxy = FaultProxy::start(server).await;
        let by_proxy = url.replacen(address, &proxy.address().to_string(), 1);
        let store = Store::connect(&by_proxy, "test", 2).await.unwrap();
        let writer = MessageWriter::start(&store, &Lifecycle::new(), ());
        writer.accept(message(&bench, "c", "the first one", None)).await.unwrap();
        let mut lock = bench.database.connect().await;
        sqlx::query("begin").execute(&mut lock).await.unwrap();
        sqlx::query("lock table messages in share mode").execute(&mut lock).await.unwrap();
        Self { bench, proxy, writer, lock }
    }

    /// The process of the server that waits for the lock.
    async fn waiting(&self) -> i32 {
        let sql = "select pid from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
        eventually("the statement to wait", Duration::from_secs(20), async || {
            let mut conn = self.bench.database.connect().await;
            sqlx::query_scalar(sql).fetch_optional(&mut conn).await.unwrap()
        })
        .await
    }

    /// A second statement waits, too.
    async fn both_waiting(&self) {
        let sql = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
        eventually("both statements to wait", Duration::from_secs(20), async || {
            let mut conn = self.bench.database.connect().await;
            let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            (waiting == 2).then_some(())
        })
        .await;
    }

    /// This process of the server has ended.
    async fn gone(&self, pid: i32) {
        let sql = "select count(*) from pg_stat_activity where pid = $1";
        eventually("the connection to be gone", Duration::from_secs(20), async || {
            let mut conn = self.bench.database.connect().await;
            let left: i64 = sqlx::query_scalar(sql).bind(pid).fetch_one(&mut conn).await.unwrap();
            (left == 0).then_some(())
        })
        .await;
    }

    async fn stored(&self) -> i64 {
        let mut conn = self.bench.database.connect().await;
        sqlx::query_scalar("select count(*) from messages").fetch_one(&mut conn).await.unwrap()
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_one() {
    let mut line = Line::new().await;
    let lost = message(&line.bench, "c", "lost", None);
    let id = lost.id;
    let writer = line.writer.clone();
    let breaking = async {
        let pid = line.waiting().await;
        line.proxy.set(Mode::BlackHole);
        sqlx::query("commit").execute(&mut line.lock).await.unwrap();
        eventually("the commit", Duration::from_secs(20), async || (line.stored().await == 2).then_some(()))
            .await;
        // Everything on this thread has its turn, the proxy too, before this goes on; a new connection takes longer.
        line.proxy.set(Mode::Cut);
        tokio::task::yield_now().await;
        line.proxy.set(Mode::Pass);
        pid
    };
    let (accepted, pid) = futures::future::join(writer.accept(lost), breaking).await;
    let Ok(Accepted::New(work)) = &accepted else { panic!("{accepted:?}") };
    assert_eq!((work.id, work.conversation.as_str(), work.ahead.len()), (id, "c", 1));
    line.gone(pid).await;
    assert_eq!(line.stored().await, 2);
}

/// The server hears that nobody waits only when it answers.
#[tokio::test]
async fn a_statement_that_goes_on_without_its_connection_is_waited_for() {
    for key in [None, Some("in:lost")] {
        let mut line = Line::new().await;
        let lost = message(&line.bench, "c", "lost", key);
        let id = lost.id;
        let writer = line.writer.clone();
        let breaking = async {
            let pid = line.waiting().await;
            line.proxy.set(Mode::Cut);
            // As above.
            tokio::task::yield_now().await;
            line.proxy.set(Mode::Pass);
            line.both_waiting().await;
            sqlx::query("commit").execute(&mut line.lock).await.unwrap();
            pid
        };
        let (accepted, pid) = futures::future::join(writer.accept(lost), breaking).await;
        let Ok(Accepted::New(work)) = &accepted else { panic!("{key:?}: {accepted:?}") };
        assert_eq!((work.id, work.conversation.as_str()), (id, "c"));
        line.gone(pid).await;
        assert_eq!(line.stored().await, 2, "{key:?}");
    }
}

#[tokio::test]
async fn what_ended_before_its_commit_is_not_accepted() {
    let line = Line::new().await;
    let lost = message(&line.bench, "c", "lost", None);
    let ending = async {
        let pid = line.waiting().await;
        let mut conn = line.bench.database.connect().await;
        let end = sqlx::query("select pg_terminate_backend($1)").bind(pid);
        end.execute(&mut conn).await.unwrap();
    };
    let (accepted, ()) = futures::future::join(line.writer.accept(lost), ending).await;
    assert!(matches!(accepted, Err(Error::NotCommitted(_))), "{accepted:?}");
}
