use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use futures::stream::{self, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The first bytes of a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

const LIMITS: Limits<'static> = Limits {
    max_bytes: 100_000,
    allowed: Some(&["image/*", "application/pdf"]),
    timeout: Duration::from_secs(20),
};

/// A name that leads to the test's server in spite of the guard.
const FRIEND: &str = "friend.example";

struct Server {
    address: SocketAddr,
    open: Http,
    guarded: Http,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
    async fn start(router: Router) -> Self {
        // Another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, open: Http::new(true).unwrap(), guarded: Http::guarded_except(FRIEND, address) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn fetch(&self, path: &str) -> Result<Fetched, FetchError> {
        fetch(&self.open, &self.url(path), LIMITS).await
    }
}

/// One file with these headers.
async fn served<B: Into<Body>>(
    headers: &[(HeaderName, &str)],
    body: impl Fn() -> B + Clone + Send + Sync + 'static,
) -> Result<Fetched, FetchError> {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    let file = async move || {
        let mut response = http::Response::new(body().into());
        *response.headers_mut() = headers.clone();
        response
    };
    Server::start(Router::new().route("/pictures/cat.png", get(file))).await.fetch("/pictures/cat.png").await
}

/// Some bytes, and then nothing for ever.
fn stalled(bytes: &'static [u8]) -> Body {
    let first = stream::iter([Ok::<_, String>(Bytes::from_static(bytes))]);
    Body::from_stream(first.chain(stream::pending()))
}

/// A byte now and then, for ever.
fn drip() -> Body {
    Body::from_stream(stream::repeat_with(|| Bytes::from_static(b"x")).then(async |byte| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, String>(byte)
    }))
}

fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, String>(Bytes::from_static(&[0; 10_000]))))
}

#[tokio::test]
async fn a_picture_with_its_name_and_type() {
    let fetched = served(&[(CONTENT_TYPE, "image/png; q=1")], || PNG).await.unwrap();
    let expected = Fetched {
        content_type: "image/png; q=1".to_owned(),
        filename: Some("cat.png".to_owned()),
        bytes: Bytes::from_static(PNG),
    };
    assert_eq!(fetched, expected);
    let named = [(CONTENT_TYPE, "IMAGE/PNG"), (CONTENT_DISPOSITION, "attachment; filename=\"../tom.png\"")];
    assert_eq!(served(&named, || PNG).await.unwrap().filename.as_deref(), Some("tom.png"));
}

#[tokio::test]
async fn bytes_tell_the_type_where_the_server_does_not() {
    for untold in ["application/octet-stream", "binary/octet-stream", "nonsense", ""] {
        assert_eq!(
            served(&[(CONTENT_TYPE, untold)], || PNG).await.unwrap().content_type,
            "image/png",
            "{untold}"
        );
    }
    assert_eq!(served(&[], || PNG).await.unwrap().content_type, "image/png");
    let unknown = served(&[], || "what is this").await.unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "is of the type application/octet-stream; allowed here: image/*, application/pdf"
    );
}

#[tokio::test]
async fn a_wrong_type_is_refused_before_it_is_read() {
    let page = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    let refused = served(&page, || stalled(b"<html>")).await.unwrap_err();
    assert_eq!(refused.to_string(), "is of the type text/html; allowed here: image/*, application/pdf");
    let script = served(&[], || "<!DOCTYPE html><script>").await.unwrap_err();
    assert!(matches!(&script, FetchError::Type { found, .. } if found == "text/html"), "{script}");
}

#[tokio::test]
async fn size_is_counted_whatever_the_header_says() {
    let picture = [(CONTENT_TYPE, "image/png")];
    assert_eq!(served(&picture, || vec![0; 100_000]).await.unwrap().bytes.len(), 100_000);
    assert_eq!(served(&picture, || vec![0; 100_001]).await, Err(FetchError::TooLarge(100_000)));
    assert_eq!(served(&picture, endless).await, Err(FetchError::TooLarge(100_000)));
    assert_eq!(served(&picture, || "").await, Err(FetchError::Empty));
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let bomb = [(CONTENT_TYPE, "image/png"), (CONTENT_ENCODING, "gzip")];
    assert_eq!(served(&bomb, || PNG).await, Err(FetchError::Encoded));
    let plain = [(CONTENT_TYPE, "image/png"), (CONTENT_ENCODING, "Identity")];
    assert!(served(&plain, || PNG).await.is_ok());
}

#[tokio::test]
async fn a_slow_drip_and_a_silent_server_end_with_the_time() {
    let file = async || ([(CONTENT_TYPE, "image/png")], drip());
    let silent = async || std::future::pending::<&str>().await;
    let server = Server::start(Router::new().route("/drip", get(file)).route("/silent", get(silent))).await;
    for path in ["/drip", "/silent"] {
        let limits = Limits { timeout: Duration::from_millis(300), ..LIMITS };
        let told = fetch(&server.open, &server.url(path), limits).await.unwrap_err();
        assert_eq!(told, FetchError::TimedOut(limits.timeout), "{path}");
        assert!(told.is_passing());
    }
}

#[tokio::test]
async fn a_status_is_no_file() {
    let status = async |Path(status): Path<u16>| {
        (StatusCode::from_u16(status).unwrap(), [(CONTENT_TYPE, "image/png")], PNG)
    };
    let server = Server::start(Router::new().route("/{status}", get(status))).await;
    // A redirect to nowhere and a part of a file among them.
    for (code, passing) in [(404, false), (401, false), (302, false), (206, false), (429, true), (503, true)]
    {
        let told = server.fetch(&format!("/{code}")).await.unwrap_err();
        assert_eq!((&told, told.is_passing()), (&FetchError::Status(code), passing));
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
async fn half_a_file_is_no_file() {
    let server = Server::start(Router::new()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let half = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 100\r\n\r\nhalf";
        connection.write_all(answer).await.unwrap();
    });
    let url = format!("http://{address}/");
    assert_eq!(fetch(&server.open, &url, LIMITS).await, Err(FetchError::Broken));
    half.await.unwrap();
    assert_eq!(fetch(&server.open, &url, LIMITS).await, Err(FetchError::Unreachable));
}

#[tokio::test]
async fn redirects_are_followed_three_times() {
    let hop = async |Path(left): Path<u32>| match left {
        0 => ([(CONTENT_TYPE, "image/png")], PNG).into_response(),
        // Relative to where it is.
        left => Redirect::temporary(&(left - 1).to_string()).into_response(),
    };
    let server = Server::start(Router::new().route("/hop/{left}", get(hop))).await;
    assert_eq!(server.fetch("/hop/3").await.unwrap().filename.as_deref(), Some("0"));
    assert_eq!(server.fetch("/hop/4").await, Err(FetchError::Redirects));
}

#[tokio::test]
async fn a_circle_ends() {
    let server = Server::start(Router::new().route("/", get(async || Redirect::permanent("/")))).await;
    let told = server.fetch("/").await.unwrap_err();
    assert_eq!(told.to_string(), "redirects more than 3 times; give the URL that it leads to");
}

#[tokio::test]
async fn no_redirect_leads_to_a_private_address() {
    let to = async |Path(target): Path<String>| Redirect::to(&target);
    let server = Server::start(
        Router::new()
            .route("/to/{*target}", get(to))
            .route("/file", get(async || ([(CONTENT_TYPE, "image/png")], PNG))),
    )
    .await;
    let port = server.address.port();
    let guarded =
        async |path: &str| fetch(&server.guarded, &format!("http://{FRIEND}:{port}{path}"), LIMITS).await;
    assert!(guarded("/file").await.is_ok());
    assert!(guarded("/to/%2Ffile").await.is_ok(), "to the same host");
    // As an address, as a number that is one, and as a name that the resolver refuses.
    for host in ["127.0.0.1", "2130706433", "localhost"] {
        let target = format!("http://{host}:{port}/file");
        assert!(server.fetch(&format!("/to/{target}")).await.is_ok(), "{host} leads to the test's server");
        assert_eq!(
            guarded(&format!("/to/{target}")).await,
            Err(FetchError::Redirect(UrlError::Private)),
            "{host}"
        );
        let direct = fetch(&server.guarded, &target, LIMITS).await;
        assert_eq!(direct, Err(FetchError::Url(UrlError::Private)), "{host}");
    }
    for (target, refusal) in [
        ("http:%2F%2F[::1]:80", UrlError::Private),
        ("file:%2F%2F%2Fetc%2Fpasswd", UrlError::Scheme),
        ("http:%2F%2Fme:pw@friend.example", UrlError::Credentials),
    ] {
        let refused = guarded(&format!("/to/{target}")).await;
        assert_eq!(refused, Err(FetchError::Redirect(refusal)), "{target}");
    }
}
