//! A Python client, written from the written contract alone, passes.

use claw_system_tests::{API_KEY, SECRET, address_in};
use claw_testkit::{Claw, TestDatabase, emulator, nats_url};
use tokio::net::TcpListener;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_passes() {
    let port = free_port().await;
    let webhook = format!("http://127.0.0.1:{port}/ii-claw/webhook/inbound");
    let nats = nats_url();
    let (_lenient, url) = start(&nats, &webhook, "true").await;
    let (_strict, strict_url) = start(&nats, &webhook, "false").await;
    let (_emulator, emulator_url) = emulator().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../contract");
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/venv/bin/python");
    let output = Command::new(std::env::var("II_CLAW_TEST_PYTHON").unwrap_or_else(|_| python.to_owned()))
        .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", folder])
        .env("II_CLAW_URL", &url)
        .env("II_CLAW_STRICT_URL", &strict_url)
        .env("II_CLAW_API_KEY", API_KEY)
        .env("AI_WEBHOOK_PORT", port.to_string())
        .env("AI_WEBHOOK_SECRET", SECRET)
        .env("TELEGRAM_EMULATOR_URL", &emulator_url)
        .output()
        .await
        .expect("Python runs (`scripts/setup.sh test` installs it)");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.contains(" passed"), "nothing ran:\n{report}");
    println!("{report}");
}

async fn start(nats: &str, webhook: &str, private: &str) -> (Claw, String) {
    let database = TestDatabase::create().await;
    let mut up = Claw::start(
        &["up"],
        &[
            ("DATABASE_URL", database.url()),
            ("NATS_URL", nats),
            ("II_CLAW_LISTEN", "127.0.0.1:0"),
            ("II_CLAW_API_KEY", API_KEY),
            ("AI_WEBHOOK_URL", webhook),
            ("AI_WEBHOOK_SECRET", SECRET),
            ("II_CLAW_ALLOW_PRIVATE_URLS", private),
        ],
    );
    let address = address_in(&up.wait_for_line("the gateway listens on").await);
    up.wait_for_line("claimed").await;
    (up, format!("http://{address}"))
}

/// A port that was free a moment ago: the receiver is Python's, so it can't be handed over open.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
