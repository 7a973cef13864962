//! A rolling upgrade: the version before this one and this one as one cluster, under load, until the old one is gone.
//!
//! `make upgrade-test` builds the old version and runs this.

use std::path::PathBuf;

use claw_system_tests::Cluster;
use reqwest::StatusCode;

use crate::traffic::{Load, answered_by_the_owner, end, wait_for_owners};

fn previous() -> PathBuf {
    std::env::var_os("II_CLAW_PREVIOUS_BIN").map(PathBuf::from).expect("`make upgrade-test` sets it")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the version before this one: make upgrade-test"]
async fn two_versions_are_one_cluster_until_the_old_one_is_gone() {
    let mut cluster = Cluster::empty(&claw_testkit::nats_url()).await;
    cluster.program = Some(previous());
    assert_eq!(cluster.start(&["migrate"], &[]).wait().await, Some(0));
    let (old_gateway, old_api) = cluster.gateway().await;
    let old_worker = cluster.worker("old", &old_api.base).await;
    let (mut old_scheduler, _) = cluster.scheduler("old-clock").await;
    old_scheduler.wait_for_line("elected: leading term 1").await;

    let (load, loading) = Load::start(&old_api).await;
    cluster.receiver.wait_for(20).await;

    cluster.program = None;
    let mut migrate = cluster.start(&["migrate"], &[]);
    assert_eq!(migrate.wait().await, Some(0), "beside the old version: {}", migrate.output());
    let (new_gateway, new_api) = cluster.gateway().await;
    let new_worker = cluster.worker("new", &new_api.base).await;
    let (mut new_scheduler, _) = cluster.scheduler("new-clock").await;
    load.gateways.lock().unwrap().push(new_api.clone());
    wait_for_owners(&cluster, &["new", "old"]).await;
    for api in [&old_api, &new_api] {
        for worker in ["old", "new"] {
            answered_by_the_owner(&cluster, api, worker).await;
        }
    }
    let (status, seen) = new_api.call("GET", "/api/cluster", None).await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    let members = seen["members"].as_array().unwrap();
    assert!(members.iter().all(|member| member["live"] == true && member["unreachable"].is_null()), "{seen}");

    // One after another, the old ones go.
    end(old_worker).await;
    wait_for_owners(&cluster, &["new"]).await;
    end(old_scheduler).await;
    new_scheduler.wait_for_line("elected: leading term 2").await;
    load.gateways.lock().unwrap().remove(0);
    load.goes_on().await;
    end(old_gateway).await;
    load.finish(loading, &cluster.receiver).await;
    for process in [new_worker, new_scheduler, new_gateway] {
        end(process).await;
    }
}
