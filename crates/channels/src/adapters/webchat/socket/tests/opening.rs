//! Who gets the page and a socket.

use super::*;

#[tokio::test]
async fn sockets_open_only_for_whom_they_should() {
    let (_hub, url) = gateway().await;
    let path = format!("/webchat/{CHANNEL}/ws?visitor={VISITOR}");
    assert_eq!(refused(&url, &path, None).await, 101);
    assert_eq!(refused(&url, &path, Some(&url)).await, 101);
    assert_eq!(refused(&url, &path, Some("https://SHOP.example")).await, 101);
    assert_eq!(refused(&url, &path, Some("https://evil.example")).await, 403);
    assert_eq!(refused(&url, &path, Some("null")).await, 403);
    for visitor in ["", "short", "0123456789abcde%20", &"x".repeat(129)] {
        let path = format!("/webchat/{CHANNEL}/ws?visitor={visitor}");
        assert_eq!(refused(&url, &path, None).await, 400, "{visitor}");
    }
    assert_eq!(refused(&url, &format!("{path}&after=x"), None).await, 400);
    assert_eq!(refused(&url, &path.replace('7', "8"), None).await, 404);
    assert_eq!(refused(&url, &format!("/webchat/none/ws?visitor={VISITOR}"), None).await, 404);
}

#[tokio::test]
async fn the_page_looks_as_its_address_says_and_tells_what_it_takes() {
    let (_hub, url) = gateway().await;
    let http = crate::kit::http::operator_client(Duration::from_secs(5)).unwrap();
    let page = async |query: &str| {
        http.get(format!("{url}/webchat/{CHANNEL}{query}")).send().await.unwrap().text().await.unwrap()
    };
    let own = page("").await;
    assert!(own.contains("media=\"(prefers-color-scheme: dark)\"") && own.contains("content=\"light dark\""));
    assert!(
        own.contains("data-max-file=\"1048576\"")
            && own.contains("You can send pictures and other files of up to 1 MB.")
    );
    assert!(!own.contains("--accent: #ffd400"));
    let asked = page("?embed=1&theme=dark&accent=ffd400").await;
    assert!(asked.contains("media=\"all\"") && asked.contains("content=\"dark\""));
    assert!(asked.contains("--accent: #ffd400; "));
}

#[tokio::test]
async fn the_page_comes_with_its_policy() {
    let (_hub, url) = gateway().await;
    let http = crate::kit::http::operator_client(Duration::from_secs(5)).unwrap();
    for path in ["/".to_owned(), format!("/webchat/{CHANNEL}?embed=1")] {
        let response = http.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let nonce = "5a".repeat(16);
        assert_eq!(
            response.headers()["content-security-policy"],
            format!(
                "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
                 connect-src 'self' ws: wss:; img-src https: http: data: blob:; media-src https: http:; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'self' https://shop.example"
            )
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer");
        let page = response.text().await.unwrap();
        assert!(page.contains("<h1>A &lt;b&gt;</h1>") && page.contains("data-greeting=\"Hi\""));
    }
    let widget = http.get(format!("{url}/webchat/widget.js")).send().await.unwrap();
    assert_eq!(widget.headers()["content-type"], "text/javascript; charset=utf-8");
    let missing = http.get(format!("{url}/webchat/{VISITOR}")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.headers()["content-type"], "text/html; charset=utf-8");
}
