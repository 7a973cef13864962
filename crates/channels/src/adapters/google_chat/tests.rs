mod events;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use claw_types::MessageId;
use futures::StreamExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::exam::{ADDON, ADDRESS, Exam, account, claims_of};
use super::poster::CHAT;
use super::*;
use crate::adapters::webhook::testing::{NOW, serve};
use crate::exam::Examinee as _;
use crate::exam::bearer::{self, SECRET, bearing};
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520, Vector};
use crate::kit::jwt::{Expected, PublicKeys};
use crate::kit::testing::{MESSAGE, each_part, made, read};

crate::exam::conformance!(GoogleChat);

const PROJECT: &str = "123456789012";

fn at(url: Option<&str>, audience: &str, spaces: &[&str]) -> Result<GoogleChat, ChannelError> {
    made(json!({
        "service_account_env": account().to_string(), "audience": audience, "space_ids": spaces, "api_url": url,
    }))
}

/// The same as an add-on.
fn addon(url: &str, audience: &str, account_of: &str) -> Result<GoogleChat, ChannelError> {
    made(json!({
        "service_account_env": account().to_string(), "audience": audience, "addon_account": account_of, "api_url": url,
    }))
}

/// A server that has the keys of Google Chat, and others for Google's sign-in.
async fn keys() -> String {
    let of = |vector: Vector| {
        axum::routing::get(move || async move { axum::Json(json!({"keys": [vector.jwk("unused")]})) })
    };
    let router = axum::Router::new()
        .route("/service_accounts/v1/jwk/chat@system.gserviceaccount.com", of(RFC_7515))
        .route("/oauth2/v3/certs", of(RFC_7520));
    serve(router).await
}

fn body(name: &str) -> &'static str {
    Exam.payloads().iter().find(|payload| payload.name == name).unwrap().sent
}

fn posted(name: &str) -> RawRequest {
    signed(body(name))
}

/// As Google Chat signs for a project's number.
fn signed(body: &str) -> RawRequest {
    bearer::signed(SECRET, body, &json!({"iss": CHAT, "aud": PROJECT, "iat": NOW, "exp": NOW + 3600}))
}

fn claiming(claims: &Value, by: Vector) -> RawRequest {
    RawRequest { headers: bearing(by, claims), ..posted("text") }
}

fn is_forged(read: &Result<Vec<Inbound>, ChannelError>) -> bool {
    matches!(read, Err(ChannelError::BadSignature(_)))
}

#[tokio::test]
async fn a_projects_number_is_signed_for_by_google_chat() {
    let chat = at(Some(&keys().await), PROJECT, &[]).unwrap();
    assert_eq!(read(&chat, &posted("text")).await.unwrap().len(), 1);
    let good = json!({"iss": CHAT, "aud": PROJECT, "exp": NOW + 60});
    assert!(read(&chat, &claiming(&good, RFC_7515)).await.is_ok());
    for (key, value) in [
        ("iss", json!("https://accounts.google.com")),
        ("aud", json!("210987654321")),
        ("exp", json!(NOW - 301)),
    ] {
        let mut claims = good.clone();
        claims[key] = value;
        assert!(is_forged(&read(&chat, &claiming(&claims, RFC_7515)).await), "{claims}");
    }
    // Google's sign-in signs for everybody who has an account there.
    assert!(is_forged(&read(&chat, &claiming(&good, RFC_7520)).await));
    let none = RawRequest { headers: HeaderMap::new(), ..posted("text") };
    assert!(is_forged(&read(&chat, &none).await));
}

#[tokio::test]
async fn an_address_is_signed_for_by_googles_sign_in_for_google_chats_account() {
    let chat = at(Some(&keys().await), ADDRESS, &[]).unwrap();
    let good = json!({
        "iss": "https://accounts.google.com", "aud": ADDRESS, "exp": NOW + 60, "email": CHAT, "email_verified": true,
    });
    assert_eq!(read(&chat, &claiming(&good, RFC_7520)).await.unwrap().len(), 1);
    let others = [
        ("email", json!("eve@example.iam.gserviceaccount.com")),
        ("email", Value::Null),
        ("email_verified", json!(false)),
        ("email_verified", json!("true")),
        ("aud", json!("https://claw.example/webhooks/google_chat/another")),
        ("iss", json!(CHAT)),
    ];
    for (key, value) in others {
        let mut claims = good.clone();
        claims[key] = value;
        assert!(is_forged(&read(&chat, &claiming(&claims, RFC_7520)).await), "{claims}");
    }
}

/// Anybody can make an add-on that posts to any address: only the account of the project tells it.
#[tokio::test]
async fn an_add_on_is_known_by_the_account_of_its_project() {
    let chat = addon(&keys().await, ADDRESS, ADDON).unwrap();
    for name in ["addon-text", "text"] {
        let good = RawRequest { headers: bearing(RFC_7520, &claims_of(ADDON, NOW)), ..posted(name) };
        assert_eq!(read(&chat, &good).await.unwrap().len(), 1, "{name}");
    }
    for other in [CHAT, &ADDON.replace("123456789012", "210987654321")] {
        assert!(is_forged(&read(&chat, &claiming(&claims_of(other, NOW), RFC_7520)).await), "{other}");
    }
    for (audience, account) in [(PROJECT, ADDON), (ADDRESS, "bot@exam-project.iam.gserviceaccount.com")] {
        assert!(addon("https://chat.example", audience, account).is_err(), "{audience} {account}");
    }
}

#[test]
fn a_button_of_an_add_on_calls_its_address() {
    let chat = addon("https://chat.example", ADDRESS, ADDON).unwrap();
    assert_eq!(chat.function(), ADDRESS);
    assert_eq!(at(None, PROJECT, &[]).unwrap().function(), "pressed");
    assert_eq!(at(None, ADDRESS, &[]).unwrap().function(), "pressed");
}

/// Google's servers: of a message that is asked for there is this version, and what quotes another one is refused.
#[derive(Clone, Default)]
struct Google {
    asked: Arc<Mutex<Vec<(Method, Value)>>>,
    knows: bool,
    quotes: bool,
}

async fn google(State(google): State<Google>, request: Request) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/token" {
        return axum::Json(json!({"access_token": "t", "expires_in": 3600})).into_response();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_refused = match parts.method {
        Method::GET => !google.knows,
        _ => !google.quotes && body.get("quotedMessageMetadata").is_some(),
    };
    google.asked.lock().unwrap().push((parts.method, body));
    if is_refused {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let message = json!({"name": "spaces/A/messages/N", "createTime": "2023-11-14T22:13:10Z", "lastUpdateTime": "2023-11-14T22:14:10Z"});
    axum::Json(message).into_response()
}

#[tokio::test]
async fn an_answer_quotes_what_it_answers_where_it_can() {
    let question = "spaces/A/messages/Q";
    for (knows, quotes, expected) in [(true, true, 2), (true, false, 3), (false, false, 2)] {
        let google_is = Google { knows, quotes, ..Google::default() };
        let url = serve(axum::Router::new().fallback(google).with_state(google_is.clone())).await;
        let chat = at(Some(&url), PROJECT, &[]).unwrap();
        let message = json!({"text": "yes", "reply_to": question});
        let piece = each_part("spaces/A", &message, &CAPS, |part| part.piece.clone()).remove(0);
        let part = Part {
            message_id: MessageId(MESSAGE),
            seq: 1,
            index: 0,
            recipient: "spaces/A",
            thread_id: None,
            piece: &piece,
            accepted_at: chat.deps.clock.now(),
            replaces: None,
        };
        let sent = chat.send(&part).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sent.platform_message_id, "spaces/A/messages/N");
        let asked = std::mem::take(&mut *google_is.asked.lock().unwrap());
        assert_eq!(asked.len(), expected, "{asked:?}");
        let quoted = json!({"name": question, "lastUpdateTime": "2023-11-14T22:14:10Z"});
        let last = asked.last().unwrap().1.get("quotedMessageMetadata");
        assert_eq!(last, Some(&quoted).filter(|_| quotes), "{asked:?}");
    }
}

/// What is in the answer would become a message of the app's.
#[test]
fn the_answer_to_an_event_is_no_message() {
    assert_eq!(at(None, PROJECT, &[]).unwrap().taken(&posted("text")), Some(Reply::empty_object()));
}

#[tokio::test]
async fn it_listens_in_its_spaces_only() {
    let url = keys().await;
    for (spaces, expected) in [
        (&[][..], 1),
        (&["spaces/AAAAdirect"], 1),
        (&["AAAAdirect"], 1),
        (&["spaces/AAAAroom"], 0),
        (&["spaces/AAAAdirec"], 0),
    ] {
        let chat = at(Some(&url), PROJECT, spaces).unwrap();
        assert_eq!(read(&chat, &posted("text")).await.unwrap().len(), expected, "{spaces:?}");
    }
}

#[tokio::test]
async fn odd_parts_of_an_event_do_not_hide_the_rest() {
    let chat = at(Some(&keys().await), PROJECT, &[]).unwrap();
    let mut event: Value = serde_json::from_str(body("text")).unwrap();
    event["message"]["annotations"] = json!([7, {"userMention": {}}]);
    event["message"]["attachment"] = json!([null]);
    let request = signed(&event.to_string());
    assert_eq!(read(&chat, &request).await.unwrap()[0].text.as_deref(), Some("Good morning 👋"));
    for body in ["", "[]", "{}", r#"{"type": 7}"#] {
        let request = signed(body);
        assert!(matches!(read(&chat, &request).await, Err(ChannelError::BadRequest(_))), "{body}");
    }
}

#[tokio::test]
async fn each_attachment_is_told() {
    let chat = at(Some(&keys().await), PROJECT, &[]).unwrap();
    let mut event: Value = serde_json::from_str(body("image")).unwrap();
    let picture = event["message"]["attachment"][0].clone();
    event["message"]["attachment"].as_array_mut().unwrap().push(picture);
    let messages = read(&chat, &signed(&event.to_string())).await.unwrap();
    assert!(messages.iter().all(|message| message.media.is_some()) && messages.len() == 2, "{messages:?}");
}

/// The calls that a message becomes.
fn calls_of(extra: &Value) -> Vec<Result<calls::Call, ChannelError>> {
    each_part("spaces/A", extra, &CAPS, |part| calls::of_part(part, calls::PRESSED))
}

fn call_of(extra: &Value) -> calls::Call {
    calls_of(extra).remove(0).unwrap()
}

#[test]
fn each_part_has_one_request_id() {
    let long = "word ".repeat(2000);
    let ids: Vec<_> =
        calls_of(&json!({"text": long})).into_iter().map(|call| call.unwrap().query[0].clone()).collect();
    let id = MESSAGE;
    assert_eq!(ids[..2], [("requestId", id.to_string()), ("requestId", format!("{id}:1"))]);
}

#[test]
fn an_answer_goes_into_its_thread_or_one_of_the_callers_own() {
    let threaded = call_of(&json!({"text": "hi", "thread_id": "T"}));
    assert_eq!(threaded.body.unwrap()["thread"], json!({"name": "spaces/A/threads/T"}));
    assert_eq!(threaded.query[1], ("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD".to_owned()));
    let own = call_of(&json!({"text": "hi", "thread_id": "key:daily report"}));
    assert_eq!(own.body.unwrap()["thread"], json!({"threadKey": "daily report"}));
    assert_eq!(call_of(&json!({"text": "hi"})).query.len(), 1);
}

#[test]
fn an_edit_says_what_becomes_another() {
    let edit = |extra: Value| {
        let mut message = json!({"act": {"type": "edit", "message_id": "spaces/A/messages/B.B"}});
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        call_of(&message)
    };
    let text = edit(json!({"text": "now"}));
    assert_eq!((text.method, text.resource.as_str()), (Method::PATCH, "spaces/A/messages/B.B"));
    assert_eq!(text.query, [("updateMask", "text,cardsV2".to_owned())]);
    assert_eq!(
        text.body,
        Some(json!({"text": "now", "cardsV2": []})),
        "an edit without buttons takes them away"
    );
    let buttons = edit(json!({"buttons": [[{"text": "a", "data": "b"}]]}));
    assert_eq!(buttons.query, [("updateMask", "cardsV2".to_owned())]);
}

#[test]
fn pictures_that_go_together_are_widgets_of_one_card() {
    let picture = |name: &str| json!({"kind": "image", "url": format!("https://example.org/{name}")});
    let two = json!({"text": "look", "media": [picture("a"), picture("b")]});
    assert_eq!(calls_of(&two).len(), 1);
    let body = call_of(&two).body.unwrap();
    assert_eq!((&body["text"], body["cardsV2"].as_array().unwrap().len()), (&json!("look"), 1));
    let widgets = body["cardsV2"][0]["card"]["sections"][0]["widgets"].as_array().unwrap();
    let addresses: Vec<_> = widgets.iter().map(|widget| &widget["image"]["imageUrl"]).collect();
    assert_eq!(addresses, [&json!("https://example.org/a"), &json!("https://example.org/b")]);
    let pressed = json!({"text": "pick", "media": [picture("a"), picture("b")], "buttons": [[{"text": "A", "data": "a"}]]});
    let bodies: Vec<_> = calls_of(&pressed).into_iter().map(|call| call.unwrap().body.unwrap()).collect();
    assert_eq!((bodies.len(), bodies[0].get("text"), &bodies[1]["text"]), (2, None, &json!("pick")));
    let plain = json!({"media": [picture("a"), {"kind": "image", "url": "http://example.org/b"}]});
    assert!(
        matches!(calls_of(&plain).remove(0), Err(ChannelError::Permanent(why)) if why.contains("https://"))
    );
}

#[test]
fn what_is_no_name_is_refused_with_a_sentence() {
    let refused = |extra: Value| match calls_of(&extra).remove(0) {
        Err(ChannelError::Permanent(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(json!({"text": "hi", "recipient": "AAAA"})).contains("spaces/AAAA"));
    assert!(refused(json!({"text": "hi", "recipient": "spaces/A/../../v1"})).contains("spaces/AAAA"));
    let edit = json!({"text": "hi", "act": {"type": "edit", "message_id": "7"}});
    assert!(refused(edit).contains("platform_message_id"));
    let plain = json!({"media": [{"kind": "image", "url": "http://example.org/a.png"}]});
    assert!(refused(plain).contains("https://"));
}

#[test]
fn a_text_calls_nobody() {
    let text = |extra: Value| call_of(&extra).body.unwrap()["text"].as_str().unwrap().to_owned();
    for text in
        [text(json!({"text": "<users/all> hi"})), text(json!({"text": "<users/all> hi", "format": "plain"}))]
    {
        assert!(!text.contains("<users/all>"), "{text}");
        assert_eq!(text.replace('\u{200B}', ""), "<users/all> hi");
    }
    assert_eq!(text(json!({"text": "**a** [b](https://x.org)"})), "*a* <https://x.org|b>");
}

/// What Google checks before it hands out a token: the account's signature, the scope, the audience and the time.
#[tokio::test]
async fn an_access_token_is_given_for_a_signed_assertion() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let token = async move |form: String| {
        let pairs: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        assert_eq!(pairs["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let keys =
            PublicKeys::read(json!({"keys": [RFC_7520.jwk("unused")]}).to_string().as_bytes()).unwrap();
        let issuer = "bot@exam-project.iam.gserviceaccount.com";
        let expected = Expected { issuers: &[issuer], audience: "https://oauth2.googleapis.com/token" };
        let assertion = keys.verify(&pairs["assertion"], expected, NOW).unwrap();
        assert_eq!(assertion.text("scope"), Some("https://www.googleapis.com/auth/chat.bot"));
        assert_eq!((&assertion.claims["iat"], &assertion.claims["exp"]), (&json!(NOW), &json!(NOW + 3600)));
        counted.fetch_add(1, Ordering::SeqCst);
        axum::Json(json!({"access_token": "t", "expires_in": 3600}))
    };
    let media = async |headers: HeaderMap| headers[AUTHORIZATION].to_str().unwrap().to_owned();
    let router = axum::Router::new()
        .route("/token", axum::routing::post(token))
        .route("/v1/media/{resource}", axum::routing::get(media));
    let chat = at(Some(&serve(router).await), PROJECT, &[]).unwrap();
    for _ in 0..2 {
        let media =
            MediaRef { kind: MediaKind::Image, handle: "ClxzcGFj".to_owned(), filename: None, mime: None };
        let stream = chat.open_media(&media).await.unwrap_or_else(|error| panic!("{error}"));
        let bytes = stream.bytes.map(Result::unwrap).collect::<Vec<_>>().await.concat();
        assert_eq!(bytes, b"Bearer t");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn what_is_no_key_file_is_told_without_a_word_of_it() {
    let told_of = |account: &str| {
        let made = made::<GoogleChat>(json!({"service_account_env": account, "audience": PROJECT}));
        made.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let broken = account().to_string().replace("BEGIN PRIVATE KEY", "BEGIN OTHER KEY");
    for (account, expected) in [
        ("AIzaSecret", "is not the content"),
        ("{}", "is not the content"),
        (&broken, "private_key in service_account_env"),
    ] {
        let told = told_of(account);
        assert!(told.contains("service_account_env") && told.contains(expected), "{told}");
        assert!(!told.contains("AIzaSecret") && !told.contains("MII"), "{told}");
    }
    assert_eq!(told_of(&account().to_string()), "");
    assert!(at(None, "my project", &[]).is_err_and(|error| error.to_string().contains("audience")));
}

#[test]
fn one_app_is_in_one_channel() {
    let credentials = |key: &str, email: &str, audience: &str| {
        let mut file = account();
        file["private_key_id"] = json!(key);
        file["client_email"] = json!(email);
        let config = json!({"service_account_env": file.to_string(), "audience": audience});
        GoogleChat::credentials(&serde_json::from_value(config).unwrap())
    };
    let (one, other) = ("exam@one.iam.gserviceaccount.com", "another@one.iam.gserviceaccount.com");
    let app = credentials("1", one, PROJECT);
    assert_eq!(app, credentials("2", one, PROJECT), "a renewed key is of the same account");
    let [account, project] = app.as_slice() else { panic!("{app:?}") };
    assert!(!account.contains("exam"));
    assert_eq!(credentials("1", other, PROJECT)[1], *project, "a project has one app, whichever its account");
    assert_eq!(credentials("1", one, "https://claw.example.org/x"), std::slice::from_ref(account));
}
