//! Files, which come beside the socket.

use claw_types::MediaKind;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// The status and the answer to a file of this visitor's, sent by a page of this site.
async fn post(url: &str, query: &str, visitor: &str, origin: &str, file: Vec<u8>) -> (u16, Value) {
    let http = crate::kit::http::operator_client(Duration::from_secs(5)).unwrap();
    let request = http
        .post(format!("{url}/webchat/{CHANNEL}/files?{query}"))
        .header("ii-claw-visitor", visitor)
        .header("origin", origin)
        .header("content-type", "image/png")
        .body(file);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_file_is_a_message_of_its_visitor_once() {
    let (hub, url) = gateway().await;
    let query = "client_id=f1&name=a%2Fcat.png";
    let (status, first) = post(&url, query, VISITOR, &url, PNG.to_vec()).await;
    assert_eq!((status, &first["duplicate"], &first["seq"]), (200, &json!(false), &json!(1)));
    let (status, again) = post(&url, query, VISITOR, &url, PNG.to_vec()).await;
    assert_eq!((status, &again["duplicate"], &again["id"]), (200, &json!(true), &first["id"]));
    let files = hub.files.lock().unwrap();
    let (message, bytes) = &files[0];
    let own = conversation_id(CHANNEL, VISITOR);
    assert_eq!(bytes, PNG);
    assert_eq!(message.platform_message_id, Some(format!("{own}:f1")), "the key that a text would have");
    assert_eq!((&message.recipient, message.content_type.as_str()), (&own, "image"));
    let media = message.media.as_ref().unwrap();
    assert_eq!((media.kind, media.filename.as_deref()), (MediaKind::Image, Some("cat.png")));
}

#[tokio::test]
async fn another_visitors_file_of_the_same_name_is_another_message() {
    let (hub, url) = gateway().await;
    post(&url, "client_id=f1", VISITOR, &url, PNG.to_vec()).await;
    let (status, other) = post(&url, "client_id=f1", "fedcba9876543210", &url, PNG.to_vec()).await;
    assert_eq!((status, &other["duplicate"]), (200, &json!(false)));
    let files = hub.files.lock().unwrap();
    assert_ne!(files[0].0.recipient, files[1].0.recipient);
}

#[tokio::test]
async fn what_may_not_come_in_is_refused_with_a_sentence() {
    let (hub, url) = gateway().await;
    let mut large = PNG.to_vec();
    large.resize((1 << 20) + 1, 0);
    let mut film = b"\0\0\0\x18ftypmp42".to_vec();
    film.resize(64, 0);
    for (status, query, visitor, origin, file) in [
        (403, "client_id=f", VISITOR, "https://evil.example", PNG.to_vec()),
        (403, "client_id=f", VISITOR, "null", PNG.to_vec()),
        (400, "client_id=f", "", url.as_str(), PNG.to_vec()),
        (400, "client_id=f", "short", url.as_str(), PNG.to_vec()),
        (400, "client_id=a:b", VISITOR, url.as_str(), PNG.to_vec()),
        (400, "name=x", VISITOR, url.as_str(), PNG.to_vec()),
        (400, "client_id=f", VISITOR, url.as_str(), Vec::new()),
        (413, "client_id=f", VISITOR, url.as_str(), large),
        (415, "client_id=f", VISITOR, url.as_str(), film),
    ] {
        let (answered, body) = post(&url, query, visitor, origin, file).await;
        assert_eq!(answered, status, "{query} {visitor} {origin}");
        assert!(body["error"].as_str().unwrap().len() > 10, "{body}");
    }
    assert!(hub.files.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_picture_in_name_only_is_no_picture() {
    let (hub, url) = gateway().await;
    post(&url, "client_id=f1&name=cat.png", VISITOR, &url, b"<script>".to_vec()).await;
    let files = hub.files.lock().unwrap();
    assert_eq!(files[0].0.media.as_ref().unwrap().kind, MediaKind::File);
}

#[tokio::test]
async fn what_says_no_length_is_cut_off_at_the_limit() {
    let (hub, url) = gateway().await;
    let http = crate::kit::http::operator_client(Duration::from_secs(5)).unwrap();
    let chunks = (0..=16).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 1 << 16])));
    let response = http
        .post(format!("{url}/webchat/{CHANNEL}/files?client_id=f1"))
        .header("ii-claw-visitor", VISITOR)
        .body(reqwest::Body::wrap_stream(futures::stream::iter(chunks.collect::<Vec<_>>())))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 413);
    assert!(hub.files.lock().unwrap().is_empty());
}
