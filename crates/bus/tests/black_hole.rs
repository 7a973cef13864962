//! A NATS server that is reached but does not answer any more: publishing must not wait for it, and it must be noticed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't be set up must fail loudly")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use claw_bus::Bus;
use claw_telemetry::metrics;
use claw_testkit::eventually;
use claw_types::ChannelId;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::time::Instant;
use uuid::Uuid;

/// Lets the first client in, answers its first ping, and never reads again. Nobody else gets an answer.
async fn black_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let info = br#"INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}"#;
        stream.write_all(&[info.as_slice(), b"\r\n"].concat()).await.unwrap();
        let mut line = String::new();
        while line.trim() != "PING" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        stream.write_all(b"PONG\r\n").await.unwrap();
        let mut held = vec![stream.into_inner()];
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// How many messages were dropped because the client's queue was full.
fn dropped() -> u64 {
    let scraped = metrics::scrape();
    let count =
        scraped.lines().find_map(|line| line.strip_prefix("claw_nats_dropped_total{reason=\"full\"} "));
    count.map_or(0, |count| count.parse().unwrap())
}

/// The loss is noticed after about six seconds, so who waits for the server waits until then.
#[tokio::test]
async fn publishing_does_not_wait_for_a_server_that_does_not_read_and_it_is_noticed() {
    metrics::begin();
    let url = format!("nats://{}", black_hole().await);
    let bus = Bus::connect(&url, "test", Uuid::from_u128(1), Uuid::from_u128(2)).await.unwrap();
    assert!(bus.connected());
    let frame = Bytes::from(vec![0; 16 * 1024]);
    let mut longest = Duration::ZERO;
    // Until the sockets' buffers and the client's queue hold no more; how many that takes is theirs to say.
    while bus.connected() && dropped() < 1000 {
        for _ in 0..500 {
            let began = Instant::now();
            bus.publish_live(ChannelId(Uuid::nil()), "conversation", frame.clone()).await;
            longest = longest.max(began.elapsed());
            // The client has its turn: what is full is full because nobody reads.
            tokio::task::yield_now().await;
        }
    }
    assert!(dropped() >= 1000, "it was noticed before there was anything to wait for");
    assert!(longest < Duration::from_secs(2), "a publish took {longest:?}");
    let noticed = async || (!bus.connected()).then_some(());
    eventually("the loss to be noticed", Duration::from_secs(120), noticed).await;
}
