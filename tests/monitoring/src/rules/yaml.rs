//! Rules and their tests as Prometheus and promtool read them. Every text is in JSON's quotes, which are YAML's, too.

use std::fmt::Write as _;

use super::{Alert, Case, Group};
use crate::query::CLUSTER;

const HEADER: &str = "# Written by `make monitoring`; what it says stands in tests/monitoring/src/rules.\n";
/// The alert's namespace and job, as far as it has them (<https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>).
const WHICH_CLUSTER: &str =
    "{{ with $labels.job }} ({{ with $labels.namespace }}{{ . }}/{{ end }}{{ . }}){{ end }}";

/// The file of a group's rules (<https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>).
pub(super) fn rules(group: &Group) -> String {
    let mut text = format!("{HEADER}groups:\n  - name: ii-claw-{}\n    rules:\n", group.name);
    for record in &group.records {
        line(&mut text, 6, &format!("- record: {}", record.name));
        line(&mut text, 8, &format!("expr: {}", quoted(&record.query)));
    }
    for alert in &group.alerts {
        line(&mut text, 6, &format!("- alert: {}", alert.name));
        line(&mut text, 8, &format!("expr: {}", quoted(&alert.query)));
        line(&mut text, 8, &format!("for: {}", alert.after));
        line(&mut text, 8, &format!("labels: {{severity: {}}}", alert.severity.as_str()));
        line(&mut text, 8, "annotations:");
        annotations(&mut text, 10, alert, WHICH_CLUSTER);
    }
    text
}

/// The file of its tests (<https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>).
pub(super) fn tests(group: &Group) -> String {
    let mut text =
        format!("{HEADER}rule_files: [../rules/{}.yaml]\nevaluation_interval: 1m\ntests:\n", group.name);
    for alert in &group.alerts {
        for (what, of) in alert.cases() {
            case(&mut text, alert, what, &of);
        }
    }
    text
}

fn case(text: &mut String, alert: &Alert, what: &str, case: &Case) {
    line(text, 2, &format!("- name: {} {what}", alert.name));
    line(text, 4, "interval: 1m");
    line(text, 4, "input_series:");
    for (series, values) in case.series() {
        line(text, 6, &format!("- series: {}", quoted(&series)));
        line(text, 8, &format!("values: {}", quoted(values)));
    }
    line(text, 4, "alert_rule_test:");
    line(text, 6, &format!("- eval_time: {}", case.at));
    line(text, 8, &format!("alertname: {}", alert.name));
    if case.alerts.is_empty() {
        line(text, 8, "exp_alerts: []");
        return;
    }
    line(text, 8, "exp_alerts:");
    for labels in &case.alerts {
        let written = labels.iter().map(|(name, value)| format!("{name}: {value}"));
        let written: Vec<String> =
            [format!("severity: {}", alert.severity.as_str())].into_iter().chain(written).collect();
        line(text, 10, &format!("- exp_labels: {{{}}}", written.join(", ")));
        line(text, 12, "exp_annotations:");
        annotations(text, 14, alert, &cluster_of(labels));
    }
}

/// What [`WHICH_CLUSTER`] comes to for an alert with these labels.
fn cluster_of(labels: &[(&str, &str)]) -> String {
    let value = |name: &str| labels.iter().find(|(label, _)| *label == name).map(|(_, value)| *value);
    let [namespace, job] = CLUSTER.map(value);
    let Some(job) = job else { return String::new() };
    let parts: Vec<&str> = namespace.into_iter().chain([job]).collect();
    format!(" ({})", parts.join("/"))
}

/// `cluster` is said behind the summary.
fn annotations(text: &mut String, indent: usize, alert: &Alert, cluster: &str) {
    line(text, indent, &format!("summary: {}", quoted(&format!("{}{cluster}", alert.summary))));
    line(text, indent, &format!("description: {}", quoted(alert.effect)));
    line(text, indent, &format!("runbook_url: {}", quoted(&alert.page())));
}

fn line(text: &mut String, indent: usize, what: &str) {
    // Writing to a string does not fail.
    let _ok = writeln!(text, "{:indent$}{what}", "");
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
