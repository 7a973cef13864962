//! Another master key without downtime: processes are given it one by one, under load, everything is sealed anew, and the key of
//! before is taken away.

use std::time::Duration;

use claw_secrets::MasterKey;
use claw_system_tests::{Api, Cluster};
use claw_testkit::{Claw, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::job_webhooks::{create, is_genuine, job};
use crate::traffic::{Load, answered_by_the_owner, end, wait_for_owners};

const OLD: &str = "b2xkIG1hc3RlciBrZXkgb2YgMzIgYnl0ZXMhISEhISE=";
const NEW: &str = "bmV3IG1hc3RlciBrZXkgb2YgMzIgYnl0ZXMhISEhISE=";
/// The list that all roles have before, while and after they switch.
const BOTH: &str =
    "b2xkIG1hc3RlciBrZXkgb2YgMzIgYnl0ZXMhISEhISE=,bmV3IG1hc3RlciBrZXkgb2YgMzIgYnl0ZXMhISEhISE=";

fn id(key: &str) -> String {
    MasterKey::from_base64(key).unwrap().id()
}

fn with_keys(cluster: Cluster, current: &str, others: Option<&str>) -> Cluster {
    let cluster = cluster.with("II_CLAW_MASTER_KEY", current);
    match others {
        Some(others) => cluster.with("II_CLAW_OTHER_MASTER_KEYS", others),
        None => cluster.without("II_CLAW_OTHER_MASTER_KEYS"),
    }
}

/// Two gateways, two workers and a scheduler.
struct Nodes {
    gateways: Vec<(Claw, Api)>,
    workers: Vec<(String, Claw)>,
    scheduler: Claw,
}

impl Nodes {
    async fn start(cluster: &Cluster) -> Self {
        let gateways = vec![cluster.gateway().await, cluster.gateway().await];
        let url = gateways[0].1.base.clone();
        let mut workers = Vec::new();
        for name in ["first-a", "first-b"] {
            workers.push((name.to_owned(), cluster.worker(name, &url).await));
        }
        let (mut scheduler, _) = cluster.scheduler("first-clock").await;
        scheduler.wait_for_line("elected").await;
        let nodes = Self { gateways, workers, scheduler };
        wait_for_owners(cluster, &nodes.names()).await;
        nodes
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.workers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Replaces one process after another by one with the cluster's present settings.
    async fn roll(&mut self, cluster: &Cluster, load: &Load, step: &str) {
        for n in 0..self.gateways.len() {
            let new = cluster.gateway().await;
            let (old, api) = std::mem::replace(&mut self.gateways[n], new);
            let mut used = load.gateways.lock().unwrap().clone();
            used.retain(|one| one.base != api.base);
            used.push(self.gateways[n].1.clone());
            *load.gateways.lock().unwrap() = used;
            load.goes_on().await;
            end(old).await;
            self.all_is_well(cluster).await;
        }
        for n in 0..self.workers.len() {
            let name = format!("{step}-{}", ["a", "b"][n]);
            let worker = cluster.worker(&name, &self.gateways[0].1.base).await;
            let (_, old) = std::mem::replace(&mut self.workers[n], (name, worker));
            end(old).await;
            wait_for_owners(cluster, &self.names()).await;
            self.all_is_well(cluster).await;
        }
        let (mut scheduler, _) = cluster.scheduler(&format!("{step}-clock")).await;
        std::mem::swap(&mut self.scheduler, &mut scheduler);
        end(scheduler).await;
        self.scheduler.wait_for_line("elected").await;
        self.all_is_well(cluster).await;
    }

    /// Every gateway reaches every other role, and sends by it.
    async fn all_is_well(&self, cluster: &Cluster) {
        for (_, api) in &self.gateways {
            let (status, seen) = api.call("GET", "/api/cluster", None).await;
            assert_eq!(status, StatusCode::OK, "{seen}");
            let members = seen["members"].as_array().unwrap().iter();
            let unreachable: Vec<_> =
                members.filter(|one| one["live"] == true && !one["unreachable"].is_null()).collect();
            assert!(unreachable.is_empty(), "{unreachable:?}");
            for (worker, _) in &self.workers {
                answered_by_the_owner(cluster, api, worker).await;
            }
        }
    }
}

/// What the doctor says of the secrets.
async fn diagnosis(cluster: &Cluster) -> String {
    let mut doctor = cluster.start(&["doctor"], &[]);
    doctor.wait().await;
    let output = doctor.all_output().await;
    output.lines().find(|line| line.contains(" secrets: ")).unwrap_or_else(|| panic!("{output}")).to_owned()
}

/// Whether the next webhook of a job is signed with the secrets of the old key and of the new one.
async fn signed_by(hers: &Receiver) -> (bool, bool) {
    let came = hers.wait_for(hers.deliveries().len() + 1).await;
    let by = |key: &str| {
        let secret = MasterKey::from_base64(key).unwrap().webhook_secret("ada");
        is_genuine(came.last().unwrap(), &secret)
    };
    (by(OLD), by(NEW))
}

/// Runs `ii-claw reseal`; answers its code and what it printed.
async fn reseal(cluster: &Cluster, args: &[&str]) -> (Option<i32>, String) {
    let mut command = cluster.start(&[&["reseal"], args].concat(), &[]);
    let code = command.wait().await;
    (code, command.all_output().await)
}

async fn under(cluster: &Cluster, key: &str) -> i64 {
    let sql = "select (select count(*) from channels where secrets_key = $1)
             + (select count(*) from hooks where secret_key = $1)";
    let mut database = cluster.database.connect().await;
    sqlx::query_scalar(sql).bind(id(key)).fetch_one(&mut database).await.unwrap()
}

/// The middle one of the channels can't be written, so that a re-sealing stands still there, and is killed.
async fn kill_in_the_middle(cluster: &Cluster, all: i64) {
    let mut database = cluster.database.connect().await;
    let lock = "begin; select 1 from channels where id = (select id from channels order by id offset 4 limit 1) for update";
    sqlx::raw_sql(lock).execute(&mut database).await.unwrap();
    let mut command = cluster.start(&["reseal", "--batch", "1"], &[]);
    eventually("four to be sealed anew", Duration::from_secs(30), async || {
        (under(cluster, OLD).await == all - 4).then_some(())
    })
    .await;
    command.kill().await;
    sqlx::raw_sql("rollback").execute(&mut database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_replaced_under_load_and_nobody_notices() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let mut cluster = with_keys(cluster, OLD, None);
    let mut nodes = Nodes::start(&cluster).await;
    let api = nodes.gateways[0].1.clone();
    let (load, loading) = Load::start(&api).await;
    let hook = json!({"name": "git-hub", "secret": "secret-of-the-hook"});
    let (status, made) = api.call("POST", "/api/users/ada/hooks", Some(hook)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let hers = Receiver::start().await;
    create(&api, job(&hers.url(), &json!({}))).await;
    assert_eq!(signed_by(&hers).await, (true, false));
    let all = under(&cluster, OLD).await;
    assert_eq!(all, 9);
    nodes.all_is_well(&cluster).await;

    cluster = with_keys(cluster, OLD, Some(BOTH));
    nodes.roll(&cluster, &load, "known").await;
    assert_eq!(under(&cluster, OLD).await, all, "the new one is only known");
    assert_eq!(
        diagnosis(&cluster).await,
        format!("ok    secrets: 8 channels, 1 hooks under master key {}", id(OLD))
    );

    cluster = with_keys(cluster, NEW, Some(BOTH));
    nodes.roll(&cluster, &load, "moved").await;
    assert_eq!(signed_by(&hers).await, (true, true));
    let said = diagnosis(&cluster).await;
    assert!(
        said.starts_with("warn  ") && said.contains(&id(OLD)) && said.contains("ii-claw reseal"),
        "{said}"
    );

    let (code, said) = reseal(&cluster, &["--dry-run"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("9 secrets can be sealed anew") && under(&cluster, OLD).await == all, "{said}");
    kill_in_the_middle(&cluster, all).await;
    let (code, said) = reseal(&cluster, &["--json", "--log", "error"]).await;
    assert_eq!(code, Some(0), "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    // The server may have gone on with the statement that nobody waited for.
    let done = said["resealed"].as_i64().unwrap();
    assert!((4..=5).contains(&done), "{said}");
    assert_eq!((&said["left"], &said["master_key"]), (&json!({}), &json!(id(NEW))));
    assert_eq!((under(&cluster, OLD).await, under(&cluster, NEW).await), (0, all));
    nodes.all_is_well(&cluster).await;

    cluster = with_keys(cluster, NEW, None);
    nodes.roll(&cluster, &load, "alone").await;
    assert!(diagnosis(&cluster).await.starts_with("ok    secrets: 8 channels, 1 hooks"));
    assert_eq!(signed_by(&hers).await, (false, true));
    load.finish(loading, &cluster.receiver).await;
    let Nodes { gateways, workers, scheduler } = nodes;
    let gateways = gateways.into_iter().map(|(gateway, _)| gateway);
    for process in gateways.chain(workers.into_iter().map(|(_, worker)| worker)).chain([scheduler]) {
        assert!(!process.output().contains("does not know"), "{}", process.output());
        end(process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_under_an_unknown_key_is_named_with_what_to_do() {
    let cluster = with_keys(Cluster::prepare().await, OLD, None);
    let (gateway, api) = cluster.gateway().await;
    api.configure("ada", "one", "webhook", json!({"secret_env": "0123456789abcdef"})).await;
    end(gateway).await;

    let cluster = with_keys(cluster, NEW, None);
    let (mut gateway, _) = cluster.gateway().await;
    let said = gateway.wait_for_line("the secrets of 1 channels").await;
    assert!(said.contains(&id(OLD)) && said.contains("II_CLAW_OTHER_MASTER_KEYS"), "{said}");
    end(gateway).await;
    let said = diagnosis(&cluster).await;
    for part in ["FAIL  ", &id(OLD), "ada/one (webhook)", "II_CLAW_OTHER_MASTER_KEYS"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    for args in [["--dry-run"].as_slice(), &[]] {
        let (code, said) = reseal(&cluster, args).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("under master key {}, which is not among", id(OLD))), "{said}");
    }
    // With the key, nothing is lost.
    let cluster = with_keys(cluster, NEW, Some(OLD));
    let (code, said) = reseal(&cluster, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(under(&cluster, NEW).await, 1);
}
