//! `make bench`: how fast the relay is on this machine, with everything on it: Postgres with fsync on, NATS, gateway,
//! worker, scheduler, the load generator and the receiver that checks every signature.
//!
//! - **Closed loop**: each client sends a message, waits until the backend has it, and sends the next one.
//! - **Fixed rate**: messages are sent on time, whatever happens to the earlier ones.
//! - **Backlog** (`--backlog`): the backend is away while that many messages are accepted; then they drain in order
//!   while others write in other conversations.
//! - **Growth** (`--growth 1,1000,100000`): the closed loop over so many channels, each of another user.
//! - **Neighbours** (`--neighbours`): a user with a healthy backend beside one whose backend is dead and one whose backend
//!   takes 10 s.
//! - **Jobs** (`--jobs burst,sustained,stored`): scheduled jobs ([`jobs`]); a broken bound ends in exit code 1.
//!
//! Times are taken from just before a message is sent to when its webhook arrives, so they include the load
//! generator's own part and the commit. What is printed can be pasted into docs/benchmarks.md.

mod backlog;
mod growth;
mod jobs;
mod load;
mod machine;
mod neighbours;
mod poster;
mod receiver;
mod stack;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

use crate::load::{Load, Outcome};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::stack::Stack;

/// As in the binary that is measured: what the load generator takes is not there for that one.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[derive(Parser)]
struct Args {
    /// Clients of the closed loop
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Messages a second at the fixed rate
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Seconds of warm-up before each
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// Connections of each role to the database
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Messages that wait when the backend comes back; 0 leaves this measurement out
    #[arg(long, default_value_t = 0)]
    backlog: u64,
    /// Numbers of channels, ascending, to measure the closed loop with, in place of all other measurements
    #[arg(long, value_delimiter = ',')]
    growth: Vec<usize>,
    /// Measure a user beside one with a dead and one with a slow backend, in place of all other measurements
    #[arg(long)]
    neighbours: bool,
    #[command(flatten)]
    sizes: jobs::Sizes,
}

/// Conversations that have a backlog; the other channels' have none.
const WITH_BACKLOG: usize = 192;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("a TLS provider was installed before"))?;
    let args = Args::parse();
    if args.sizes.asked() {
        let report = jobs::run(&args.sizes, args.connections).await?;
        return Ok(if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    measure(args).await?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the report")]
async fn measure(args: Args) -> anyhow::Result<()> {
    let receiver = Arc::new(Receiver::start().await?);
    let stack = Stack::start(&receiver.url(), args.connections).await?;
    println!("machine: {}", claw_testkit::machine::describe());
    println!("database: {}", stack.describe_database().await?);
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("idle RSS: {}", stack.memory());

    let (warm_up, time) = (Duration::from_secs(args.warm_up), Duration::from_secs(args.seconds));
    if !args.growth.is_empty() {
        let mut load = Load::prepare(&stack, Arc::clone(&receiver), 0).await?;
        let sizes = growth::run(&stack, &mut load, &args.growth, args.clients, (warm_up, time)).await?;
        sizes.iter().for_each(report_size);
        return stack.stop().await;
    }
    if args.neighbours {
        let beside = neighbours::run(&stack, &receiver, args.rate, (warm_up, time)).await?;
        report_neighbours(&beside);
        return stack.stop().await;
    }
    let load = Load::prepare(&stack, Arc::clone(&receiver), args.clients.max(256)).await?;
    load.closed_loop(args.clients, warm_up).await;
    let (before, database_before) = (Usage::of(&stack.processes()), stack.database_work().await?);
    let closed = load.closed_loop(args.clients, time).await;
    let used = Usage::of(&stack.processes()).since(&before);
    report(&format!("closed loop, {} clients, {time:?}", args.clients), &closed);
    println!("  CPU a message: {}", used.per_message(closed.delivered));
    report_database(database_before, stack.database_work().await?, closed.delivered);

    load.fixed_rate(args.rate, warm_up).await;
    let fixed = load.fixed_rate(args.rate, time).await;
    report(&format!("fixed rate {}/s, {time:?}", args.rate), &fixed);
    println!("RSS after load: {}", stack.memory());
    if args.backlog > 0 {
        let drain = backlog::run(&load, &receiver, args.backlog, WITH_BACKLOG).await?;
        report_backlog(&drain, closed.rate(closed.delivered));
    }
    stack.stop().await
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "the report")]
fn report_neighbours(beside: &neighbours::Beside) {
    report("a healthy backend, alone", &beside.alone);
    report("beside two healthy ones", &beside.healthy);
    report("beside a dead one and one that takes 10 s", &beside.sick);
    let change = |q: f64, than: &Outcome| {
        let of = |outcome: &Outcome| outcome.latency.value_at_quantile(q).max(1) as f64;
        100.0 * (of(&beside.sick) / of(than) - 1.0)
    };
    for (than, outcome) in [("alone", &beside.alone), ("beside two healthy ones", &beside.healthy)] {
        println!("  than {than}: p50 {:+.0} %, p99 {:+.0} %", change(0.5, outcome), change(0.99, outcome));
    }
    println!("  the neighbours' messages: {} accepted", beside.posted);
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "the report")]
fn report_database(before: (i64, i64), after: (i64, i64), messages: u64) {
    let each = |before: i64, after: i64| (after - before) as f64 / messages.max(1) as f64;
    println!(
        "  Postgres a message: {:.3} transactions, {:.0} bytes of write-ahead log",
        each(before.0, after.0),
        each(before.1, after.1)
    );
}

#[expect(clippy::print_stdout, reason = "the report")]
fn report_backlog(drain: &backlog::Drain, normal: f64) {
    println!(
        "backlog of {}: the first after {:.1?}, then {:.0}/s ({:.0} % of the closed loop), out of order {}, again {}",
        drain.count,
        drain.until_first,
        drain.rate(),
        100.0 * drain.rate() / normal,
        drain.backlog.out_of_order,
        drain.backlog.again,
    );
    report(&format!("{}/s in other conversations, without it", backlog::NEWCOMERS), &drain.before);
    report("meanwhile, in other conversations", &drain.newcomers);
}

#[expect(clippy::print_stdout, reason = "the report")]
fn report_size(size: &growth::Size) {
    report(&format!("{} channels, made in {:.1?}", size.channels, size.made_in), &size.outcome);
    println!("  CPU a message: {}", size.cost);
    println!("  RSS: {}", size.memory);
}

#[expect(clippy::print_stdout, reason = "the report")]
fn report(what: &str, outcome: &Outcome) {
    let quantile = |q: f64| Duration::from_micros(outcome.latency.value_at_quantile(q));
    println!("{what}:");
    println!(
        "  accepted/s {:.0}, delivered/s {:.0}, refused {}, lost {}, badly signed {}",
        outcome.rate(outcome.accepted),
        outcome.rate(outcome.delivered),
        outcome.refused,
        outcome.accepted.saturating_sub(outcome.delivered),
        outcome.badly_signed,
    );
    println!(
        "  send to delivered: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, max {:.1?}",
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(1.0)
    );
}
