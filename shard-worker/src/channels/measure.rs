//! What is counted of platforms: the series of each, made once, and how many channels work.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use claw_channels::{ChannelError, registry};
use claw_telemetry::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Histogram, HistogramHandle};
use tokio::time::Instant;

use crate::shard::Shard;

/// The platform of a channel whose row can't be read, or is of a type that this version does not know.
const UNKNOWN: &str = "unknown";

/// The series of one platform.
pub(crate) struct Measured {
    /// As the adapter is called.
    platform: &'static str,
    duration: HistogramHandle,
    ok: CounterHandle,
    rate_limited: CounterHandle,
    retryable: CounterHandle,
    uncertain: CounterHandle,
    refused: CounterHandle,
    reconnects: CounterHandle,
    running: GaugeHandle,
    failed: GaugeHandle,
}

impl Measured {
    fn new(platform: &'static str) -> Self {
        let calls = |outcome| Counter::PlatformCalls.handle(&[platform, outcome]);
        Self {
            platform,
            duration: Histogram::PlatformDuration.handle(&[platform]),
            ok: calls("ok"),
            rate_limited: calls("rate_limited"),
            retryable: calls("retryable"),
            uncertain: calls("uncertain"),
            refused: calls("refused"),
            reconnects: Counter::ChannelReconnects.handle(&[platform]),
            running: Gauge::Channels.handle(&[platform, "running"]),
            failed: Gauge::Channels.handle(&[platform, "failed"]),
        }
    }

    /// Those of a type of channel.
    pub(super) fn of(channel_type: &str) -> Arc<Self> {
        let known = all().iter().find(|measured| measured.platform == channel_type);
        // The last one is for all others.
        Arc::clone(known.unwrap_or(&all()[all().len() - 1]))
    }

    /// Those of a channel whose type is not known.
    pub(super) fn unknown() -> Arc<Self> {
        Self::of(UNKNOWN)
    }

    /// A call that people can see, which began at this time, came to this.
    pub(super) fn called(&self, began: Instant, error: Option<&ChannelError>) {
        self.duration.record(began.elapsed().as_secs_f64());
        let counted = match error.map_or("ok", outcome) {
            "ok" => &self.ok,
            "rate_limited" => &self.rate_limited,
            "retryable" => &self.retryable,
            "uncertain" => &self.uncertain,
            _ => &self.refused,
        };
        counted.increment(1);
    }

    /// As the adapter is called.
    pub(super) fn platform(&self) -> &'static str {
        self.platform
    }

    /// A channel stopped receiving, and is started again.
    pub(super) fn reconnects(&self) {
        self.reconnects.increment(1);
    }
}

/// What a failed call came to, in a word.
pub(super) fn outcome(error: &ChannelError) -> &'static str {
    match error {
        ChannelError::RateLimited(_) | ChannelError::ChatLimited { .. } => "rate_limited",
        ChannelError::Retryable(_) => "retryable",
        ChannelError::Uncertain(_) => "uncertain",
        _ => "refused",
    }
}

/// Every platform's; the last one's is [`UNKNOWN`].
fn all() -> &'static [Arc<Measured>] {
    static ALL: OnceLock<Vec<Arc<Measured>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let names = registry::ALL.iter().map(|entry| entry.name).chain([UNKNOWN]);
        names.map(|name| Arc::new(Measured::new(name))).collect()
    })
}

/// Shows how many channels of these shards work, by platform.
pub(crate) fn show(shards: &[Arc<Shard>]) {
    let mut counted: HashMap<&'static str, (u32, u32)> = HashMap::new();
    for shard in shards {
        for running in shard.channels.running().values() {
            let (works, fails) = counted.entry(running.measured.platform).or_default();
            *(if running.error().is_none() { works } else { fails }) += 1;
        }
    }
    for measured in all() {
        let (works, fails) = counted.get(measured.platform).copied().unwrap_or_default();
        measured.running.set(f64::from(works));
        measured.failed.set(f64::from(fails));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use claw_telemetry::metrics;

    use super::*;

    #[tokio::test]
    async fn a_platforms_refusals_are_told_apart() {
        metrics::begin();
        let known = registry::ALL[0].name;
        let measured = Measured::of(known);
        assert_eq!(Measured::of("no such type").platform, UNKNOWN);
        let wait = Duration::from_secs(1);
        measured.called(Instant::now(), None);
        measured.called(Instant::now(), Some(&ChannelError::ChatLimited { wait, told: true }));
        measured.called(Instant::now(), Some(&ChannelError::RateLimited(wait)));
        measured.called(Instant::now(), Some(&ChannelError::Permanent("no".to_owned())));
        let text = metrics::scrape();
        for (outcome, count) in [("ok", 1), ("rate_limited", 2), ("refused", 1), ("uncertain", 0)] {
            let series =
                format!("claw_platform_calls_total{{platform=\"{known}\",outcome=\"{outcome}\"}} {count}");
            assert!(text.contains(&series), "{series}: {text}");
        }
        show(&[]);
        let running = format!("claw_channels{{platform=\"{known}\",state=\"running\"}} 0");
        assert!(metrics::scrape().contains(&running));
    }
}
