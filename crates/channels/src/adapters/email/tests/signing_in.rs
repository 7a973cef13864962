//! Signing in with access tokens.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::post;

use super::*;
use crate::adapters::webhook::testing::serve;

/// A server that numbers its tokens, and what it was sent for them.
async fn token_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (given, noted) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&asked));
    let give = async move |body: String| {
        noted.lock().unwrap().push(body);
        let number = given.fetch_add(1, Ordering::SeqCst) + 1;
        axum::Json(json!({"access_token": format!("token-{number}"), "expires_in": 3600}))
    };
    (serve(Router::new().route("/token", post(give))).await, asked)
}

fn by_token(server: &str, extra: &Value) -> Value {
    let mut fields = json!({"sign_in": "oauth2", "client_id": "c", "token_url": format!("{server}/token"), "password_env": null});
    fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    fields
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_asked_for_anew() {
    let (server, asked) = token_server().await;
    let room = Room::enter().await;
    let fields = by_token(
        &server,
        &json!({"refresh_token_env": "r", "client_secret_env": "s", "imap_port": room.imap}),
    );
    let channel = made(&fields).unwrap();
    room.mails.takes("token-1");
    channel.imap().await.unwrap();
    channel.imap().await.unwrap();
    assert_eq!(
        asked.lock().unwrap().as_slice(),
        ["grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=r"]
    );
    room.mails.takes("token-2");
    channel.imap().await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2);
    room.mails.takes("another");
    let refused = channel.imap().await.err();
    assert!(
        matches!(&refused, Some(ChannelError::BadCredentials(why)) if why.contains("access token") && !why.contains("token-")),
        "{refused:?}"
    );
    assert_eq!(asked.lock().unwrap().len(), 3, "it is not asked for again and again");
}

#[tokio::test]
async fn an_application_needs_no_refresh_token() {
    let (server, asked) = token_server().await;
    let room = Room::enter().await;
    let fields =
        json!({"sign_in": "microsoft", "client_secret_env": "s", "tenant_id": "t", "imap_port": room.imap});
    made(&by_token(&server, &fields)).unwrap().imap().await.unwrap();
    let scope = "https%3A%2F%2Foutlook.office365.com%2F.default";
    let form = format!("grant_type=client_credentials&client_id=c&client_secret=s&scope={scope}");
    assert_eq!(asked.lock().unwrap().as_slice(), [form]);
}

#[test]
fn what_tokens_need_is_told() {
    let why = |extra: Value| {
        let mut fields = json!({"password_env": null});
        fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        match made(&fields) {
            Err(ChannelError::Config(why)) => why,
            other => panic!("{extra}: {:?}", other.err()),
        }
    };
    assert!(why(json!({"sign_in": "google"})).starts_with("client_id is needed"));
    assert!(why(json!({"sign_in": "google", "client_id": "c"})).starts_with("refresh_token_env is needed"));
    let client = |name: &str| json!({"sign_in": name, "client_id": "c", "client_secret_env": "s"});
    assert!(why(client("microsoft")).starts_with("tenant_id is needed"));
    assert!(why(client("oauth2")).starts_with("token_url is needed"));
    assert!(why(json!({"sign_in": "microsoft", "client_id": "c"})).contains("client_secret_env"));
    assert!(why(json!({"sign_in": "password"})).starts_with("password_env is needed"));
    let refresh = |name: &str| json!({"sign_in": name, "client_id": "c", "refresh_token_env": "r", "password_env": null});
    assert!(made(&refresh("google")).is_ok() && made(&refresh("microsoft")).is_ok());
}

#[test]
fn tokens_are_asked_for_only_where_the_operator_lets_channels_call() {
    let deps = Deps { http: Http::new(false).unwrap(), ..deps(Arc::new(Recorder::default())) };
    let fields = by_token(
        "http://10.0.0.1",
        &json!({"imap_host": "imap.example.org", "smtp_host": "smtp.example.org",
        "encryption": "tls", "refresh_token_env": "r"}),
    );
    let refused = Email::new(serde_json::from_value(config(&fields)).unwrap(), deps).err();
    assert!(
        matches!(&refused, Some(ChannelError::Config(why)) if why.starts_with("token_url") && why.contains("private")),
        "{refused:?}"
    );
}
