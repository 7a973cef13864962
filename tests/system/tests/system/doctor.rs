//! What `ii-claw doctor` says of a cluster of real processes, with which code it ends, and what it repairs.

use claw_system_tests::{API_KEY, Api, Cluster};
use claw_testkit::{Claw, nats_url};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Runs it to its end without lines of the log; answers its code and what it printed.
async fn doctor(cluster: &Cluster, args: &[&str], more: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut quiet = vec![("II_CLAW_LOG", "error")];
    quiet.extend_from_slice(more);
    let mut doctor = cluster.start(&[&["doctor"], args].concat(), &quiet);
    let code = doctor.wait().await;
    let output = doctor.all_output().await;
    assert!(!output.contains(API_KEY), "{output}");
    (code, output)
}

fn says(output: &str, line: &str) {
    assert!(output.lines().any(|found| found.starts_with(line)), "no {line:?} in:\n{output}");
}

/// A gateway, a worker and a scheduler that leads.
async fn complete(cluster: &Cluster) -> (Api, [Claw; 3]) {
    let (gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    worker.wait_for_line("holding 256").await;
    let (mut scheduler, _) = cluster.scheduler("clock").await;
    scheduler.wait_for_line("elected: leading term 1").await;
    (api, [gateway, worker, scheduler])
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_members_platforms_and_the_public_address() {
    let cluster = Cluster::prepare().await;
    let (api, [_gateway, one, _clock]) = complete(&cluster).await;
    assert!(one.output().contains(" role=worker member=one "), "{}", one.output());
    api.configure("ada", "works", "webhook", json!({"secret_env": "0123456789abcdef"})).await;
    // Where nobody listens.
    let fields = json!({"secret_env": "0123456789abcdef", "callback_url": "http://127.0.0.1:1/"});
    let body = json!({"channel_type": "webhook", "fields": fields, "probe": false});
    let (status, answer) = api.call("POST", "/api/users/ada/channels/away/configure", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    for slug in ["works", "away"] {
        api.wait_for_status("ada", slug, "running").await;
    }

    let public = [("II_CLAW_PUBLIC_URL", api.base.as_str())];
    let (code, output) = doctor(&cluster, &[], &public).await;
    assert_eq!(code, Some(0), "{output}");
    says(&output, "ok    members: alive are 1 gateway, 1 worker, 1 scheduler, all of version ");
    says(&output, &format!("ok    public URL: {}/api/health leads to this cluster", api.base));
    says(&output, "ok    channels: 2 are switched on, none of them in trouble");
    says(&output, "warn  platforms: 1 of 2 channels that were asked do not work: ada/away (webhook): ");
    let (code, output) = doctor(&cluster, &["--strict"], &public).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(" checks warn"), "{output}");

    let (code, output) = doctor(&cluster, &["--channel", "ada/works"], &[]).await;
    assert_eq!(code, Some(0), "{output}");
    says(&output, "ok    platforms: of 1 channels that were asked, all work");
    says(&output, "ok    public URL: II_CLAW_PUBLIC_URL is not set");
    let (code, output) = doctor(&cluster, &["--probe", "0", "--json"], &public).await;
    assert_eq!(code, Some(0), "{output}");
    let checks: Value = serde_json::from_str(&output).unwrap();
    let platforms = checks["checks"].as_array().unwrap().iter().find(|check| check["check"] == "platforms");
    assert_eq!(platforms.unwrap()["result"], "ok", "{output}");
    assert!(output.contains("none was asked"), "{output}");
    let (code, output) = doctor(&cluster, &["--channel", "ada/nobody"], &[]).await;
    assert_eq!(code, Some(1), "{output}");
    says(&output, "FAIL  platforms: ada has no channel \"nobody\"");
    let (code, output) = doctor(&cluster, &["--channel", "nobody"], &[]).await;
    assert_eq!(code, Some(2), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_another_cluster_and_who_is_missing() {
    let (cluster, other) = (Cluster::prepare().await, Cluster::prepare().await);
    let (_theirs, address) = other.gateway().await;
    let (code, output) = doctor(&cluster, &[], &[("II_CLAW_PUBLIC_URL", &address.base)]).await;
    assert_eq!(code, Some(1), "{output}");
    says(&output, &format!("FAIL  public URL: {}/api/health is answered by another cluster", address.base));
    says(&output, "FAIL  members: no gateway is alive: start one with `ii-claw gateway`; no worker is alive");

    let (_api, [mut gateway, _one, _clock]) = complete(&cluster).await;
    let (code, output) = doctor(&cluster, &[], &[]).await;
    assert_eq!(code, Some(0), "{output}");
    // It leaves the list as it ends.
    gateway.signal("TERM").await;
    assert_eq!(gateway.wait().await, Some(0), "{}", gateway.output());
    let (code, output) = doctor(&cluster, &[], &[]).await;
    assert_eq!(code, Some(1), "{output}");
    says(&output, "FAIL  members: no gateway is alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_repairs_a_schema_that_is_behind_when_it_is_told_to() {
    let cluster = Cluster::empty(&nats_url()).await;
    let (code, output) = doctor(&cluster, &[], &[]).await;
    assert_eq!(code, Some(1), "{output}");
    says(&output, "FAIL  database: the schema does not fit this binary");
    let (_, output) = doctor(&cluster, &["--fix"], &[]).await;
    says(&output, "ok    database: schema is right (brought up to date just now), 256 shards");
    let (code, output) = doctor(&cluster, &[], &[]).await;
    says(&output, "ok    database: schema is right, 256 shards");
    // Nobody runs yet.
    assert_eq!(code, Some(1), "{output}");
    says(&output, "FAIL  workers: 256 of 256 shards have no live worker");
}
