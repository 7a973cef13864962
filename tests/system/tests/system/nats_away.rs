//! NATS is the road, not the log: while it is away everything arrives all the same, in order.

use claw_devstack::Nats;
use claw_system_tests::{Cluster, token};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_messages_arrive_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start(folder.path()).await.unwrap();
    let cluster = Cluster::prepare_with(nats.url()).await;
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    let push = |n: usize| {
        let body = json!({"sender": {"id": "ada"}, "text": n.to_string()});
        let (api, channel, secret) = (&api, &channel, &secret);
        async move { assert_eq!(api.push(channel, secret, &body).await.unwrap(), 200) }
    };
    for n in 0..10 {
        push(n).await;
    }
    cluster.receiver.wait_for(10).await;
    nats.stop().await.unwrap();
    for n in 10..20 {
        push(n).await;
    }
    cluster.receiver.wait_for(20).await;
    let back = Nats::start(folder.path()).await.unwrap();
    for n in 20..30 {
        push(n).await;
    }
    let deliveries = cluster.receiver.wait_for(30).await;
    let texts: Vec<_> = deliveries.iter().map(|d| d.json()["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());

    // Leaving does not hang on it either.
    back.stop().await.unwrap();
    worker.signal("TERM").await;
    assert_eq!(worker.wait().await, Some(0), "{}", worker.output());
}
