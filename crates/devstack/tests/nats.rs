//! The broker keeps its token and its streams, and lets nobody else in.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
};

use claw_devstack::{Error, Nats};
use common::{Scratch, kill_9, lives};

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn token(url: &str) -> &str {
    url.strip_prefix("nats://").unwrap().split_once('@').unwrap().0
}

/// Speaks the protocol by hand: sends `request`, returns the answers up to
/// the one that starts with `end`.
fn talk(url: &str, token: &str, request: &str, end: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port(url))).unwrap();
    let hello = format!("CONNECT {{\"auth_token\":\"{token}\",\"verbose\":false}}\r\n");
    stream.write_all((hello + request).as_bytes()).unwrap();
    let mut text = String::new();
    let mut lines = BufReader::new(stream);
    while !text.lines().last().unwrap_or_default().starts_with(end) {
        assert!(lines.read_line(&mut text).unwrap() > 0, "{text}");
    }
    text
}

/// Asks JetStream and returns its answer.
fn jetstream(url: &str, subject: &str, body: &str) -> String {
    let length = body.len();
    let request = format!("SUB me 1\r\nPUB $JS.API.{subject} me {length}\r\n{body}\r\n");
    talk(url, token(url), &request, "{\"type\"")
}

#[tokio::test]
async fn streams_and_url_survive_a_stop() {
    let dir = Scratch::new("nats-stop");
    let nats = Nats::start(dir.path()).await.unwrap();
    let (url, pid) = (nats.url().to_owned(), nats.pid());
    let stream = "{\"name\":\"kept\",\"subjects\":[\"kept.>\"],\"storage\":\"file\"}";
    let made = jetstream(&url, "STREAM.CREATE.kept", stream);
    assert!(made.contains("stream_create_response") && !made.contains("error"), "{made}");
    nats.stop().await.unwrap();
    assert!(!lives(pid));

    let nats = Nats::start(dir.path()).await.unwrap();
    assert_eq!(nats.url(), url);
    let info = jetstream(&url, "STREAM.INFO.kept", "");
    assert!(info.contains("\"name\":\"kept\""), "{info}");
    nats.stop().await.unwrap();
}

#[tokio::test]
async fn only_the_token_opens_it() {
    let dir = Scratch::new("nats-token");
    let nats = Nats::start(dir.path()).await.unwrap();
    let info = talk(nats.url(), token(nats.url()), "PING\r\n", "PONG");
    assert!(info.contains("\"max_payload\":1048576"), "{info}");
    assert!(info.contains("\"host\":\"127.0.0.1\""), "{info}");
    let refused = talk(nats.url(), "guess", "PING\r\n", "-ERR");
    assert!(refused.contains("Authorization Violation"), "{refused}");
    for name in ["token", "nats.conf"] {
        let file = std::fs::metadata(dir.path().join("nats").join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(!format!("{nats:?}").contains("nats://"));
    nats.stop().await.unwrap();
}

#[tokio::test]
async fn kill_9_is_reported_and_recovered_from() {
    let dir = Scratch::new("nats-kill");
    let mut nats = Nats::start(dir.path()).await.unwrap();
    let pid = nats.pid();
    kill_9(pid);
    match nats.wait().await {
        Error::Died { service, pid: dead, .. } => assert_eq!((service, dead), ("nats-server", pid)),
        other => panic!("{other}"),
    }
    drop(nats);
    let nats = Nats::start(dir.path()).await.unwrap();
    assert_ne!(nats.pid(), pid);
    nats.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_replaced() {
    let dir = Scratch::new("nats-port");
    let nats = Nats::start(dir.path()).await.unwrap();
    let first = port(nats.url());
    nats.stop().await.unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let nats = Nats::start(dir.path()).await.unwrap();
    assert_ne!(first, port(nats.url()));
    nats.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_user_of_the_directory_is_refused() {
    let dir = Scratch::new("nats-second");
    let nats = Nats::start(dir.path()).await.unwrap();
    let error = Nats::start(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    nats.stop().await.unwrap();
}
