//! Each fault does to a real connection what its name says, and its end mends what can be mended.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up must fail loudly")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use claw_testkit::fault_proxy::{End, FaultProxy, Mode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(10);
/// So long nothing must arrive where nothing may.
const SILENCE: Duration = Duration::from_millis(200);

/// Sends back what it gets; tells how each connection ended: whether by a proper end.
async fn echo() -> (SocketAddr, mpsc::UnboundedReceiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ended, ends) = mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let ended = ended.clone();
            #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let copied = tokio::io::copy(&mut from, &mut to).await;
                let _over = ended.send(copied.is_ok());
            });
        }
    });
    (address, ends)
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn hear(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    timeout(LIMIT, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, text.as_bytes());
}

async fn hear_nothing(stream: &mut TcpStream) {
    let heard = timeout(SILENCE, stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

async fn hear_reset(stream: &mut TcpStream) {
    let heard = timeout(LIMIT, stream.read_u8()).await.unwrap();
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

async fn connected(proxy: &FaultProxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut stream, "first").await;
    hear(&mut stream, "first").await;
    stream
}

#[tokio::test]
async fn a_sound_network_forwards_counts_and_passes_ends_on() {
    let (address, mut ends) = echo().await;
    let proxy = FaultProxy::start(address).await;
    let mut stream = connected(&proxy).await;
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(LIMIT, stream.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    assert_eq!(timeout(LIMIT, ends.recv()).await.unwrap(), Some(true));
    assert_eq!((proxy.connections(), proxy.bytes()), (1, (5, 5)));
}

#[tokio::test]
async fn a_delay_counts_in_both_directions() {
    let proxy = FaultProxy::start(echo().await.0).await;
    let mut stream = connected(&proxy).await;
    proxy.set(Mode::Delay(Duration::from_millis(100)));
    let began = Instant::now();
    say(&mut stream, "later").await;
    hear(&mut stream, "later").await;
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_cut_resets_both_ends_and_whoever_comes() {
    let (address, mut ends) = echo().await;
    let proxy = FaultProxy::start(address).await;
    let mut stream = connected(&proxy).await;
    proxy.set(Mode::Cut);
    hear_reset(&mut stream).await;
    assert_eq!(timeout(LIMIT, ends.recv()).await.unwrap(), Some(false));
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    hear_reset(&mut next).await;
    proxy.set(Mode::Pass);
    connected(&proxy).await;
}

#[tokio::test]
async fn a_black_hole_keeps_all_open_and_gives_back_what_it_held() {
    let (address, mut ends) = echo().await;
    let proxy = FaultProxy::start(address).await;
    let mut stream = connected(&proxy).await;
    proxy.set(Mode::BlackHole);
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut stream, "held").await;
    say(&mut next, "new").await;
    hear_nothing(&mut stream).await;
    hear_nothing(&mut next).await;
    assert!(ends.try_recv().is_err(), "the server saw an end");
    assert_eq!(proxy.bytes(), (5, 5));
    proxy.set(Mode::Pass);
    hear(&mut stream, "held").await;
    hear(&mut next, "new").await;
}

#[tokio::test]
async fn a_server_that_is_gone_without_a_word_leaves_its_client_waiting() {
    let (address, mut ends) = echo().await;
    let proxy = FaultProxy::start(address).await;
    let mut stream = connected(&proxy).await;
    proxy.set(Mode::HalfOpen { closed: End::Server });
    assert_eq!(timeout(LIMIT, ends.recv()).await.unwrap(), Some(true));
    say(&mut stream, "lost").await;
    hear_nothing(&mut stream).await;
    let mut next = TcpStream::connect(proxy.address()).await.unwrap();
    hear_nothing(&mut next).await;
    proxy.set(Mode::Pass);
    hear_reset(&mut stream).await;
    hear_reset(&mut next).await;
}

#[tokio::test]
async fn a_client_that_is_gone_without_a_word_leaves_its_server_waiting() {
    let (address, mut ends) = echo().await;
    let proxy = FaultProxy::start(address).await;
    let mut stream = connected(&proxy).await;
    proxy.set(Mode::HalfOpen { closed: End::Client });
    assert_eq!(timeout(LIMIT, stream.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    assert!(timeout(SILENCE, ends.recv()).await.is_err(), "the server saw an end");
    proxy.set(Mode::Pass);
    assert_eq!(timeout(LIMIT, ends.recv()).await.unwrap(), Some(false));
}
