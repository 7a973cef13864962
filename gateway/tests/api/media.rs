//! Links to attachments: ours, signed, short-lived, and never run by a browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use claw_channels::kit::media_link;
use claw_media::MediaKey;
use claw_runtime::{Clock as _, SystemClock};
use claw_secrets::{MasterKey, Purpose};
use claw_types::MessageId;
use reqwest::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::common::{OTHER_MASTER_KEY, TestGateway, master_key, read};

/// A system that keeps files.
async fn files(gateway: &TestGateway) -> String {
    let page = || async { ([(CONTENT_TYPE, "text/html")], "<script>alert(1)</script>") };
    let router = Router::new()
        .route("/picture", get(|| async { ([(CONTENT_TYPE, "image/png")], "PNG") }))
        .route("/page", get(page));
    serve(gateway, router).await
}

async fn serve(gateway: &TestGateway, router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    gateway.lifecycle.spawn("files", async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// Has a person send the file; tells the message's id.
async fn sent(gateway: &TestGateway, kind: &str, url: &str) -> MessageId {
    let hook = gateway.channels("u").await.remove(0);
    let media = json!({"kind": kind, "url": url, "filename": "a b.png"});
    let body = json!({"sender": {"id": "ada"}, "media": media}).to_string();
    let answer = gateway.post(&hook, body.as_bytes()).await.expect(200);
    MessageId(answer["id"].as_str().unwrap().parse().unwrap())
}

fn link(id: MessageId, expires_in: i64) -> String {
    let expires = SystemClock.now().timestamp() + expires_in;
    media_link::path(&master_key().derive(Purpose::MediaUrl), id, "a b.png", expires)
}

/// Waits until the attachment is in the store.
async fn stored(gateway: &TestGateway, id: MessageId) {
    let file = gateway.media.path().join(MediaKey::new(id.0).to_string());
    let there = async || file.exists().then_some(());
    claw_testkit::eventually("the attachment is stored", Duration::from_secs(20), there).await;
}

#[tokio::test]
async fn an_attachment_is_there_when_its_platform_and_its_channel_are_gone() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let up = Arc::new(AtomicBool::new(true));
    let alive = Arc::clone(&up);
    let file = move || {
        let status = if alive.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::GONE };
        async move { (status, [(CONTENT_TYPE, "image/png")], "PNG") }
    };
    let base = serve(&gateway, Router::new().route("/picture", get(file))).await;
    let id = sent(&gateway, "image", &format!("{base}/picture")).await;
    stored(&gateway, id).await;
    up.store(false, Ordering::SeqCst);
    gateway.call("DELETE", "/api/users/u/channels/hook", serde_json::Value::Null).await.expect(200);
    for _ in 0..2 {
        let answer = read(gateway.request("GET", &link(id, 60))).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "PNG"));
        assert_eq!(answer.headers["content-type"], "image/png");
    }
}

#[tokio::test]
async fn the_operator_says_how_large_an_attachment_may_be() {
    let gateway =
        TestGateway::start_with(&["--allow-private-urls", "--send-wait-ms=0", "--media-max-mib=51"]).await;
    gateway.webhook("u", "hook").await;
    let of = |size: usize| get(move || async move { vec![0_u8; size] });
    let router = Router::new().route("/fits", of(51 << 20)).route("/larger", of((51 << 20) + 1));
    let base = serve(&gateway, router).await;
    let fits = sent(&gateway, "file", &format!("{base}/fits")).await;
    let head = read(gateway.request("HEAD", &link(fits, 60))).await;
    assert_eq!(
        (head.status.as_u16(), &head.headers["content-length"]),
        (200, &(51 << 20).to_string().parse().unwrap())
    );
    let larger = sent(&gateway, "file", &format!("{base}/larger")).await;
    read(gateway.request("GET", &link(larger, 60))).await.problem(413);
}

#[tokio::test]
async fn a_link_of_the_master_key_of_before_opens_while_that_is_known() {
    let flags = ["--allow-private-urls", "--send-wait-ms=0"];
    let other = MasterKey::from_base64(OTHER_MASTER_KEY).unwrap().derive(Purpose::MediaUrl);
    let known = format!("--other-master-keys={OTHER_MASTER_KEY}");
    for (flags, status) in [([&flags[..], &[&known]].concat(), 200), (flags.to_vec(), 403)] {
        let gateway = TestGateway::start_with(&flags).await;
        gateway.webhook("u", "hook").await;
        let base = files(&gateway).await;
        let id = sent(&gateway, "image", &format!("{base}/picture")).await;
        let expires = SystemClock.now().timestamp() + 60;
        let answer = read(gateway.request("GET", &media_link::path(&other, id, "a b.png", expires))).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert_eq!(read(gateway.request("GET", &link(id, 60))).await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn a_link_opens_what_the_platform_keeps() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let base = files(&gateway).await;
    let id = sent(&gateway, "image", &format!("{base}/picture")).await;
    let answer = read(gateway.request("GET", &link(id, 60))).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "PNG"));
    assert_eq!(answer.headers["content-type"], "image/png");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment; "));
    assert!(answer.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));

    let page = sent(&gateway, "file", &format!("{base}/page")).await;
    let answer = read(gateway.request("GET", &link(page, 60))).await;
    assert_eq!(answer.headers["content-type"], "application/octet-stream");

    let gone = sent(&gateway, "file", &format!("{base}/gone")).await;
    let status = read(gateway.request("GET", &link(gone, 60))).await.status.as_u16();
    assert!(matches!(status, 404 | 502), "{status}");
    let closed = sent(&gateway, "file", "http://127.0.0.1:9/x").await;
    read(gateway.request("GET", &link(closed, 60))).await.problem(502);
}

#[tokio::test]
async fn only_our_own_fresh_links_open() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let base = files(&gateway).await;
    let id = sent(&gateway, "image", &format!("{base}/picture")).await;
    let good = link(id, 60);
    let (path, query) = good.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let other = Uuid::from_u128(1).to_string();
    let forged = [
        path.to_owned(),
        format!("{path}?{expires}"),
        format!("{path}?{signature}"),
        format!("{path}?expires=99999999999&{signature}"),
        format!("{path}?expires=soon&{signature}"),
        format!("{path}?{expires}&signature=00"),
        format!("{path}?{expires}&signature=zz"),
        format!("{path}x?{query}"),
        good.replace(&id.to_string(), &other),
        good.replace(&id.to_string(), "nope"),
    ];
    for link in forged {
        read(gateway.request("GET", &link)).await.problem(403);
    }
    read(gateway.request("GET", &link(id, -1))).await.problem(410);
    read(gateway.request("GET", &link(MessageId(Uuid::from_u128(1)), 60))).await.problem(404);
    // Nobody could fetch this one, and now nobody can any more.
    let away = link(sent(&gateway, "image", "http://127.0.0.1:9/x").await, 60);
    read(gateway.request("GET", &away)).await.problem(502);
    gateway.call("DELETE", "/api/users/u/channels/hook", serde_json::Value::Null).await.expect(200);
    gateway.everywhere(404, async || read(gateway.request("GET", &away)).await).await;
}

#[tokio::test]
async fn it_is_fetched_once_and_served_in_parts_afterwards() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let numbers = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { ([(CONTENT_TYPE, "audio/ogg")], "0123456789") }
    };
    let base = serve(&gateway, Router::new().route("/voice", get(numbers))).await;
    let id = sent(&gateway, "voice", &format!("{base}/voice")).await;
    stored(&gateway, id).await;
    let asking = async |name: &'static str, value: &str| {
        read(gateway.request("GET", &link(id, 60)).header(name, value)).await
    };
    let whole = read(gateway.request("GET", &link(id, 60))).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, "0123456789"));
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    assert_eq!(whole.headers["content-length"], "10");
    let etag = whole.headers["etag"].to_str().unwrap().to_owned();
    for (range, text, told) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-1", "9", "bytes 9-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let part = asking("range", range).await;
        assert_eq!((part.status.as_u16(), part.text.as_str()), (206, text), "{range}");
        assert_eq!(part.headers["content-range"], told);
        assert_eq!(part.headers["content-type"], "audio/ogg");
    }
    let beyond = asking("range", "bytes=10-").await;
    beyond.problem(416);
    assert_eq!(beyond.headers["content-range"], "bytes */10");
    for ignored in ["bytes=1-2,4-5", "lines=1-2", "bytes=x"] {
        assert_eq!(asking("range", ignored).await.text, "0123456789", "{ignored}");
    }
    assert_eq!(asking("if-none-match", &etag).await.status, 304);
    let stale =
        gateway.request("GET", &link(id, 60)).header("range", "bytes=2-4").header("if-range", "\"x\"");
    assert_eq!(read(stale).await.status, 200, "a part of another version is of no use");
    let head = read(gateway.request("HEAD", &link(id, 60))).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], "10");
    assert_eq!(fetches.load(Ordering::SeqCst), 1, "both gateways keep attachments in one place here");
}

#[tokio::test]
async fn what_is_too_large_or_breaks_off_is_not_kept() {
    let gateway =
        TestGateway::start_with(&["--allow-private-urls", "--send-wait-ms=0", "--media-max-mib=1"]).await;
    gateway.webhook("u", "hook").await;
    let large = get(|| async { vec![0_u8; (1 << 20) + 1] });
    let base = serve(&gateway, Router::new().route("/large", large)).await;
    let id = sent(&gateway, "file", &format!("{base}/large")).await;
    for _ in 0..2 {
        read(gateway.request("GET", &link(id, 60))).await.problem(413);
    }
}
