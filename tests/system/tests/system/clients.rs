//! The Python client against two gateways in turn, with its example as the backend.

use claw_system_tests::{API_KEY, Cluster, SECRET, free_port, python};

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_and_its_receiver_work() {
    let port = free_port().await;
    let webhook = format!("http://127.0.0.1:{port}/ii-claw/webhook/inbound");
    let cluster = Cluster::prepare().await.with("AI_WEBHOOK_URL", &webhook);
    let (_gateways, balancer, api) = cluster.gateways().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let environment = [
        ("II_CLAW_URL", api.base.clone()),
        ("II_CLAW_API_KEY", API_KEY.to_owned()),
        ("AI_WEBHOOK_PORT", port.to_string()),
        ("AI_WEBHOOK_SECRET", SECRET.to_owned()),
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/python");
    let report = python(&["-m", "pytest", "-q", "-rs", folder], &environment).await;
    assert!(report.contains(" passed"), "nothing ran:\n{report}");
    assert_eq!(balancer.served().len(), 2, "{report}");
    println!("{report}");
}
