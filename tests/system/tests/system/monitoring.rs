//! A real Prometheus scrapes a running cluster under load: whatever dashboards and rules ask for is there, under the labels they
//! name, and the numbers are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use claw_monitoring::dashboards::{self, Dashboard};
use claw_monitoring::query::{INTERVAL, VARIABLES, Variable};
use claw_monitoring::{root, rules};
use claw_system_tests::{Api, Cluster, client, free_port, token};
use claw_telemetry::metrics::{Counter, Gauge, Histogram, Spec, Values};
use claw_testkit::eventually;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::Row as _;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Messages that come in.
const IN: usize = 120;
/// Messages that go out.
const OUT: usize = 10;

/// A running Prometheus; killed with its handle.
struct Prometheus {
    url: String,
    client: Client,
    _process: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// That scrapes these addresses every second, and evaluates the rules as often.
    async fn start(targets: &[String]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port().await);
        let rules = root().join("deploy/prometheus/rules");
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [format!("{}/*.yaml", rules.canonicalize().unwrap().display())],
            "scrape_configs": [{"job_name": "ii-claw", "static_configs": [{"targets": targets}]}],
        });
        let path = folder.path().join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&path, config.to_string()).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus starts: `scripts/setup.sh test` installs it");
        let started = Self {
            url: format!("http://127.0.0.1:{port}"),
            client: client(),
            _process: process,
            _folder: folder,
        };
        eventually("Prometheus to be ready", Duration::from_secs(30), async || {
            let answer = started.client.get(format!("{}/-/ready", started.url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        started
    }

    async fn ask(&self, path: &str, parameter: (&str, &str)) -> Value {
        let request = self.client.get(format!("{}/api/v1/{path}", self.url)).query(&[parameter]);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{parameter:?}: {answer}");
        answer["data"].clone()
    }

    /// The series that a query answers.
    async fn query(&self, query: &str) -> Vec<Value> {
        let data = self.ask("query", ("query", query)).await;
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// The one number that a query answers.
    async fn number(&self, query: &str) -> Option<f64> {
        let answered = self.query(query).await;
        answered.first()?["value"][1].as_str()?.parse().ok()
    }

    async fn wait_for(&self, query: &str, expected: f64) {
        eventually(&format!("{query} to be {expected}"), Duration::from_secs(30), async || {
            let number = self.number(query).await?;
            ((number - expected).abs() < 1e-9).then_some(())
        })
        .await;
    }
}

/// The processes' internal addresses, as they are written down for one another.
async fn targets(cluster: &Cluster) -> Vec<String> {
    let mut database = cluster.database.connect().await;
    let rows = sqlx::query("select rpc_address from members order by name").fetch_all(&mut database).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Messages come in by a webhook and go out by it, some calls are refused.
async fn load(cluster: &Cluster, api: &Api) {
    let secret = token(16);
    let fields = json!({"secret_env": secret, "callback_url": cluster.receiver.url()});
    let channel = api.configure("ada", "hook", "webhook", fields).await;
    api.wait_for_status("ada", "hook", "running").await;
    for n in 0..IN {
        let sender = json!({"id": format!("person-{}", n % 7)});
        let body = json!({"message_id": format!("m{n}"), "sender": sender, "text": format!("question {n}")});
        assert_eq!(api.push(&channel, &secret, &body).await, Some(StatusCode::OK));
    }
    for n in 0..OUT {
        let (status, answer) = api.send("ada", "hook", "person-1", &format!("answer {n}")).await;
        assert!(status.is_success(), "{answer}");
    }
    let (status, _) = api.call("GET", "/api/users/ada/channels/none/nothing", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// Every metric, by its name.
fn specs() -> BTreeMap<&'static str, &'static Spec> {
    let counters = Counter::ALL.iter().map(|counter| counter.spec());
    let gauges = Gauge::ALL.iter().map(|gauge| gauge.spec());
    let histograms = Histogram::ALL.iter().map(|histogram| histogram.spec());
    counters.chain(gauges).chain(histograms).map(|spec| (spec.name, spec)).collect()
}

/// The selectors of series in a query: names, with the conditions behind them.
fn selectors(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in query.match_indices("claw_").chain(query.match_indices("process_")) {
        let rest = &query[at..];
        let name = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let end = match rest[name..].strip_prefix('{').and_then(|conditions| conditions.find('}')) {
            Some(end) => name + end + 2,
            None => name,
        };
        found.insert(rest[..end].to_owned());
    }
    found
}

#[test]
fn selectors_are_found_in_queries() {
    let query = "sum(rate(claw_a_total{x=\"y\"}[5m])) / ignoring (x) process_b > 1";
    assert_eq!(
        selectors(query),
        BTreeSet::from(["claw_a_total{x=\"y\"}".to_owned(), "process_b".to_owned()])
    );
}

/// A dashboard's query as Grafana asks it while all clusters are chosen.
fn of_all_clusters(query: &str) -> String {
    let query = query.replace(INTERVAL, "1m");
    VARIABLES.iter().fold(query, |query, variable| query.replace(&variable.placeholder(), Variable::ALL))
}

/// What does not answer, with the query.
async fn unanswered(prometheus: &Prometheus, queries: impl Iterator<Item = String>) -> String {
    let mut report = String::new();
    for query in queries {
        if prometheus.query(&query).await.is_empty() {
            writeln!(report, "nothing answers {query}").unwrap();
        }
    }
    report
}

/// Each series has the labels that are said of its metric, and values that are allowed.
async fn check_labels(prometheus: &Prometheus) {
    for (name, spec) in specs() {
        let pattern = format!("{{__name__=~\"{name}(_bucket|_sum|_count)?\"}}");
        let series = prometheus.ask("series", ("match[]", &pattern)).await;
        let series = series.as_array().unwrap();
        assert!(!series.is_empty(), "nobody exposes {name}");
        for one in series {
            let labels: BTreeMap<&str, &str> = one
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            let own: BTreeSet<&str> =
                labels.keys().copied().filter(|name| !is_prometheus_own(name)).collect();
            assert_eq!(own, spec.labels.iter().map(|label| label.name).collect(), "{one}");
            for label in spec.labels {
                if let Values::Fixed(known) = label.values {
                    assert!(known.contains(&labels[label.name]), "{one}");
                }
            }
            assert!(!one.to_string().contains("ada"), "a user in a label: {one}");
        }
    }
}

fn is_prometheus_own(label: &str) -> bool {
    matches!(label, "__name__" | "instance" | "job" | "le")
}

/// Prometheus could evaluate every rule.
async fn check_rules(prometheus: &Prometheus) {
    let data = prometheus.ask("rules", ("type", "")).await;
    let groups = data["groups"].as_array().unwrap();
    let evaluated: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let expected: usize = rules::all().iter().map(|group| group.alerts.len() + group.records.len()).sum();
    assert_eq!(evaluated.len(), expected);
    for rule in evaluated {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_ne!(rule["state"], "firing", "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dashboards_and_rules_ask_for_is_there() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let (_one, _two) = (cluster.worker("one", &api.base).await, cluster.worker("two", &api.base).await);
    let (mut scheduler, _) = cluster.scheduler("clock").await;
    scheduler.wait_for_line("elected: leading term 1").await;
    // It stands by, and knows no numbers of the cluster.
    let (_spare, _) = cluster.scheduler("spare").await;
    let targets = eventually("five members", Duration::from_secs(20), async || {
        let targets = targets(&cluster).await;
        (targets.len() == 5).then_some(targets)
    })
    .await;
    let prometheus = Prometheus::start(&targets).await;
    prometheus.wait_for("count(up == 1)", 5.0).await;
    load(&cluster, &api).await;

    let (all, some) = (f64::from(u32::try_from(IN + OUT).unwrap()), f64::from(u32::try_from(IN).unwrap()));
    prometheus.wait_for("sum(claw_accepts_total{outcome=\"new\"})", all).await;
    prometheus.wait_for("sum(claw_messages_finished_total{direction=\"in\", state=\"done\"})", some).await;
    prometheus.wait_for("sum(claw_delivery_latency_seconds_count{direction=\"in\"})", some).await;
    prometheus.wait_for("sum(claw_leader)", 1.0).await;
    prometheus.wait_for("max(claw_cluster_shards)", 256.0).await;
    prometheus.wait_for("max(claw_cluster_shards_unattended)", 0.0).await;
    prometheus.wait_for("sum(claw_shards_owned)", 256.0).await;
    prometheus.wait_for("max(claw_cluster_members{role=\"worker\"})", 2.0).await;
    prometheus.wait_for("sum(claw_channels{platform=\"webhook\", state=\"running\"})", 1.0).await;
    // What was there at one scrape and the next one: then it has a rate.
    prometheus.wait_for("min(count_over_time(up[30s]) > bool 10)", 1.0).await;

    let drawn = dashboards::all();
    let drawn = drawn.iter().flat_map(Dashboard::queries).map(of_all_clusters);
    let mut report = unanswered(&prometheus, drawn).await;
    for group in rules::all() {
        let recorded = group.records.iter().map(|record| record.name.clone());
        report += &unanswered(&prometheus, recorded).await;
        for alert in &group.alerts {
            report += &unanswered(&prometheus, selectors(&alert.query).into_iter()).await;
        }
    }
    assert_eq!(report, "", "{report}");
    check_labels(&prometheus).await;
    check_rules(&prometheus).await;
}
