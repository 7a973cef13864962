//! The committed files are what the code says, every alert has its page, and every page its alert.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;

use claw_monitoring::dashboards::{self, Dashboard};
use claw_monitoring::query::VARIABLES;
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

/// For each alert promtool tries cases in which it fires and in which it stays quiet, with one cluster and with several.
#[test]
fn every_alert_has_its_cases() {
    for group in rules::all() {
        let path = root().join(format!("deploy/prometheus/tests/{}.yaml", group.name));
        let tests = fs::read_to_string(path).unwrap();
        for alert in &group.alerts {
            for what in
                ["fires", "stays quiet", "fires for one of three clusters", "stays quiet with three clusters"]
            {
                let case = format!("- name: {} {what}\n", alert.name);
                assert_eq!(tests.matches(&case).count(), 1, "{case}");
            }
            let (fires, quiet) = (&alert.fires, &alert.quiet);
            assert!(fires.series().next().is_some() && quiet.series().next().is_some(), "{}", alert.name);
            assert!(!fires.alerts.is_empty() && quiet.alerts.is_empty(), "{}", alert.name);
            assert_eq!(fires.at, quiet.at, "both are looked at together: {}", alert.name);
        }
    }
}

/// In a sum over clusters a small one that is dead would not show, and two that are well would look like one with two leaders.
#[test]
fn every_rule_is_of_each_cluster() {
    for group in rules::all() {
        let records = group.records.iter().map(|record| (&*record.name, &record.query));
        for (name, query) in records.chain(group.alerts.iter().map(|alert| (alert.name, &alert.query))) {
            for rest in ["sum", "max", "min", "count"].into_iter().flat_map(|how| behind(query, how)) {
                let by_cluster = [" by (namespace, job", " by (le, namespace, job"];
                assert!(by_cluster.iter().any(|by| rest.starts_with(by)), "{name} mixes clusters: {query}");
            }
        }
    }
}

/// What stands behind each occurrence of a word.
fn behind<'a>(query: &'a str, word: &str) -> Vec<&'a str> {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let sides = query.match_indices(word).map(|(at, _)| (&query[..at], &query[at + word.len()..]));
    let whole = sides.filter(|(before, rest)| !before.ends_with(of_a_word) && !rest.starts_with(of_a_word));
    whole.map(|(_, rest)| rest).collect()
}

#[test]
fn words_are_found_in_queries() {
    assert_eq!(behind("clamp_min(min by (x) (a), 1)", "min"), [" by (x) (a), 1)"]);
}

/// Nothing on a dashboard is of clusters that its reader did not choose, nor of other programs.
#[test]
fn every_query_of_a_dashboard_is_of_the_chosen_clusters() {
    let chosen: Vec<String> =
        VARIABLES.iter().map(|of| format!("{}=~\"{}\"", of.name, of.placeholder())).collect();
    let chosen = format!("{{{}", chosen.join(", "));
    for dashboard in dashboards::all() {
        for query in dashboard.queries() {
            let names = ["claw_", "claw:", "process_"].into_iter().flat_map(|name| query.match_indices(name));
            let mut found = 0;
            for (at, _) in names {
                let conditions =
                    query[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_:".contains(c));
                assert!(conditions.starts_with(&chosen), "{}: {query}", dashboard.name);
                found += 1;
            }
            assert!(found > 0, "{}: {query}", dashboard.name);
            if query.contains("process_") {
                assert!(query.contains("and on (instance) claw_build_info"), "{}: {query}", dashboard.name);
            }
        }
    }
}

/// What nobody looks at need not be counted, nor be asked in advance.
#[test]
fn every_metric_is_on_a_dashboard() {
    let queries: String =
        dashboards::all().iter().flat_map(Dashboard::queries).collect::<Vec<_>>().join("\n");
    let counters = Counter::ALL.iter().map(|counter| counter.name());
    let gauges = Gauge::ALL.iter().map(|gauge| gauge.name());
    for name in counters.chain(gauges).chain(Histogram::ALL.iter().map(|histogram| histogram.name())) {
        assert!(queries.contains(name), "{name} is on no dashboard");
    }
    for record in rules::all().iter().flat_map(|group| &group.records) {
        assert!(queries.contains(&format!("{}{{", record.name)), "{} is on no dashboard", record.name);
    }
}

/// Else what is left of a budget would be of a shorter time than the panel says.
#[test]
fn prometheus_keeps_what_budgets_are_reckoned_of() {
    let compose = fs::read_to_string(root().join("deploy/compose.yaml")).unwrap();
    let (_, kept) = compose.split_once("--storage.tsdb.retention.time=").unwrap();
    let days: u32 = kept.split_once('d').unwrap().0.parse().unwrap();
    assert!(days > dashboards::BUDGET_DAYS, "it keeps {days} days");
}
