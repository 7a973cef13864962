//! What every role tells of itself in metrics, beside what it counts on its way: the process, its connections to the database
//! and to NATS.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::Bus;
use claw_runtime::{Clock, Lifecycle};
use claw_store::{PoolUsage, Store};
use claw_telemetry::metrics::{self, Counter, Gauge, GaugeHandle, Role};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use tokio::time::MissedTickBehavior;

/// How often it looks: Prometheus scrapes every 15 s or more, and what was observed meanwhile takes memory until then.
const EVERY: Duration = Duration::from_secs(2);

/// Shows what this role may count, and looks at process and connections every few seconds until it stops.
pub fn observe(role: Role, store: &Store, bus: &Arc<Bus>, clock: &Arc<dyn Clock>, lifecycle: &Lifecycle) {
    metrics::expose(role);
    Gauge::ProcessStart.set(&[], exact(clock.now().timestamp()));
    let (store, bus, soft) = (store.clone(), Arc::clone(bus), lifecycle.soft());
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shown = Shown::of(role, &store);
    lifecycle.spawn("metrics", async move {
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = soft.cancelled() => return,
            }
            process();
            shown.set(&store, &bus);
            metrics::settle();
        }
    });
}

/// The series of one role's connections.
struct Shown {
    nats: GaugeHandle,
    /// Of each pool: used, idle, and how many there may be.
    pools: [[GaugeHandle; 3]; 2],
}

impl Shown {
    fn of(role: Role, store: &Store) -> Self {
        let role = role.as_str();
        let pool = |PoolUsage { pool, .. }| {
            [
                Gauge::PoolConnections.handle(&[role, pool, "used"]),
                Gauge::PoolConnections.handle(&[role, pool, "idle"]),
                Gauge::PoolMax.handle(&[role, pool]),
            ]
        };
        Self { nats: Gauge::NatsConnected.handle(&[role]), pools: store.pools().map(pool) }
    }

    fn set(&self, store: &Store, bus: &Bus) {
        self.nats.set(if bus.connected() { 1.0 } else { 0.0 });
        for (shown, PoolUsage { used, idle, max, .. }) in self.pools.iter().zip(store.pools()) {
            for (gauge, now) in shown.iter().zip([used, idle, max]) {
                gauge.set(f64::from(now));
            }
        }
    }
}

/// What the system says of this process. Where it does not say it (there is no `/proc`), the numbers stay 0.
fn process() {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds = usage.user_time().tv_sec() + usage.system_time().tv_sec();
        Counter::ProcessCpu.set(&[], u64::try_from(seconds).unwrap_or_default());
    }
    if let Some(bytes) = std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident) {
        Gauge::ProcessMemory.set(&[], bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // Reading it is one of them.
        Gauge::ProcessFds.set(&[], exact(i64::try_from(open.count()).unwrap_or(i64::MAX) - 1));
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        Gauge::ProcessMaxFds.set(&[], exact(i64::try_from(soft).unwrap_or(i64::MAX)));
    }
}

/// The resident memory of a `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(exact(kib * 1024))
}

#[expect(clippy::cast_precision_loss, reason = "numbers below 2^53 are exact")]
fn exact(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n"), Some(2_097_152.0));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn the_process_shows_what_it_uses() {
        metrics::expose(Role::Worker);
        process();
        let text = metrics::scrape();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
    }
}
