//! How long shards are without an owner, and what it asks of the database.
//!
//! A crash: the kernel closes the lease connection, so the session and its locks are gone at once, and whoever owns a
//! shard next sees it at its next look, which comes within [`HEARTBEAT_EVERY`]. It may claim [`TAKEN_OVER_AFTER`] the last
//! heartbeat, and tries often until then. A freeze: nobody closes anything; the database ends the session
//! [`LEASE_IDLE`] after the last heartbeat, and the next look claims. Looks of different workers are spread evenly.

use std::time::Duration;

use claw_types::ShardCount;
use claw_types::placement::{HEARTBEAT_EVERY, LEASE_GOOD_FOR, LEASE_IDLE, TAKEN_OVER_AFTER};

use crate::fleet::{WORKERS, Weights, fleet, owners};

/// `make cost`, 100 leases and 4,096 shards, the middle one of three runs: a heartbeat, and a claim of 41 shards while
/// 100 claim at once. Here fewer claim, and fewer shards each, so these are upper bounds.
const HEARTBEAT: Duration = Duration::from_micros(1_070);
const CLAIM: Duration = Duration::from_micros(111_870);
/// Processor time of Postgres for each.
const HEARTBEAT_CPU: Duration = Duration::from_micros(563);
const CLAIM_CPU: Duration = Duration::from_micros(2_080);
/// How often a claim is tried again that came too early (`EVERY_SOON` of the worker's placement).
const AGAIN: Duration = Duration::from_millis(150);
/// Moments between two looks that are tried.
const STEPS: u32 = 200;

/// When the heir claims that looks so long after the other stopped, whose last heartbeat was so long before.
fn claimed(frozen: bool, last: Duration, look: Duration) -> Duration {
    if frozen {
        // Until the session ends the frozen one counts as alive, and looks go by.
        return LEASE_IDLE.saturating_sub(last) + look;
    }
    let free = TAKEN_OVER_AFTER.saturating_sub(last);
    let mut tried = look;
    while tried < free {
        tried += AGAIN;
    }
    tried
}

/// Seconds from when a worker stops working to when its shards are claimed, one for each moment that is possible.
fn without_owner(frozen: bool) -> Vec<f64> {
    let moment = |step: u32| HEARTBEAT_EVERY * step / STEPS;
    let moments = (0..STEPS).flat_map(|last| (0..STEPS).map(move |look| (moment(last), moment(look))));
    let times = moments.map(|(last, look)| claimed(frozen, last, look) + HEARTBEAT + CLAIM);
    let mut seconds: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
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
        "\nWhoever can't renew its lease stops acting {} s after its last heartbeat, {} s before another may claim.",
        LEASE_GOOD_FOR.as_secs_f64(),
        TAKEN_OVER_AFTER.saturating_sub(LEASE_GOOD_FOR).as_secs_f64()
    );
    let steady = HEARTBEAT_CPU.as_secs_f64() / HEARTBEAT_EVERY.as_secs_f64()
        * f64::from(u32::try_from(WORKERS).unwrap_or(u32::MAX));
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
