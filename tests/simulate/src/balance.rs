//! How even the load is, and how much of it moves.

use claw_types::{Candidate, InstanceId, ShardCount, UserId};

use crate::fleet::{FLEETS, WORKERS, Weights, fleet, owners};

const ADAPTERS: u32 = 1_000_000;
/// Adapters of one user.
const EACH: u32 = 3;
/// Workers that fail together.
const RACK: usize = 10;

/// The adapters, by shard.
pub(crate) struct World {
    shards: ShardCount,
    adapters: Vec<u32>,
}

impl World {
    /// Every adapter in the shard that it would really have.
    pub(crate) fn new(shards: ShardCount) -> Self {
        let mut adapters = vec![0; usize::from(shards.get())];
        for n in 0..ADAPTERS {
            let names = (format!("user-{}", n / EACH).parse(), format!("telegram_{}", n % EACH).parse());
            if let (Ok(user), Ok(instance)) = names {
                let (user, instance): (UserId, InstanceId) = (user, instance);
                adapters[usize::from(shards.shard_of(&user, &instance).0)] += 1;
            }
        }
        Self { shards, adapters }
    }

    /// Adapters of each worker.
    fn loads(&self, owners: &[usize], workers: usize) -> Vec<u32> {
        let mut loads = vec![0; workers];
        for (owner, adapters) in owners.iter().zip(&self.adapters) {
            loads[*owner] += adapters;
        }
        loads
    }

    /// Share of the adapters whose owner is another one.
    fn moved(&self, before: &[Candidate], after: &[Candidate]) -> f64 {
        let (old, new) = (owners(self.shards, before), owners(self.shards, after));
        let pairs = old.iter().zip(&new).zip(&self.adapters);
        let moved = pairs.filter(|((old, new), _)| before[**old].name != after[**new].name);
        f64::from(moved.map(|(_, adapters)| adapters).sum::<u32>()) / f64::from(ADAPTERS)
    }
}

/// Loads relative to what the weights would give: the largest, and the 99th of a hundred.
#[derive(Debug, Clone, Copy)]
struct Balance {
    max: f64,
    p99: f64,
}

fn balance(world: &World, fleet: &[Candidate]) -> Balance {
    let loads = world.loads(&owners(world.shards, fleet), fleet.len());
    let fair = f64::from(ADAPTERS) / fleet.iter().map(|one| one.weight).sum::<f64>();
    let mut relative: Vec<f64> =
        loads.iter().zip(fleet).map(|(load, one)| f64::from(*load) / (fair * one.weight)).collect();
    relative.sort_by(f64::total_cmp);
    let at = |per_cent: usize| relative[(relative.len() - 1) * per_cent / 100];
    Balance { max: at(100), p99: at(99) }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Prints both tables.
pub(crate) fn print(worlds: &[World]) {
    println!("Adapters of a worker, relative to its share by weight ({FLEETS} fleets: mean, worst)\n");
    println!("| N | weights | max / mean | p99 / mean | max / mean with a rack of {RACK} gone |");
    println!("| --- | --- | --- | --- | --- |");
    for world in worlds {
        for weights in [Weights::Equal, Weights::Mixed] {
            let fleets: Vec<_> = (0..FLEETS).map(|n| fleet(n, WORKERS, weights)).collect();
            let all: Vec<Balance> = fleets.iter().map(|fleet| balance(world, fleet)).collect();
            let (max, p99): (Vec<f64>, Vec<f64>) = all.iter().map(|b| (b.max, b.p99)).unzip();
            let left: Vec<f64> = fleets.iter().map(|fleet| balance(world, &fleet[RACK..]).max).collect();
            println!(
                "| {} | {} | {:.2}, {:.2} | {:.2}, {:.2} | {:.2}, {:.2} |",
                world.shards.get(),
                if weights == Weights::Equal { "equal" } else { "1, 2, 4" },
                mean(&max),
                worst(&max),
                mean(&p99),
                worst(&p99),
                mean(&left),
                worst(&left)
            );
        }
    }
    println!("\nAdapters that change their worker, in per cent ({FLEETS} fleets: mean, worst; the ideal)\n");
    println!("| N | a worker joins | a worker leaves | a rack of {RACK} goes |");
    println!("| --- | --- | --- | --- |");
    for world in worlds {
        let moves = |from: usize, to: usize, skip: usize| -> String {
            let moved: Vec<f64> = (0..FLEETS)
                .map(|n| {
                    let (before, after) = (fleet(n, from, Weights::Equal), fleet(n, to, Weights::Equal));
                    100.0 * world.moved(&before, &after[skip..])
                })
                .collect();
            format!("{:.2}, {:.2}", mean(&moved), worst(&moved))
        };
        println!(
            "| {} | {} (0.99) | {} (1.00) | {} (10.00) |",
            world.shards.get(),
            moves(WORKERS, WORKERS + 1, 0),
            moves(WORKERS, WORKERS, 1),
            moves(WORKERS, WORKERS, RACK)
        );
    }
}

/// Prints which number of shards is even enough for how many workers: shards alone, of as many adapters each.
pub(crate) fn print_fleets(counts: &[ShardCount]) {
    println!("\nThe fullest worker, relative to the mean, by number of workers (mean of {FLEETS} fleets)\n");
    println!("| N | 3 | 10 | 30 | 100 | 300 |\n| --- | --- | --- | --- | --- | --- |");
    for &shards in counts {
        let world = World::new(shards);
        let cells: Vec<String> = [3, 10, 30, 100, 300]
            .iter()
            .map(|&workers| {
                let max: Vec<f64> =
                    (0..FLEETS).map(|n| balance(&world, &fleet(n, workers, Weights::Equal)).max).collect();
                format!("{:.2}", mean(&max))
            })
            .collect();
        println!("| {} | {} |", shards.get(), cells.join(" | "));
    }
}
