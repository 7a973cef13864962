//! The picture that people see of a film before they play it, without which LINE takes none
//! (<https://developers.line.biz/en/reference/messaging-api/#video-message>): JPEG or PNG, of at most 1 MB.
//!
//! It is the same for every film, because nothing here looks into films. Gateways serve it to everybody, below `/media`, which is
//! reachable from outside anyhow.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use url::Url;

/// Where gateways serve it.
const PATH: &str = "/media/film.jpg";
static PICTURE: &[u8] = include_bytes!("../../../assets/line/film.jpg");

/// Serves it.
pub(super) fn routes() -> Router {
    Router::new().route(PATH, get(picture))
}

async fn picture() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "image/jpeg"),
        (CACHE_CONTROL, "public, max-age=86400"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PICTURE)
}

/// Its address for LINE, which fetches by https only; `None` where gateways are reached by nothing of that kind.
pub(super) fn address(gateways: Option<&Url>) -> Option<String> {
    let gateways = gateways.filter(|url| url.scheme() == "https")?;
    Some(format!("{}{PATH}", gateways.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::adapters::webhook::testing::{Recorder, deps, serve};

    #[test]
    fn its_address_is_behind_that_of_the_gateways() {
        let at = |url: &str| address(Some(&Url::parse(url).unwrap()));
        assert_eq!(
            at("https://claw.example.org").as_deref(),
            Some("https://claw.example.org/media/film.jpg")
        );
        assert_eq!(
            at("https://example.org/claw/").as_deref(),
            Some("https://example.org/claw/media/film.jpg"),
            "behind a path"
        );
        assert_eq!(at("http://localhost:4200"), None);
        assert_eq!(address(None), None);
    }

    #[tokio::test]
    async fn everybody_gets_it() {
        let url = serve(routes()).await;
        let http = deps(Arc::new(Recorder::default())).http;
        let answer = http.calls().get(format!("{url}{PATH}")).send().await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], "image/jpeg");
        assert_eq!(answer.bytes().await.unwrap(), PICTURE);
    }

    #[test]
    fn it_is_a_jpeg_within_the_limit() {
        assert_eq!(infer::get(PICTURE).unwrap().mime_type(), "image/jpeg");
        assert!(PICTURE.ends_with(b"\xff\xd9") && PICTURE.len() < 1_000_000);
    }
}
