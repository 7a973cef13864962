//! The short version of `make chaos`. The scenarios judge themselves; here they only must succeed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't be set up must fail loudly, and figures"
)]

use std::process::Command;

/// Where the build is, beside which the servers keep their data.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn succeeds(args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claw-chaos"));
    let output = command.args(args).args(["--rate", "50"]).current_dir(ROOT).output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {}\n{said}\n{complained}", output.status);
    println!("{said}");
}

/// One after the other: beside one another they would only measure how they share two cores.
#[test]
fn the_rules_hold_in_short() {
    succeeds(&["kill", "--rounds", "20"]);
    succeeds(&["blackhole-postgres", "blackhole-nats", "--rounds", "1"]);
    succeeds(&["halfopen-postgres", "--rounds", "2"]);
    succeeds(&["jobs-kill", "--rounds", "5", "--jobs", "100"]);
    // The tenth round would be a long one.
    succeeds(&["jobs-freeze", "--rounds", "2", "--jobs", "100"]);
}
