//! What counting costs a message: `cargo bench -p claw-telemetry`.
//!
//! All that is counted of one message on its way (accepted, attempted, handed over, settled) by two threads at once, with somebody who
//! scrapes meanwhile. Ends with an error when the mark is missed.

#![allow(clippy::print_stdout, reason = "a measurement that prints what it found")]

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use claw_telemetry::metrics::{self, Counter, Histogram, Role};

/// Of each message.
const MARK: Duration = Duration::from_micros(1);
const MESSAGES: u32 = 1_000_000;
const THREADS: u32 = 2;

/// As the roles do it: `Counter::NatsPublished` and a batch's two observations are a share of it in truth.
fn message(n: u32) {
    Counter::Accepts.add(&["new"]);
    Histogram::BatchSize.observe(&["accept"], 16.0);
    Histogram::BatchDuration.observe(&["accept"], 0.002);
    Counter::NatsPublished.add(&[]);
    Histogram::DeliveryLatency.observe(&["in"], f64::from(n % 100) / 1000.0);
    Histogram::BackendDuration.observe(&["taken"], 0.01);
    Counter::Attempts.add(&["in", "over"]);
    Histogram::PoolAcquire.observe(&["alone"], 0.000_01);
    Counter::MessagesFinished.add(&["in", "done"]);
}

fn main() -> ExitCode {
    for role in Role::ALL {
        metrics::expose(role);
    }
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for n in 0..MESSAGES {
                    message(n);
                }
            });
        }
        // Every 2 s in truth.
        scope.spawn(|| {
            for _ in 0..5 {
                metrics::settle();
            }
        });
    });
    let each = began.elapsed() / MESSAGES;
    let began = Instant::now();
    let size = metrics::scrape().len();
    println!("counting takes {each:?} of a message on each of {THREADS} threads; the mark is {MARK:?}");
    println!(
        "a scrape of all roles with {} messages to gather: {size} bytes in {:?}",
        MESSAGES * THREADS,
        began.elapsed()
    );
    if each <= MARK { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
