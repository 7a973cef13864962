//! What is counted. Every metric's name stands here, once, and nowhere else.
//!
//! Names follow Prometheus (base units, `_total` for counters: <https://prometheus.io/docs/practices/naming/>). Labels have few
//! values: never a user, a channel or an address.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// A counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Calls without a good key or secret; `of` says which of them was asked for.
    AuthFailures,
    /// Those of them that were answered with 429, because their address had too many.
    AuthThrottled,
    /// People's messages that were not accepted because of their channel's policy; `reason` says which part of it.
    MessagesIgnored,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AuthFailures, Self::AuthThrottled, Self::MessagesIgnored];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthFailures => "claw_auth_failures_total",
            Self::AuthThrottled => "claw_auth_throttled_total",
            Self::MessagesIgnored => "claw_messages_ignored_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::AuthFailures => "Calls without a good key (of=\"key\") or a hook's secret (of=\"hook\").",
            Self::AuthThrottled => "Calls without a good key or secret that were answered with 429.",
            Self::MessagesIgnored => {
                "People's messages that their channel's policy does not take, by reason."
            }
        }
    }

    /// Counts one.
    pub fn add(self, label: (&'static str, &'static str)) {
        metrics::counter!(self.name(), &[label]).increment(1);
    }
}

/// Begins to count, for the whole process; doing so again changes nothing.
pub fn begin() {
    handle();
}

/// What the process has counted since [`begin`], as Prometheus reads it.
pub fn scrape() -> String {
    handle().render()
}

fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if let Err(error) = metrics::set_global_recorder(recorder) {
            tracing::error!(%error, "nothing is counted: {error}");
        }
        for counter in Counter::ALL {
            metrics::describe_counter!(counter.name(), counter.help());
        }
        handle
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_scraped_with_its_help() {
        begin();
        Counter::AuthFailures.add(("of", "key"));
        Counter::AuthFailures.add(("of", "key"));
        let text = scrape();
        assert!(text.contains("claw_auth_failures_total{of=\"key\"} 2"), "{text}");
        assert!(text.contains("# HELP claw_auth_failures_total Calls"), "{text}");
        for counter in Counter::ALL {
            let name = counter.name();
            assert!(name.starts_with("claw_") && name.ends_with("_total"), "{name}");
        }
    }
}
