//! What traces cost a message: `cargo bench -p claw-telemetry --bench trace`.
//!
//! The spans of one message's way in, as the roles make them: while nothing is traced, and of a message that is not recorded. What is
//! recorded is measured, too, without a mark: it is one in a hundred. Ends with an error when a mark is missed.

#![allow(clippy::print_stdout, reason = "a measurement that prints what it found")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use claw_telemetry::trace::{self, Context, Kind, Settings, Span};

/// Of each message, while nothing is traced, and of one that is not recorded.
const MARKS: [Duration; 2] = [Duration::from_nanos(100), Duration::from_micros(1)];
const MESSAGES: u32 = 1_000_000;

fn message(id: u128) {
    let began = trace::mark();
    let first = Span::first(id, "receive", Kind::Server, began);
    drop(Span::child_of(Context::of_message(id), "commit", Kind::Client));
    drop(Span::child_of(Context::of_message(id), "publish", Kind::Producer));
    drop(first);
    let deliver = Span::child_of(Context::of_message(id), "deliver", Kind::Consumer);
    let post = Span::child_of(deliver.context(), "POST", Kind::Client);
    let told = post.context().or_else(|| Context::of_message(id));
    black_box(told.map(Context::header));
    drop(post);
    drop(Span::child_of(deliver.context(), "settle", Kind::Client));
}

fn measure(id: u128) -> Duration {
    let began = Instant::now();
    for _ in 0..MESSAGES {
        message(black_box(id));
    }
    began.elapsed() / MESSAGES
}

fn main() -> ExitCode {
    let off = measure(1);
    let begun = trace::begin(Settings { share: 0.5, clock: Box::new(|| 1), random: Box::new(|| 1) });
    // Nobody takes them out, so nearly all find the queue full: as long as making them takes.
    let left_out = measure(u128::MAX);
    let recorded = measure(1);
    drop(begun);
    println!(
        "of a message, traces take {off:?} while nothing is traced, {left_out:?} when it is not recorded, {recorded:?} when it is"
    );
    println!("the marks are {MARKS:?}");
    if off <= MARKS[0] && left_out <= MARKS[1] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
