//! What a person asks for by way of their platform, and is done behind the answer to it: Teams, by which people say that they want a file.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use chrono::Utc;
use claw_channels::kit::jwt::SigningKey;
use claw_channels::kit::jwt::vectors::RFC_7515;
use claw_secrets::signature::{hmac_sha256, sign};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::common::{TestGateway, read};

const APP: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const PERSON: &str = "a:1nyu3RTK8xH4nQm1jH0cQ9oF6kYx3W";
const SERVICE: &str = "https://smba.trafficmanager.net/emea/";

/// Microsoft's servers, the person's and the one that has the file; hears of what is put there.
async fn microsoft(gateway: &TestGateway) -> (String, mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    let (told, puts) = mpsc::unbounded_channel();
    let router = Router::new().fallback(answer).with_state(told);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    gateway.lifecycle.spawn("microsoft", async move { axum::serve(listener, router).await.unwrap() });
    (url, puts)
}

async fn answer(State(told): State<mpsc::UnboundedSender<(String, Vec<u8>)>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    match (request.method().as_str(), path.as_str()) {
        ("GET", "/report.pdf") => "the report".into_response(),
        ("GET", _) => Json(json!({"keys": [RFC_7515.jwk("msteams")]})).into_response(),
        ("PUT", _) => {
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
            told.send((path, body.to_vec())).unwrap();
            Json(json!({"id": "1"})).into_response()
        }
        _ => Json(json!({"access_token": "t", "expires_in": 3600})).into_response(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the gateway goes by the real time")]
fn token() -> String {
    let now = Utc::now().timestamp();
    let claims =
        json!({"iss": "https://api.botframework.com", "aud": APP, "serviceurl": SERVICE, "exp": now + 3600});
    SigningKey::from_pem(RFC_7515.pem).unwrap().token(RFC_7515.kid, &claims).unwrap()
}

/// A person's yes to the question about the file, which was asked with this secret.
fn consent(url: &str, secret: &str) -> Value {
    let file = json!([PERSON, {"kind": "file", "url": format!("{url}/report.pdf")}]).to_string();
    let key = hmac_sha256(secret.as_bytes(), &[b"file consent"]);
    json!({
        "type": "invoke", "name": "fileConsent/invoke", "id": "f:1", "replyToId": "1700000020000",
        "channelId": "msteams", "serviceUrl": SERVICE, "from": {"id": "29:ada"},
        "conversation": {"id": PERSON, "conversationType": "personal"},
        "value": {
            "type": "fileUpload", "action": "accept",
            "context": {"signature": sign(&key, file.as_bytes()), "file": file},
            "uploadInfo": {
                "name": "report.pdf", "uploadUrl": format!("{url}/place"), "contentUrl": "https://contoso.sharepoint.com/report.pdf",
                "uniqueId": "1", "fileType": "pdf",
            },
        },
    })
}

#[tokio::test]
async fn a_file_that_a_person_wants_is_uploaded_behind_the_answer() {
    let gateway = TestGateway::start().await;
    let (url, mut puts) = microsoft(&gateway).await;
    let fields = json!({"app_id": APP, "app_password_env": "secret", "api_url": url});
    let body = json!({"channel_type": "teams", "fields": fields, "probe": false});
    let made = gateway.call("POST", "/api/users/u/channels/teams/configure", body).await.expect(201);
    let path = made["webhook_path"].as_str().unwrap();
    // The first is to no question of this bot's: nothing is put anywhere for it.
    for secret in ["another", "secret"] {
        let request = gateway.request("POST", path).bearer_auth(token()).json(&consent(&url, secret));
        assert_eq!(read(request).await.expect(200)["status"], "ignored", "it is no message");
    }
    let mut put = async || tokio::time::timeout(Duration::from_secs(20), puts.recv()).await.unwrap().unwrap();
    assert_eq!(put().await, ("/place".to_owned(), b"the report".to_vec()));
    let (shown, card) = put().await;
    assert_eq!(shown, format!("/v3/conversations/{PERSON}/activities/1700000020000"));
    let card: Value = serde_json::from_slice(&card).unwrap();
    assert_eq!(card["attachments"][0]["name"], "report.pdf");
    assert!(gateway.pending().await.is_empty());
}
