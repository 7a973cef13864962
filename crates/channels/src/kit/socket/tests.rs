//! Against a real server on this machine.

use futures::future::BoxFuture;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps};
use crate::kit::http::Http;

const MAX: usize = 10_000;

type Server = WebSocketStream<Box<dyn Stream>>;

fn some_deps() -> Deps {
    deps(Arc::new(Recorder::default()))
}

fn guarded_deps() -> Deps {
    Deps { http: Http::new(false).unwrap(), ..some_deps() }
}

/// One connection to a port of its own, handled by `serve`; the host and port.
#[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
async fn listen(serve: impl FnOnce(TcpStream) -> BoxFuture<'static, ()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    address.to_string()
}

/// A WebSocket server that does this with its one connection.
async fn serving(talk: impl FnOnce(Server) -> BoxFuture<'static, ()> + Send + 'static) -> String {
    let address = listen(move |stream| {
        Box::pin(async move {
            let stream: Box<dyn Stream> = Box::new(stream);
            talk(accept_async(stream).await.unwrap()).await;
        })
    });
    format!("ws://{}/path?ticket=SECRET", address.await)
}

/// A server that answers the upgrade with this.
async fn answering(answer: &'static str) -> String {
    let address = listen(move |mut stream| {
        Box::pin(async move {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
    });
    format!("ws://{}/?ticket=SECRET", address.await)
}

async fn failure(deps: &Deps, url: &str) -> ChannelError {
    let error = Socket::connect(deps, url, MAX).await.map(drop).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    error
}

#[tokio::test]
async fn texts_and_bytes_go_both_ways_and_a_code_ends_it() {
    let url = serving(|mut server| {
        Box::pin(async move {
            let heard = server.next().await.unwrap().unwrap();
            server.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
            server.send(heard).await.unwrap();
            server.send(Message::binary(vec![1, 2])).await.unwrap();
            let frame = CloseFrame { code: 4004.into(), reason: "who\nare you".into() };
            server.close(Some(frame)).await.unwrap();
        })
    })
    .await;
    let mut socket = Socket::connect(&some_deps(), &url, MAX).await.unwrap();
    socket.send_text("hello".to_owned()).await.unwrap();
    assert_eq!(socket.next().await, Ok(Said::Text("hello".into())));
    assert_eq!(socket.next().await, Ok(Said::Binary(Bytes::from_static(&[1, 2]))));
    let closed = Said::Closed { code: Some(4004), reason: "who are you".to_owned() };
    assert_eq!(socket.next().await, Ok(closed));
    assert_eq!(socket.next().await, Ok(Said::Closed { code: None, reason: String::new() }), "it is over");
}

#[tokio::test]
async fn who_hangs_up_has_closed_without_a_code() {
    let url = serving(|server| Box::pin(async move { drop(server) })).await;
    let mut socket = Socket::connect(&some_deps(), &url, MAX).await.unwrap();
    assert_eq!(socket.next().await, Ok(Said::Closed { code: None, reason: String::new() }));
    // What is written to nobody is noticed at the second try at the latest, when the other side has said that nobody is there.
    let mut sent = Ok(());
    for _ in 0..1000 {
        sent = socket.send_text("hello".to_owned()).await;
        if sent.is_err() {
            break;
        }
    }
    assert!(matches!(sent, Err(ChannelError::Uncertain(_))), "{sent:?}");
}

#[tokio::test]
async fn a_message_has_an_end() {
    for (length, fits) in [(MAX, true), (MAX + 1, false)] {
        let url = serving(move |mut server| {
            Box::pin(async move {
                server.send(Message::text("x".repeat(length))).await.unwrap();
                // Until the other side is through with it.
                drop(server.next().await);
            })
        })
        .await;
        let mut socket = Socket::connect(&some_deps(), &url, MAX).await.unwrap();
        match socket.next().await {
            Ok(Said::Text(text)) => assert!(fits && text.len() == length),
            Err(ChannelError::Retryable(why)) => assert!(!fits && why.contains("larger"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn our_code_reaches_the_other_side() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let url = serving(move |mut server| {
        Box::pin(async move {
            let said = server.next().await;
            told.send(said).unwrap();
        })
    })
    .await;
    Socket::connect(&some_deps(), &url, MAX).await.unwrap().close(4900).await;
    match heard.await.unwrap() {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4900),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_means_what_its_status_says() {
    let limited =
        answering("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(failure(&some_deps(), &limited).await, ChannelError::RateLimited(Duration::from_secs(7)));
    let unknown = answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(failure(&some_deps(), &unknown).await, ChannelError::BadCredentials(_)));
    let ill = answering("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(failure(&some_deps(), &ill).await, ChannelError::Retryable(_)));
    let gone = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(failure(&some_deps(), &gone).await, ChannelError::Permanent(_)));
    let elsewhere =
        answering("HTTP/1.1 302 Found\r\nLocation: ws://10.0.0.1/\r\nContent-Length: 0\r\n\r\n").await;
    assert!(
        matches!(failure(&some_deps(), &elsewhere).await, ChannelError::Permanent(_)),
        "none is followed"
    );
    let odd = answering("SSH-2.0-OpenSSH_9.9\r\n").await;
    assert!(matches!(failure(&some_deps(), &odd).await, ChannelError::Retryable(_)));
}

#[tokio::test]
async fn nobody_there_and_nobody_allowed_are_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("ws://{free}/?ticket=SECRET");
    assert!(matches!(failure(&some_deps(), &nobody).await, ChannelError::Retryable(_)));
    for private in
        [&nobody, "ws://localhost:1/?ticket=SECRET", "wss://[::1]/?ticket=SECRET", "WSS://10.0.0.1"]
    {
        let error = failure(&guarded_deps(), private).await;
        assert!(matches!(error, ChannelError::Config(_)), "{private}: {error:?}");
    }
    for odd in ["ftp://example.org", "example.org", "wss://me:SECRET@example.org"] {
        assert!(matches!(failure(&some_deps(), odd).await, ChannelError::Config(_)), "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let silent = listen(|stream| {
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
    });
    let url = format!("ws://{}", silent.await);
    assert!(matches!(failure(&some_deps(), &url).await, ChannelError::Retryable(_)));
}

/// A TLS server for `localhost`, and its certificate.
async fn secure() -> (String, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = listen(move |stream| {
        Box::pin(async move {
            // Not trusted, it ends here.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut server = accept_async(stream).await.unwrap();
            server.send(Message::text("safe")).await.unwrap();
        })
    });
    let port = address.await.rsplit(':').next().unwrap().to_owned();
    (format!("wss://localhost:{port}/?ticket=SECRET"), certificate)
}

#[tokio::test]
async fn tls_is_spoken_with_those_who_can_be_trusted_only() {
    let (url, certificate) = secure().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut socket = Socket::connect_by(Arc::new(config), &some_deps(), &url, MAX).await.unwrap();
    assert_eq!(socket.next().await, Ok(Said::Text("safe".into())));

    let (url, _) = secure().await;
    match failure(&some_deps(), &url).await {
        ChannelError::Retryable(why) => {
            assert!(why.starts_with("no TLS with the platform at localhost"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

/// Pings are signs of life, and silence is none.
#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_broken() {
    let url = serving(|mut server| {
        Box::pin(async move {
            let ping = Message::Ping(Bytes::from_static(b"?"));
            server.send(ping).await.unwrap();
            server.send(Message::text("hello")).await.unwrap();
            std::future::pending::<()>().await;
        })
    });
    let mut socket = Socket::connect(&some_deps(), &url.await, MAX).await.unwrap();
    assert_eq!(socket.next_within(Duration::from_secs(20)).await, Ok(Said::Text("hello".into())));
    let silence = socket.next_within(Duration::from_millis(50)).await;
    assert!(
        matches!(&silence, Err(ChannelError::Retryable(why)) if why.contains("nothing comes")),
        "{silence:?}"
    );
}
