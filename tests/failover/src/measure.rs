//! The measurements. Each starts a cluster of its own, waits until all is quiet, does one thing, and looks at what the
//! platform saw of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use claw_testkit::platform::Gap;
use claw_testkit::{Claw, Report, Spread, eventually, machine};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::gaps::{let_go, no_overlap};
use crate::sockets::{Kind, Sockets};

const ONE: &str = "worker-1";
pub(crate) const TWO: &str = "worker-2";
pub(crate) const THREE: &str = "worker-3";
/// A long poll lasts 30 s; everything that is made once has been made after two.
const SECOND_POLL: Duration = Duration::from_secs(90);

/// A worker ends without notice: how long until another one polls its bots?
pub(crate) async fn takeover(report: &mut Report, channels: u32, others: &[&str]) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster.configure(channels).await?;
    let mut one = cluster.spawn("worker", ONE);
    let _others: Vec<Claw> = others.iter().map(|name| cluster.spawn("worker", name)).collect();
    cluster.wait_for_shares(&[&[ONE], others].concat()).await;
    cluster.all_polling(channels).await?;
    let killed = Instant::now();
    one.signal("KILL").await;
    one.wait().await;
    cluster.wait_for_shares(others).await;
    cluster.all_polling(channels).await?;
    let until = |gap: &Gap| (gap.began + gap.lasted).duration_since(killed);
    let times = Spread::of(let_go(&cluster.platform, channels, killed).iter().map(until));
    ensure!(!times.is_empty(), "the worker that was killed had no channels");
    let (workers, lost) = (others.len() + 1, times.len());
    report.tell(&format!("takeover: SIGKILL of one of {workers} workers, {lost} of {channels} channels"));
    report.at_most("until another worker polls, p50", times.percentile(50), Duration::from_secs(3));
    report.at_most("until another worker polls, p99", times.percentile(99), Duration::from_secs(8));
    report.tell(&format!("  the last one: {:.3?}", times.max()));
    no_overlap(report, &cluster.platform);
    cluster.stop().await
}

/// A worker is asked to end: how long is each of its bots not polled?
pub(crate) async fn drain(report: &mut Report, channels: u32) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster.configure(channels).await?;
    let [mut one, _two] = cluster.workers([ONE, TWO]).await;
    cluster.all_polling(channels).await?;
    let asked = Instant::now();
    one.signal("TERM").await;
    let code = one.wait().await;
    let took = asked.elapsed();
    ensure!(code == Some(0), "the worker ended with {code:?}:\n{}", one.output());
    cluster.wait_for_shares(&[TWO]).await;
    cluster.all_polling(channels).await?;
    report.tell(&format!("drain: SIGTERM to one of 2 workers, which ended after {took:.1?}"));
    without_service(report, &cluster, channels, asked)?;
    cluster.stop().await
}

/// A third worker comes: what moves to it, and how long is each of those bots not polled?
pub(crate) async fn join(report: &mut Report, channels: u32) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster.configure(channels).await?;
    let _workers = cluster.workers([ONE, TWO]).await;
    cluster.all_polling(channels).await?;
    let before = cluster.owners().await?;
    let began = Instant::now();
    let _third = cluster.spawn("worker", THREE);
    cluster.wait_for_shares(&[ONE, TWO, THREE]).await;
    let took = began.elapsed();
    cluster.all_polling(channels).await?;
    let after = cluster.owners().await?;
    let moved = after.iter().filter(|(shard, owner)| before.get(shard) != Some(owner));
    let (moved, elsewhere) =
        moved.fold((0_u32, 0_u32), |(all, other), (_, owner)| (all + 1, other + u32::from(owner != THREE)));
    report.tell(&format!("join: a third worker, which had its share {took:.1?} after its start"));
    let share = f64::from(moved) / f64::from(u32::try_from(after.len())?);
    report.at_most("share of the shards that moved", share, 1.0 / 3.0 + 0.05);
    report.at_most("shards that moved between the other two", elsewhere, 0);
    without_service(report, &cluster, channels, began)?;
    cluster.stop().await
}

fn without_service(
    report: &mut Report,
    cluster: &Cluster,
    channels: u32,
    since: Instant,
) -> anyhow::Result<()> {
    let gaps = Spread::of(let_go(&cluster.platform, channels, since).iter().map(|gap| gap.lasted));
    ensure!(!gaps.is_empty(), "no channel was handed over");
    let (p50, p99) = (gaps.percentile(50), gaps.percentile(99));
    report.tell(&format!("  {} of {channels} channels handed over", gaps.len()));
    report.tell(&format!("  without an open poll: p50 {p50:.3?}, p99 {p99:.3?}"));
    report.at_most("the longest time without an open poll", gaps.max(), Duration::from_secs(1));
    no_overlap(report, &cluster.platform);
    Ok(())
}

/// One worker with channels on which nothing happens: what does each cost, and how long does a start take?
pub(crate) async fn idle(report: &mut Report, channels: u32) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let [mut empty] = cluster.workers([ONE]).await;
    let without = resident(&empty)?;
    empty.signal("TERM").await;
    empty.wait().await;
    cluster.configure(channels).await?;
    let began = Instant::now();
    let worker = cluster.spawn("worker", ONE);
    cluster.all_polling(channels).await?;
    let took = began.elapsed();
    let at_start = resident(&worker)?;
    let polled = |n| cluster.platform.polls(n).len() >= 2;
    let all_twice = async || (1..=channels).all(polled).then_some(());
    eventually("a second poll of every bot", SECOND_POLL, all_twice).await;
    cluster.all_polling(channels).await?;
    let with = resident(&worker)?;
    report.tell(&format!("idle: {channels} channels on one worker, plain HTTP to the platform"));
    report.tell(&format!(
        "  VmRSS {without} KiB without, {at_start} KiB when all polled, {with} KiB a poll later"
    ));
    let each = with.max(at_start).saturating_sub(without) / u64::from(channels.max(1));
    report.at_most("KiB of each channel", each, 64);
    report.at_most("from the start of the process to all polling", took, Duration::from_secs(15));
    no_overlap(report, &cluster.platform);
    cluster.stop().await
}

/// The same with a WebSocket for each channel, when every one has had a heartbeat.
pub(crate) async fn idle_sockets(report: &mut Report, kind: Kind, channels: u32) -> anyhow::Result<()> {
    let (cluster, mut platform) = (Cluster::start().await?, Sockets::start(kind).await?);
    let [mut empty] = cluster.workers([ONE]).await;
    let without = resident(&empty)?;
    empty.signal("TERM").await;
    empty.wait().await;
    cluster.configure_with(channels, kind.channel_type(), |n| platform.fields(n)).await?;
    let began = Instant::now();
    let worker = cluster.spawn("worker", ONE);
    let count = usize::try_from(channels)?;
    platform.all_open(count).await?;
    let took = began.elapsed();
    let at_start = resident(&worker)?;
    platform.all_beat(count).await?;
    platform.all_open(count).await?;
    let with = resident(&worker)?;
    let name = kind.channel_type();
    report.tell(&format!("idle: {channels} {name} channels on one worker, a WebSocket each, without TLS"));
    report.tell(&format!(
        "  VmRSS {without} KiB without, {at_start} KiB when all are open, {with} KiB after a heartbeat of each"
    ));
    let each = with.max(at_start).saturating_sub(without) / u64::from(channels.max(1));
    report.at_most("KiB of each socket", each, 64);
    report.tell(&format!("  from the start of the process to all open: {took:.1?}"));
    cluster.stop().await
}

fn resident(worker: &Claw) -> anyhow::Result<u64> {
    machine::resident(worker.pid()).context("the worker has ended")
}
