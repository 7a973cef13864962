//! What must hold for every metric.

use std::collections::HashSet;

use ::metrics::Unit;

use super::*;

/// Every metric's name, what is said of it, and whether it is a counter.
fn all() -> Vec<(&'static Spec, bool)> {
    let counters = Counter::ALL.iter().map(|counter| (counter.spec(), true));
    let gauges = Gauge::ALL.iter().map(|gauge| (gauge.spec(), false));
    counters.chain(gauges).chain(Histogram::ALL.iter().map(|histogram| (histogram.spec(), false))).collect()
}

#[test]
fn what_is_counted_is_scraped_with_its_help() {
    begin();
    Counter::AuthFailures.add(&["key"]);
    Counter::AuthFailures.add(&["key"]);
    Counter::CronRuns.add_many(&[], 3);
    let text = scrape();
    assert!(text.contains("claw_auth_failures_total{of=\"key\"} 2"), "{text}");
    assert!(text.contains("# HELP claw_auth_failures_total Calls"), "{text}");
    assert!(text.contains("claw_cron_runs_total 3"), "{text}");
}

#[test]
fn observations_are_in_fixed_buckets() {
    begin();
    Histogram::DeliveryLatency.observe(&["in"], 0.2);
    Histogram::DeliveryLatency.observe(&["in"], 4.0);
    settle();
    let text = scrape();
    let bucket = |le: &str| format!("claw_delivery_latency_seconds_bucket{{direction=\"in\",le=\"{le}\"}}");
    assert!(text.contains(&format!("{} 1", bucket("0.25"))), "{text}");
    assert!(text.contains(&format!("{} 2", bucket("5"))), "{text}");
    assert!(!text.contains("quantile="), "no summaries: {text}");
}

#[test]
fn a_role_shows_from_its_start_what_it_may_count() {
    expose(Role::Scheduler);
    let text = scrape();
    assert!(text.contains("claw_elections_total 0"), "{text}");
    assert!(text.contains("role=\"scheduler\"} 1"), "{text}");
    assert!(text.contains("claw_cron_lag_seconds_count 0"), "{text}");
    assert!(!text.contains("claw_shards_owned"), "that is a worker's: {text}");
}

#[test]
fn names_say_unit_and_kind() {
    let mut names = HashSet::new();
    for (spec, is_counter) in all() {
        let name = spec.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("claw_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        let base = name.trim_end_matches("_total");
        assert_eq!(base.ends_with("_seconds"), spec.unit == Unit::Seconds, "{name}");
        assert_eq!(base.ends_with("_bytes"), spec.unit == Unit::Bytes, "{name}");
        assert!(spec.help.ends_with('.') && !spec.roles.is_empty(), "{name}: {}", spec.help);
    }
    for histogram in Histogram::ALL {
        assert!(histogram.buckets().is_sorted() && !histogram.buckets().is_empty(), "{histogram:?}");
    }
}

/// Whatever has no bound here fills Prometheus' memory in a cluster with many of it.
#[test]
fn no_label_can_have_many_values() {
    let allowed = [
        "batch",
        "code",
        "destination",
        "direction",
        "kind",
        "method",
        "of",
        "outcome",
        "platform",
        "pool",
        "reason",
        "role",
        "route",
        "state",
        "status",
        "to",
        "version",
        "write",
    ];
    for (spec, _) in all() {
        for label in spec.labels {
            assert!(allowed.contains(&label.name), "{} has the label {}", spec.name, label.name);
            match label.values {
                Values::Fixed(values) => {
                    assert!((2..=16).contains(&values.len()), "{}: {values:?}", label.name);
                    let different: HashSet<_> = values.iter().collect();
                    assert_eq!(different.len(), values.len(), "{}: {values:?}", label.name);
                }
                Values::Bounded(why) => assert!(!why.is_empty(), "{}", label.name),
            }
        }
        assert!(spec.series().unwrap_or(0) <= 48, "{} has too many series", spec.name);
    }
}

#[test]
fn a_series_is_found_by_its_values_and_they_by_its_place() {
    let spec = Counter::Attempts.spec();
    for place in 0..spec.series().unwrap() {
        assert_eq!(spec.place(&spec.values(place)), Some(place));
    }
    assert_eq!(spec.place(&["in", "elsewhere"]), None);
    assert_eq!(spec.place(&["in"]), None);
    assert_eq!(Gauge::Leader.spec().place(&[]), Some(0));
}

#[test]
fn grpc_codes_fall_into_classes() {
    // OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNAVAILABLE, UNAUTHENTICATED.
    for (code, class) in
        [(0, "ok"), (1, "late"), (2, "failed"), (3, "refused"), (4, "late"), (14, "failed"), (16, "refused")]
    {
        assert_eq!(rpc_code(code), class, "{code}");
    }
}

/// A count on the hot path may take a microsecond at most; it takes some tens of nanoseconds, debug builds a few hundred.
#[test]
fn counting_costs_next_to_nothing() {
    begin();
    let began = std::time::Instant::now();
    let many: u32 = 100_000;
    for _ in 0..many {
        Counter::Attempts.add(&["in", "over"]);
        Counter::MessagesFinished.add(&["in", "done"]);
    }
    let each = began.elapsed() / (2 * many);
    assert!(each < std::time::Duration::from_micros(20), "{each:?} a count, even in a debug build");
}
