//! Films and sounds: what LINE is told of them, and when they go as links.

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use url::Url;

use super::*;
use crate::adapters::webhook::testing::serve;
use crate::kit::graph::testing::{parts_of, send};
use crate::kit::length::samples::{SOUND, SPOKEN};

const MP4: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

fn file(content_type: &'static str, bytes: &'static [u8]) -> MethodRouter {
    get(move || async move { ([(CONTENT_TYPE, content_type)], bytes) })
}

/// One that tells this length.
fn large(content_type: &'static str, length: &'static str) -> MethodRouter {
    get(move || async move {
        let zeros = futures::stream::repeat_with(|| Ok::<_, String>(Bytes::from(vec![0; 1 << 16])));
        ([(CONTENT_TYPE, content_type), (CONTENT_LENGTH, length)], Body::from_stream(zeros))
    })
}

/// Where the caller keeps attachments.
async fn files() -> String {
    let router = Router::new()
        .route("/sound", file("audio/mpeg", &SOUND))
        .route("/spoken", file("audio/ogg", SPOKEN))
        .route("/silent", file("audio/mpeg", b"ID3\x03\0\0\0\0\0\0"))
        .route("/page", file("text/html", b"<p>Please sign in</p>"))
        .route("/film", file("application/octet-stream", MP4))
        .route("/told", file("video/mp4; codecs=avc1", b"?"))
        .route("/webm", file("video/webm", b"\x1a\x45\xdf\xa3 and so on"))
        .route("/large-film", large("video/mp4", "200000001"))
        .route("/large-sound", large("audio/mpeg", "50000001"));
    serve(router).await
}

/// The message that an attachment becomes.
async fn said(line: &Line, server: &Meta, kind: &str, url: &str) -> Value {
    server.will(200, &json!({"sentMessages": [{"id": "6"}]}));
    let extra = json!({"media": [{"kind": kind, "url": url}]});
    send(line, &CAPS, "U1", &extra).await.remove(0).unwrap();
    let call = server.asked().remove(0);
    // LINE fetches by https only; the test's server has no certificate.
    let body = call.body.replace("\"http://127.0.0.1:", "\"https://127.0.0.1:");
    exam::call("POST", &call.path, &serde_json::from_str(&body).unwrap()).unwrap();
    call.json()["messages"][0].clone()
}

#[tokio::test]
async fn of_a_sound_its_length_is_told() {
    let (server, files) = (Meta::start().await, files().await);
    let line = line_at(&server, &json!({}));
    for kind in ["audio", "voice"] {
        let url = format!("{files}/sound");
        let expected = json!({"type": "audio", "originalContentUrl": url, "duration": 104});
        assert_eq!(said(&line, &server, kind, &url).await, expected);
    }
}

#[tokio::test]
async fn a_film_has_the_picture_that_gateways_serve() {
    let (server, files) = (Meta::start().await, files().await);
    let line = line_at(&server, &json!({}));
    for name in ["film", "told"] {
        let url = format!("{files}/{name}");
        let expected = json!({"type": "video", "originalContentUrl": url,
            "previewImageUrl": "https://claw.example.org/media/film.jpg"});
        assert_eq!(said(&line, &server, "video", &url).await, expected);
    }
}

#[tokio::test]
async fn what_line_does_not_play_goes_as_a_link() {
    let (server, files) = (Meta::start().await, files().await);
    let line = line_at(&server, &json!({}));
    for (kind, name) in [
        ("voice", "spoken"),
        ("audio", "silent"),
        ("audio", "large-sound"),
        ("video", "webm"),
        ("video", "large-film"),
    ] {
        let url = format!("{files}/{name}");
        assert_eq!(said(&line, &server, kind, &url).await, json!({"type": "text", "text": url}), "{name}");
    }
}

#[tokio::test]
async fn a_film_is_a_link_where_line_reaches_no_gateway() {
    let (server, files) = (Meta::start().await, files().await);
    for public_url in [None, Some(Url::parse("http://localhost:4200").unwrap())] {
        let config =
            json!({"channel_secret_env": "secret", "access_token_env": "token", "api_url": server.url()});
        let deps = Deps { public_url, ..deps(Arc::new(Recorder::default())) };
        let line = Line::new(serde_json::from_value(config).unwrap(), deps).unwrap();
        let url = format!("{files}/film");
        assert_eq!(said(&line, &server, "video", &url).await, json!({"type": "text", "text": url}));
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_sound_is_refused_with_a_sentence() {
    let (server, files) = (Meta::start().await, files().await);
    let line = line_at(&server, &json!({}));
    for (kind, name) in [("audio", "page"), ("video", "page"), ("voice", "gone")] {
        let extra = json!({"media": [{"kind": kind, "url": format!("{files}/{name}")}]});
        let refused = send(&line, &CAPS, "U1", &extra).await.remove(0);
        assert!(matches!(&refused, Err(ChannelError::Permanent(_))), "{refused:?}");
    }
    assert!(server.asked().is_empty(), "nothing is sent");
}

#[tokio::test]
async fn a_link_that_is_longer_than_a_text_is_refused_with_a_sentence() {
    let extra =
        json!({"media": [{"kind": "audio", "url": format!("https://example.org/{}", "a".repeat(5000))}]});
    let refused = send(&line(), &CAPS, "U1", &extra).await.remove(0);
    assert!(matches!(&refused, Err(ChannelError::Permanent(why)) if why.contains("5000")), "{refused:?}");
}

/// Neither is fetched here: the test would wait for a network.
#[tokio::test]
async fn what_line_does_not_fetch_goes_as_a_link() {
    let long = format!("https://example.org/{}", "a".repeat(2000));
    for (kind, url) in [("audio", "http://example.org/a.mp3"), ("video", long.as_str())] {
        let message = parts_of::message("U1", &json!({"media": [{"kind": kind, "url": url}]}));
        let plan = plan(&message, &CAPS).unwrap();
        assert_eq!(plan.degraded, [], "it may be played");
        let form = line().looks.form(&parts_of::part(&message, 0, &plan.parts[0])).await;
        assert!(matches!(form, Ok(Form::Link(why)) if why.contains("https")), "{url}");
    }
}
