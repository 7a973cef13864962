//! How long shards are without an owner, and what it asks of the database.
//!
//! A crash: the kernel closes the lease connection, so the session and its locks are gone at once; whoever owns a shard
//! next sees it at its next look, which comes within [`HEARTBEAT_EVERY`]. A freeze: nobody closes anything; the
//! database ends the session [`LEASE_IDLE`] after the last heartbeat. Then the same. Looks of different workers are
//! spread evenly over the second.

use std::time::Duration;

use claw_types::ShardCount;
use claw_types::placement::{HEARTBEAT_EVERY, LEASE_GOOD_FOR, LEASE_IDLE};

use crate::fleet::{WORKERS, Weights, fleet, owners};

/// `make cost`, 100 leases and 4,096 shards, the middle one of three runs: a heartbeat, and a claim of 41 shards while 100 claim at once. Here fewer
/// claim, and fewer shards each, so these are upper bounds.
const HEARTBEAT: Duration = Duration::from_micros(1_230);
const CLAIM: Duration = Duration::from_micros(85_850);
/// Processor time of Postgres for each.
const HEARTBEAT_CPU: Duration = Duration::from_micros(526);
const CLAIM_CPU: Duration = Duration::from_micros(1_820);
/// Moments of a second that are tried.
const STEPS: u32 = 200;

/// Seconds from when a worker stops working to when its shards are claimed, one for each moment that is possible.
fn without_owner(frozen: bool) -> Vec<f64> {
    let moment = |step: u32| HEARTBEAT_EVERY * step / STEPS;
    let locked: Vec<Duration> = if frozen {
        // How long before the freeze the last heartbeat was.
        (0..STEPS).map(|step| LEASE_IDLE.saturating_sub(moment(step))).collect()
    } else {
        vec![Duration::ZERO]
    };
    let looks = (0..STEPS).map(moment);
    let all = looks.flat_map(|look| locked.iter().map(move |locked| *locked + look + HEARTBEAT + CLAIM));
    let mut seconds: Vec<f64> = all.map(|time| time.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// How many of the others claim something when one goes.
fn claimants(shards: ShardCount) -> usize {
    let all = fleet(0, WORKERS, Weights::Equal);
    let (before, after) = (owners(shards, &all), owners(shards, &all[1..]));
    let mut heirs: Vec<usize> =
        before.iter().zip(&after).filter(|(owner, _)| **owner == 0).map(|(_, heir)| *heir).collect();
    heirs.sort_unstable();
    heirs.dedup();
    heirs.len()
}

/// Prints times and load.
pub(crate) fn print(counts: &[ShardCount]) {
    println!("\nSeconds without an owner, until the claim; channels connect after that\n");
    println!("| | p50 | p99 | longest |\n| --- | --- | --- | --- |");
    for (what, frozen) in [("crash", false), ("freeze, or a cut that nobody sees", true)] {
        let times = without_owner(frozen);
        let at = |per_cent: usize| times[(times.len() - 1) * per_cent / 100];
        println!("| {what} | {:.2} | {:.2} | {:.2} |", at(50), at(99), at(100));
    }
    println!(
        "\nA frozen worker stops acting {} s after its last heartbeat, {} s before its session can end.",
        LEASE_GOOD_FOR.as_secs(),
        LEASE_IDLE.saturating_sub(LEASE_GOOD_FOR).as_secs()
    );
    let steady = HEARTBEAT_CPU.as_secs_f64() * f64::from(u32::try_from(WORKERS).unwrap_or(u32::MAX));
    println!(
        "\nPostgres, {WORKERS} workers: {:.1} % of a core for heartbeats; when one goes, besides\n",
        100.0 * steady
    );
    println!("| N | claims | ms of CPU |\n| --- | --- | --- |");
    for shards in counts {
        let claims = claimants(*shards);
        let cpu = CLAIM_CPU * u32::try_from(claims).unwrap_or(u32::MAX);
        println!("| {} | {claims} | {:.0} |", shards.get(), cpu.as_secs_f64() * 1e3);
    }
}
