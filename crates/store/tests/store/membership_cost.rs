//! What membership costs the database with 100 workers and 4,096 shards: `make cost`, for the figures of
//! docs/benchmarks.md.

use std::time::{Duration, Instant};

use claw_store::{Lease, Store};
use claw_testkit::TestDatabase;
use claw_types::{ShardCount, ShardId};
use futures::future::join_all;
use sqlx::postgres::PgConnection;

use crate::Bench;

const WORKERS: u16 = 100;
const SHARDS: u16 = 4096;
const ROUNDS: u32 = 20;
/// Milliseconds of processor time that the leases' server processes have used so far.
async fn spent(database: &mut PgConnection) -> f64 {
    let pids: Vec<i32> =
        sqlx::query_scalar("select backend_pid from members").fetch_all(database).await.unwrap();
    let nanos = |pid: &i32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
        stat.split_whitespace().next().unwrap().parse().unwrap()
    };
    millis(Duration::from_nanos(pids.iter().map(nanos).sum()))
}

fn millis(of: Duration) -> f64 {
    of.as_secs_f64() * 1e3
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |per_cent: usize| millis(times[(times.len() - 1) * per_cent / 100]);
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

async fn timed<T>(call: impl Future<Output = claw_store::Result<T>>) -> (T, Duration) {
    let began = Instant::now();
    (call.await.unwrap(), began.elapsed())
}

async fn heartbeats(leases: &mut [Lease], at_once: bool) -> Vec<Duration> {
    let beat = async |lease: &mut Lease| {
        let (peers, took) = timed(lease.heartbeat()).await;
        assert_eq!(peers.len(), usize::from(WORKERS));
        took
    };
    if at_once {
        return join_all(leases.iter_mut().map(beat)).await;
    }
    let mut times = Vec::new();
    for lease in leases {
        times.push(beat(lease).await);
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, proves nothing"]
#[expect(clippy::print_stdout, reason = "the figures")]
async fn membership_cost() {
    let database = TestDatabase::create().await;
    let store = Store::connect(database.url(), "test", 2).await.unwrap();
    store.migrate(ShardCount::new(SHARDS)).await.unwrap();
    let mut admin = database.connect().await;
    // All at once: one after another the first ones would be silent for too long.
    let opened =
        join_all((0..WORKERS).map(async |n| {
            Lease::open(database.url(), Bench::member(&format!("worker-{n}"))).await.unwrap()
        }));
    let mut leases = opened.await;
    let before = spent(&mut admin).await;
    let claims = leases.iter_mut().zip(0..).map(|(lease, n)| async move {
        let mine: Vec<ShardId> = (0..SHARDS).filter(|s| s % WORKERS == n).map(ShardId).collect();
        let (claimed, took) = timed(lease.claim(&mine)).await;
        assert_eq!(claimed.len(), mine.len());
        took
    });
    let times = join_all(claims).await;
    let cpu = spent(&mut admin).await - before;
    println!("claim of 41 shards, 100 at once: {}; {cpu:.0} ms of CPU in all", summary(times));
    for at_once in [true, false] {
        let before = spent(&mut admin).await;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            second.tick().await;
            times.extend(heartbeats(&mut leases, at_once).await);
        }
        let cpu = (spent(&mut admin).await - before) / f64::from(ROUNDS);
        let how = if at_once { "100 at once" } else { "one after another" };
        println!("heartbeats, {how}: {}; {cpu:.1} ms of CPU for 100", summary(times));
    }
    let (_, took) = timed(leases[0].break_frozen(&(0..SHARDS).map(ShardId).collect::<Vec<_>>())).await;
    println!("looking for frozen holders of all shards: {:.2} ms", millis(took));
    let (_, took) = timed(store.shards_unattended()).await;
    println!("counting shards without an owner: {:.2} ms", millis(took));
}
