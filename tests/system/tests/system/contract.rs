//! A Python client, written from the written contract alone, passes against two gateways behind a round robin.

use claw_system_tests::{API_KEY, Cluster, SECRET, address_in, free_port, python};
use claw_testkit::{Claw, TestDatabase, emulator, nats_url};

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_passes_at_two_gateways_in_turn() {
    let port = free_port().await;
    let webhook = format!("http://127.0.0.1:{port}/ii-claw/webhook/inbound");
    let cluster = Cluster::prepare().await.with("AI_WEBHOOK_URL", &webhook);
    let (gateways, balancer, api) = cluster.gateways().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let (_strict, strict_url) = strict(&webhook).await;
    let (_emulator, emulator_url) = emulator().await;
    let environment = [
        ("II_CLAW_STRICT_URL", strict_url),
        ("II_CLAW_API_KEY", API_KEY.to_owned()),
        ("AI_WEBHOOK_PORT", port.to_string()),
        ("AI_WEBHOOK_SECRET", SECRET.to_owned()),
        ("TELEGRAM_EMULATOR_URL", emulator_url),
    ];
    pytest(&api.base, &environment, &[]).await;
    // nginx refuses some odd paths by itself: how the gateway does is seen at the gateway.
    pytest(&gateways[0].1.base, &environment, &["-k", "odd_characters_in_a_path or cannot_be_one"]).await;
    let served = balancer.served();
    println!("requests at each gateway: {served:?}");
    assert!(served.len() == 2 && served.values().all(|count| *count >= 100), "not in turn: {served:?}");
}

async fn pytest(url: &str, environment: &[(&str, String)], more: &[&str]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../contract");
    let args = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", folder];
    let mut environment = environment.to_vec();
    environment.push(("II_CLAW_URL", url.to_owned()));
    let report = python(&[&args, more].concat(), &environment).await;
    assert!(report.contains(" passed"), "nothing ran:\n{report}");
    println!("{report}");
}

/// A whole other ii-claw, that takes no private addresses.
async fn strict(webhook: &str) -> (Claw, String) {
    let database = TestDatabase::create().await;
    let mut up = Claw::start(
        &["up"],
        &[
            ("DATABASE_URL", database.url()),
            ("NATS_URL", &nats_url()),
            ("II_CLAW_LISTEN", "127.0.0.1:0"),
            ("II_CLAW_API_KEY", API_KEY),
            ("AI_WEBHOOK_URL", webhook),
            ("AI_WEBHOOK_SECRET", SECRET),
            ("II_CLAW_ALLOW_PRIVATE_URLS", "false"),
        ],
    );
    let address = address_in(&up.wait_for_line("the gateway listens on").await);
    up.wait_for_line("claimed").await;
    (up, format!("http://{address}"))
}
