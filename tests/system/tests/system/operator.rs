//! What an operator sees of a cluster of real processes, and what it does when it is told to.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::{Claw, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn look(api: &Api) -> Value {
    let (status, cluster) = api.call("GET", "/api/cluster?shards=true", None).await;
    assert_eq!(status, StatusCode::OK, "{cluster}");
    cluster
}

fn member<'a>(cluster: &'a Value, name: &str) -> Option<&'a Value> {
    cluster["members"].as_array().unwrap().iter().find(|member| member["name"] == name)
}

async fn wait_until(api: &Api, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, Duration::from_secs(30), async || {
        let cluster = look(api).await;
        holds(&cluster).then_some(cluster)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_of_every_role_and_channel() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let secret = json!({"secret_env": "0123456789abcdef"});
    api.configure("ada", "works", "webhook", secret.clone()).await;
    let broken = api.configure("ada", "broken", "webhook", secret).await;
    // As if another master key had sealed its secret.
    let mut database = cluster.database.connect().await;
    let other = "update channels set secrets_key = 'another' where id = $1::text::uuid";
    sqlx::query(other).bind(broken).execute(&mut database).await.unwrap();
    let _one = cluster.worker("one", &api.base).await;
    let (mut clock, _) = cluster.scheduler("clock").await;
    clock.wait_for_line("elected").await;
    let seen = wait_until(&api, "one channel to run and one to have failed", |seen| {
        seen["adapters"] == json!({"running": 1, "failed": 1, "unknown_workers": []})
            && seen["leader"]["name"] == "clock"
            && seen["shards"]["owned"] == 256
    })
    .await;
    let worker = member(&seen, "one").unwrap();
    assert_eq!((&worker["shards"], &worker["channels"]), (&json!(256), &json!(2)), "{worker}");
    assert!(
        seen["shards"]["claims"].as_array().unwrap().iter().all(|c| c["owner"] == "one" && c["epoch"] == 1)
    );
    assert!(seen["members"].as_array().unwrap().iter().all(|m| m["unreachable"].is_null()), "{seen}");

    let text = cluster.command(&api, &["status"], 0).await;
    assert!(
        text.contains("leader    clock, term 1") && text.contains("adapters  1 running, 1 failed"),
        "{text}"
    );
    assert!(text.contains("256 owned, 0 unowned of 256"), "{text}");
    let shown = cluster.command(&api, &["status", "--json"], 0).await;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["shards"]["count"], 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_steps_down_and_another_one_leads() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let (mut first, _) = cluster.scheduler("first").await;
    first.wait_for_line("elected: leading term 1").await;
    let (mut second, _) = cluster.scheduler("second").await;
    let said = cluster.command(&api, &["scheduler", "step-down"], 0).await;
    assert!(said.contains("first resigned, term 1 is over"), "{said}");
    second.wait_for_line("elected: leading term 2").await;
    wait_until(&api, "the second to lead", |seen| seen["leader"]["name"] == "second").await;
    // The one that has resigned is still there to take over.
    second.kill().await;
    first.wait_for_line("elected: leading term 3").await;
    let audit = api.call("GET", "/api/audit?action=scheduler.stepped_down", None).await.1;
    assert_eq!(audit["entries"][0]["subject"], "first", "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_tells_what_changes() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut watch = cluster.start(&["cluster", "watch"], &[("II_CLAW_URL", &api.base)]);
    watch.wait_for_line("nobody leads").await;
    let _one = cluster.worker("one", &api.base).await;
    watch.wait_for_line("worker one joined").await;
    watch.wait_for_line("256 owned, 0 unowned of 256").await;
    watch.signal("INT").await;
    assert_eq!(watch.wait().await, Some(0), "{}", watch.output());
    assert!(!watch.output().contains('\u{1b}'), "no terminal, no escapes");
    let shown = cluster.command(&api, &["cluster", "watch", "--rounds", "2", "--json"], 0).await;
    let looks: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(looks.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_of_one_name_are_not_both_let_in() {
    let cluster = Cluster::prepare().await;
    let start = || -> Claw {
        let more = [
            ("II_CLAW_LISTEN", "127.0.0.1:0"),
            ("II_CLAW_RPC_LISTEN", "127.0.0.1:0"),
            ("II_CLAW_NAME", "same"),
        ];
        cluster.start(&["gateway"], &more)
    };
    let mut one = start();
    one.wait_for_line("the gateway listens on").await;
    let mut other = start();
    assert_eq!(other.wait().await, Some(1));
    assert!(other.all_output().await.contains("give this one another II_CLAW_NAME"), "{}", other.output());
    // A crash leaves the name behind, and the next process waits for it.
    one.kill().await;
    let mut next = start();
    let line = next.wait_for_line("the gateway listens on").await;
    let api = Api::new(&format!("http://{}", claw_system_tests::address_in(&line)));
    assert_eq!(look(&api).await["members"].as_array().unwrap().len(), 1);
    next.signal("TERM").await;
    assert_eq!(next.wait().await, Some(0));
    let mut database = cluster.database.connect().await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from members").fetch_one(&mut database).await.unwrap();
    assert_eq!(left, 0, "who leaves takes its row along");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_owns_nothing_until_it_is_told_otherwise() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut one = cluster.worker("one", &api.base).await;
    let _two = cluster.worker("two", &api.base).await;
    api.configure("ada", "hook", "webhook", json!({"secret_env": "0123456789abcdef"})).await;
    let shards = |seen: &Value, name: &str| member(seen, name).and_then(|m| m["shards"].as_u64());
    let both = |seen: &Value| shards(seen, "one") > Some(90) && shards(seen, "two") > Some(90);
    wait_until(&api, "both to have their share", both).await;

    let said = cluster.command(&api, &["worker", "drain", "one"], 0).await;
    assert!(said.starts_with("one hands its "), "{said}");
    let seen = wait_until(&api, "the other one to own all", |seen| {
        (shards(seen, "one"), shards(seen, "two")) == (Some(0), Some(256))
    })
    .await;
    let drained = member(&seen, "one").unwrap();
    assert_eq!((&drained["live"], &drained["draining"]), (&json!(true), &json!(true)), "{drained}");
    api.wait_for_status("ada", "hook", "running").await;

    cluster.command(&api, &["worker", "drain", "one", "--undo"], 0).await;
    wait_until(&api, "both to have their share again", both).await;
    let said = cluster.command(&api, &["worker", "drain", "three"], 1).await;
    assert!(said.contains("no live worker has this name"), "{said}");
    let audit = api.call("GET", "/api/audit?action=worker.drained", None).await.1;
    assert_eq!(audit["entries"][0]["subject"], "one", "{audit}");
    one.signal("TERM").await;
    assert_eq!(one.wait().await, Some(0), "{}", one.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_erases_whom_it_names_twice() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    api.configure("ada", "hook", "webhook", json!({"secret_env": "0123456789abcdef"})).await;
    let run = async |args: &[&str], code: i32| cluster.command(&api, args, code).await;
    assert!(run(&["users", "erase", "ada"], 2).await.contains("--confirm"));
    let refused = run(&["users", "erase", "ada", "--confirm", "bob"], 1).await;
    assert!(refused.contains("?confirm=ada"), "{refused}");
    let begun = run(&["users", "erase", "ada", "--confirm", "ada"], 0).await;
    assert!(begun.starts_with("under way"), "{begun}");
    eventually("the erasure to be complete", Duration::from_secs(90), async || {
        let now = run(&["users", "erasure", "ada"], 0).await;
        (now.starts_with("complete") && now.contains("1 channels")).then_some(())
    })
    .await;
}
