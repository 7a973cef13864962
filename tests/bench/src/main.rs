//! `make bench`: how fast the relay is on this machine, with everything on it: Postgres with fsync on, NATS, gateway,
//! worker, scheduler, the load generator and the receiver that checks every signature.
//!
//! - **Closed loop**: each client sends a message, waits until the backend has it, and sends the next one.
//! - **Fixed rate**: messages are sent on time, whatever happens to the earlier ones.
//!
//! Times are taken from just before a message is sent to when its webhook arrives, so they include the load
//! generator's own part and the commit. What is printed can be pasted into docs/benchmarks.md.

mod load;
mod machine;
mod receiver;
mod stack;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::load::{Load, Outcome};
use crate::machine::Usage;
use crate::receiver::Receiver;
use crate::stack::Stack;

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
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report")]
async fn main() -> anyhow::Result<()> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("a TLS provider was installed before"))?;
    let args = Args::parse();
    let receiver = Arc::new(Receiver::start().await?);
    let stack = Stack::start(&receiver.url(), args.connections).await?;
    println!("machine: {}", claw_testkit::machine::describe());
    println!("database: {}", stack.describe_database().await?);
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("idle RSS: {}", stack.memory());

    let load = Load::prepare(&stack, Arc::clone(&receiver), args.clients.max(256)).await?;
    let (warm_up, time) = (Duration::from_secs(args.warm_up), Duration::from_secs(args.seconds));
    load.closed_loop(args.clients, warm_up).await;
    let before = Usage::of(&stack.processes());
    let closed = load.closed_loop(args.clients, time).await;
    let used = Usage::of(&stack.processes()).since(&before);
    report(&format!("closed loop, {} clients, {time:?}", args.clients), &closed);
    println!("  CPU a message: {}", used.per_message(closed.delivered));

    load.fixed_rate(args.rate, warm_up).await;
    let fixed = load.fixed_rate(args.rate, time).await;
    report(&format!("fixed rate {}/s, {time:?}", args.rate), &fixed);
    println!("RSS after load: {}", stack.memory());
    stack.stop().await
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
