//! The committed files are what the code says, every alert has its page, and every page its alert.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;

use claw_monitoring::dashboards::{self, Dashboard};
use claw_monitoring::{files, root, rules};
use claw_telemetry::metrics::{Counter, Gauge, Histogram};

/// With `II_CLAW_MONITORING_UPDATE` set they are written instead.
#[test]
fn the_committed_files_are_what_the_code_says() {
    let write = std::env::var_os("II_CLAW_MONITORING_UPDATE").is_some();
    for file in files() {
        let path = root().join(&file.path);
        if write {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.content).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == file.content, "{} is not what the code says: run `make monitoring`", file.path);
    }
}

/// Nothing is left of what the code does not say any more.
#[test]
fn there_are_no_other_files() {
    let made: BTreeSet<String> = files().into_iter().map(|file| file.path).collect();
    for folder in ["deploy/grafana", "deploy/prometheus/rules", "deploy/prometheus/tests"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(made.contains(&path), "nothing writes {path}");
        }
    }
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let alerts: Vec<_> = rules::all().into_iter().flat_map(|group| group.alerts).collect();
    let mut names: BTreeSet<String> = alerts.iter().map(|alert| format!("{}.md", alert.name)).collect();
    assert_eq!(names.len(), alerts.len(), "two alerts have one name");
    for alert in &alerts {
        let page = fs::read_to_string(root().join("docs/runbooks").join(format!("{}.md", alert.name)));
        let page = page.unwrap_or_else(|_| panic!("{} has no page in docs/runbooks", alert.name));
        assert!(page.starts_with(&format!("# {}\n", alert.name)), "{}", alert.name);
        for part in ["## What people feel", "## What to look at", "## What to do"] {
            assert!(page.contains(part), "the page of {} lacks {part:?}", alert.name);
        }
    }
    names.insert("README.md".to_owned());
    let pages = fs::read_dir(root().join("docs/runbooks")).unwrap();
    let pages: BTreeSet<String> =
        pages.map(|page| page.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    assert_eq!(pages, names);
    let list = fs::read_to_string(root().join("docs/runbooks/README.md")).unwrap();
    for name in names.iter().filter(|name| *name != "README.md") {
        assert!(list.contains(&format!("]({name})")), "README.md does not list {name}");
    }
}

/// For each alert promtool tries a case in which it fires and one in which it stays quiet.
#[test]
fn every_alert_has_both_cases() {
    for group in rules::all() {
        let path = root().join(format!("deploy/prometheus/tests/{}.yaml", group.name));
        let tests = fs::read_to_string(path).unwrap();
        for alert in &group.alerts {
            for what in ["fires", "stays quiet"] {
                let case = format!("- name: {} {what}\n", alert.name);
                assert_eq!(tests.matches(&case).count(), 1, "{case}");
            }
            assert!(!alert.fires.series.is_empty() && !alert.quiet.series.is_empty(), "{}", alert.name);
        }
    }
}

/// What nobody looks at need not be counted.
#[test]
fn every_metric_is_on_a_dashboard() {
    let queries: String =
        dashboards::all().iter().flat_map(Dashboard::queries).collect::<Vec<_>>().join("\n");
    let counters = Counter::ALL.iter().map(|counter| counter.name());
    let gauges = Gauge::ALL.iter().map(|gauge| gauge.name());
    for name in counters.chain(gauges).chain(Histogram::ALL.iter().map(|histogram| histogram.name())) {
        assert!(queries.contains(name), "{name} is on no dashboard");
    }
}
