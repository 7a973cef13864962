//! Another number of shards between two lives of a cluster, with messages that wait.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::eventually;
use reqwest::StatusCode;
use serde_json::json;

/// Configures a channel for each user and has a message accepted in each; nobody is there to deliver them.
async fn accept(api: &Api, users: Range<usize>) -> HashSet<String> {
    let mut accepted = HashSet::new();
    for n in users {
        let secret = token(16);
        let fields = json!({"secret_env": secret});
        let channel = api.configure(&format!("user-{n}"), "hook", "webhook", fields).await;
        let id = format!("m{n}");
        let body = json!({"message_id": id, "sender": {"id": "somebody"}, "text": "hello"});
        assert_eq!(api.push(&channel, &secret, &body).await, Some(StatusCode::OK));
        accepted.insert(id);
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_delivered_under_the_new_number() {
    let cluster = Cluster::prepare().await;
    let (mut gateway, api) = cluster.gateway().await;
    let accepted = accept(&api, 0..12).await;

    // A gateway still runs.
    let refused = cluster.command(&api, &["reshard", "--shards", "1024"], 1).await;
    assert!(refused.contains("the cluster is running: gateway"), "{refused}");
    gateway.signal("TERM").await;
    assert_eq!(gateway.wait().await, Some(0));
    let mut worker = cluster.worker("one", &api.base).await;
    let refused = cluster.command(&api, &["reshard", "--shards", "1024"], 1).await;
    assert!(refused.contains("the cluster is running: worker one (last heard of"), "{refused}");
    worker.signal("TERM").await;
    assert_eq!(worker.wait().await, Some(0));

    let (mut gateway, api) = cluster.gateway().await;
    let more = accept(&api, 12..24).await;
    gateway.signal("TERM").await;
    assert_eq!(gateway.wait().await, Some(0));
    let done = cluster.command(&api, &["reshard", "--shards", "1024"], 0).await;
    assert!(done.contains("the cluster has 1024 shards now, and had 256"), "{done}");
    let old = cluster.start(&["worker"], &[("II_CLAW_SHARDS", "256")]).all_output().await;
    assert!(old.contains("this cluster was created with 1024 shards but II_CLAW_SHARDS says 256"), "{old}");

    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("two", &api.base).await;
    let wanted: HashSet<String> = accepted.union(&more).cloned().collect();
    eventually("every message at the backend", Duration::from_secs(30), async || {
        let deliveries = cluster.receiver.deliveries();
        let ids: HashSet<String> = deliveries
            .iter()
            .filter_map(|d| Some(d.json()["platform_message_id"].as_str()?.to_owned()))
            .collect();
        wanted.is_subset(&ids).then_some(())
    })
    .await;
    for n in 0..24 {
        api.wait_for_status(&format!("user-{n}"), "hook", "running").await;
    }
}
