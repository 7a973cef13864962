//! The internal RPC of real processes, called as another role would.

use std::sync::Arc;
use std::time::Duration;

use claw_rpc::{CallError, Credentials, Peers, Reload};
use claw_runtime::OsRandom;
use claw_secrets::MasterKey;
use claw_system_tests::{API_KEY, Api, Cluster};
use claw_testkit::{Receiver, eventually};
use claw_types::{ChannelId, ShardId};
use serde_json::json;
use sqlx::Row as _;

async fn peers() -> Peers {
    claw_testkit::install_tls();
    let credentials = Credentials::once(&MasterKey::from_api_key(API_KEY).into(), None).await.unwrap();
    Peers::new(credentials, Arc::new(OsRandom))
}

async fn address_of(api: &Api, name: &str) -> String {
    eventually(&format!("{name} to be a member"), Duration::from_secs(20), async || {
        let (_, seen) = api.call("GET", "/api/cluster", None).await;
        let found = seen["members"].as_array()?.iter().find(|member| member["name"] == name)?;
        found["rpc_address"].as_str().map(str::to_owned)
    })
    .await
}

/// A channel and its shard.
async fn channel(cluster: &Cluster, instance: &str) -> (ChannelId, ShardId) {
    let mut database = cluster.database.connect().await;
    let row = sqlx::query("select id, shard from channels where instance = $1").bind(instance);
    let row = row.fetch_one(&mut database).await.unwrap();
    (ChannelId(row.get(0)), ShardId(u16::try_from(row.get::<i32, _>(1)).unwrap()))
}

fn refused<T: std::fmt::Debug>(answer: Result<T, CallError>, why: &str) {
    match answer {
        Err(CallError::Refused(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_lists_probes_and_reloads_its_channels() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _one = cluster.worker("one", &api.base).await;
    let (peers, platform) = (peers().await, Receiver::start().await);
    for (instance, callback) in [("good", platform.url()), ("bad", "http://127.0.0.1:1/".to_owned())] {
        let fields = json!({"secret_env": "0123456789abcdef", "callback_url": callback});
        api.configure("ada", instance, "webhook", fields).await;
        api.wait_for_status("ada", instance, "running").await;
    }
    let address = address_of(&api, "one").await;
    let first = peers.adapters(&address, None, 1).await.unwrap();
    let second = peers.adapters(&address, Some(first.adapters[0].channel), 1).await.unwrap();
    assert_eq!((first.more, second.more), (true, false));
    let both = [first.adapters[0].clone(), second.adapters[0].clone()];
    assert_eq!(both.each_ref().map(|adapter| adapter.instance.as_str()), ["good", "bad"], "by age");
    for adapter in &both {
        assert_eq!((adapter.user.as_str(), adapter.channel_type.as_str()), ("ada", "webhook"));
        assert_eq!((adapter.epoch.0, &adapter.error), (1, &None));
    }

    let (good, bad) = (channel(&cluster, "good").await, channel(&cluster, "bad").await);
    assert_eq!(peers.probe(&address, good.0, good.1).await.unwrap().error, None);
    let error = peers.probe(&address, bad.0, bad.1).await.unwrap().error.expect("nobody answers there");
    assert!(!error.is_empty());
    let nobody = ChannelId(uuid::Uuid::nil());
    refused(peers.probe(&address, nobody, good.1).await, "no such channel");

    assert_eq!(peers.reload(&address, &Reload::Channel(good.0, good.1)).await.unwrap(), 1);
    assert_eq!(peers.reload(&address, &Reload::User("ada".parse().unwrap())).await.unwrap(), 2);
    assert_eq!(peers.reload(&address, &Reload::User("bob".parse().unwrap())).await.unwrap(), 0);
    let gone = ShardId(u16::MAX);
    refused(peers.reload(&address, &Reload::Channel(good.0, gone)).await, "does not own the shard");
    refused(peers.probe(&address, good.0, gone).await, "does not own the shard");
    let status = peers.worker_status(&address).await.unwrap();
    assert_eq!((status.shards.len(), status.channels, status.failed), (256, 2, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_does_its_duties_at_once_and_only_the_leader() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let (mut first, address) = cluster.scheduler("first").await;
    first.wait_for_line("elected: leading term 1").await;
    let (_second, other) = cluster.scheduler("second").await;
    let peers = peers().await;
    // Old enough to be forgotten.
    let mut database = cluster.database.connect().await;
    let old = "insert into message_keys (channel_id, key, message_id, created_at)
        select gen_random_uuid(), 'k', gen_random_uuid(), now() - interval '8 days' from generate_series(1, 3)";
    sqlx::query(old).execute(&mut database).await.unwrap();
    let ran = peers.run_now(&address.to_string()).await.unwrap();
    assert_eq!(ran.forgotten, 3, "{ran:?}");
    assert_eq!(peers.run_now(&address.to_string()).await.unwrap().forgotten, 0);
    eventually("the second one to stand by", Duration::from_secs(10), async || {
        peers.scheduler_status(&other.to_string()).await.ok().filter(|status| status.leading.is_none())
    })
    .await;
    refused(peers.run_now(&other.to_string()).await, "does not lead");
    refused(peers.step_down(&other.to_string()).await, "does not lead");
    let gateways = api.call("GET", "/api/cluster", None).await.1;
    let gateway = gateways["members"].as_array().unwrap().iter().find(|m| m["role"] == "gateway").unwrap();
    let said = peers.gateway_status(gateway["rpc_address"].as_str().unwrap()).await.unwrap();
    assert_eq!((json!(said.name), said.streams, said.sockets), (gateway["name"].clone(), 0, 0));
}
