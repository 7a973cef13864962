use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use claw_runtime::ManualClock;
use claw_types::{Deed, MessageId, Outbound};
use futures::StreamExt as _;
use http::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use super::exam::{APP, Exam, TENANT, sign};
use super::*;
use crate::adapters::webhook::testing::{NOW, Recorder, deps, serve};
use crate::exam::{Examinee as _, Payload};
use crate::kit::jwt::SigningKey;
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520, Vector};
use crate::kit::plan::plan;

crate::exam::conformance!(Teams);

/// A bot, and a server of keys and tokens for it.
struct Set {
    teams: Teams,
}

impl Set {
    async fn new(tenant: Option<&str>, endorsed: &'static str) -> Self {
        let keys = move || async move { axum::Json(json!({"keys": [RFC_7515.jwk(endorsed)]})) };
        let url = serve(axum::Router::new().route("/v1/.well-known/keys", axum::routing::get(keys))).await;
        Self { teams: at(&url, tenant) }
    }

    async fn read(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.teams.prepare(request).await?;
        self.teams.decode(request)
    }

    async fn forged(&self, request: &RawRequest) -> String {
        match self.read(request).await {
            Err(ChannelError::BadSignature(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn at(url: &str, tenant: Option<&str>) -> Teams {
    let config = json!({"app_id": APP, "app_password_env": "secret", "tenant_id": tenant, "api_url": url});
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
    let deps = Deps { clock, ..deps(Arc::new(Recorder::default())) };
    Teams::new(serde_json::from_value(config).unwrap(), deps).unwrap()
}

fn payload(name: &str) -> &'static Payload {
    Exam.payloads().iter().find(|payload| payload.name == name).unwrap()
}

fn activity(name: &str, change: fn(&mut Value)) -> RawRequest {
    let mut activity: Value = serde_json::from_str(payload(name).sent).unwrap();
    change(&mut activity);
    sign(RFC_7515.kid, &activity.to_string(), NOW)
}

/// A request with a token of other claims.
fn claiming(change: fn(&mut Value), by: Vector) -> RawRequest {
    let genuine = activity("text", |_| {});
    let mut claims = json!({
        "iss": ISSUER, "aud": APP, "serviceurl": "https://smba.trafficmanager.net/emea/", "nbf": NOW, "exp": NOW + 3600,
    });
    change(&mut claims);
    let token = SigningKey::from_pem(by.pem).unwrap().token(by.kid, &claims).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    RawRequest { headers, ..genuine }
}

/// The calls that a message becomes.
fn calls_of(extra: &Value) -> Vec<Result<calls::Call, ChannelError>> {
    let mut message = json!({"recipient": "a:1"});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let message: Outbound = serde_json::from_value(message).unwrap();
    message.validate().unwrap();
    let call = |(index, piece)| {
        calls::of_part(&Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index,
            recipient: &message.recipient,
            thread_id: message.thread_id.as_deref(),
            piece,
            accepted_at: DateTime::UNIX_EPOCH,
            replaces: None,
        })
    };
    plan(&message, &CAPS).unwrap().parts.iter().enumerate().map(call).collect()
}

/// Where requests without a signature are taken, anybody is the bot's best friend.
#[tokio::test]
async fn nothing_is_taken_that_microsoft_did_not_sign_for_this_bot() {
    let set = Set::new(None, CHANNEL).await;
    assert!(set.read(&claiming(|_| {}, RFC_7515)).await.is_ok());
    let none = RawRequest { headers: HeaderMap::new(), ..activity("text", |_| {}) };
    assert!(set.forged(&none).await.contains("no bearer token"));
    let other = |change| set_forged(&set, change);
    assert!(other(|claims| claims["aud"] = json!("another-bot")).await.contains("audience"));
    assert!(other(|claims| claims["iss"] = json!("https://sts.windows.net/")).await.contains("issuer"));
    assert!(other(|claims| claims["exp"] = json!(NOW - 301)).await.contains("expired"));
    assert!(
        other(|claims| claims["serviceurl"] = json!("https://evil.example/")).await.contains("serviceUrl")
    );
    assert!(other(|claims| claims["serviceurl"] = Value::Null).await.contains("serviceUrl"));
    assert!(set.forged(&claiming(|_| {}, RFC_7520)).await.contains("key"));
    let elsewhere = activity("text", |activity| activity["channelId"] = json!("webchat"));
    assert!(set.forged(&elsewhere).await.contains("not of Microsoft Teams"));
    let unendorsed = Set::new(None, "webchat").await;
    assert!(unendorsed.forged(&activity("text", |_| {})).await.contains("may not speak"));
}

async fn set_forged(set: &Set, change: fn(&mut Value)) -> String {
    set.forged(&claiming(change, RFC_7515)).await
}

#[tokio::test]
async fn without_keys_nothing_is_taken_and_it_is_posted_again() {
    let teams = at("http://127.0.0.1:1", None);
    let request = activity("text", |_| {});
    assert!(matches!(teams.prepare(&request).await, Err(ChannelError::Retryable(_))));
    assert!(matches!(teams.decode(&request), Err(ChannelError::BadSignature(_))));
}

#[tokio::test]
async fn an_organisation_keeps_its_bot_to_itself() {
    let set = Set::new(Some(TENANT), CHANNEL).await;
    assert_eq!(set.read(&activity("text", |_| {})).await.unwrap().len(), 1);
    let other = |activity: &mut Value| activity["channelData"]["tenant"]["id"] = json!("another");
    assert!(matches!(set.read(&activity("text", other)).await, Err(ChannelError::BadRequest(_))));
    let none = |activity: &mut Value| {
        activity["channelData"] = Value::Null;
        activity["conversation"]["tenantId"] = Value::Null;
    };
    assert!(matches!(set.read(&activity("text", none)).await, Err(ChannelError::BadRequest(_))));
}

#[tokio::test]
async fn an_edit_and_a_deletion_name_the_message_that_they_are_of() {
    let set = Set::new(None, CHANNEL).await;
    let key = async |name: &str| set.read(&activity(name, |_| {})).await.unwrap().remove(0);
    let (text, again) = (key("text").await, key("text-again").await);
    assert_eq!(key("edited").await.deed, Deed::Edited(text.dedup_key.unwrap()));
    assert_eq!(key("deleted").await.deed, Deed::Deleted(again.dedup_key.unwrap()));
}

#[tokio::test]
async fn what_the_bot_wrote_is_its_own_and_what_programs_wrote_is_theirs() {
    let set = Set::new(None, CHANNEL).await;
    let own = |activity: &mut Value| activity["from"]["id"] = json!(format!("28:{}", APP.to_uppercase()));
    let message = set.read(&activity("text", own)).await.unwrap().remove(0);
    assert!(message.is_own && message.sender_is_bot);
    let other = |activity: &mut Value| activity["from"]["id"] = json!("28:another");
    let message = set.read(&activity("text", other)).await.unwrap().remove(0);
    assert!(!message.is_own && message.sender_is_bot);
}

#[tokio::test]
async fn odd_parts_of_an_activity_do_not_hide_the_rest() {
    let set = Set::new(None, CHANNEL).await;
    let odd = |activity: &mut Value| {
        activity["attachments"] =
            json!([7, {"contentType": "image/png"}, {"contentType": "text/html", "content": {}}]);
        activity["entities"] = json!([null, {"type": "mention"}]);
    };
    let message = set.read(&activity("text", odd)).await.unwrap().remove(0);
    assert_eq!((message.text.as_deref(), message.media), (Some("Good morning 👋"), None));
    for body in ["", "[]", "{}", r#"{"type": 7}"#] {
        let request = RawRequest { body: body.into(), ..activity("text", |_| {}) };
        assert!(matches!(set.read(&request).await, Err(ChannelError::BadRequest(_))), "{body}");
    }
}

#[tokio::test]
async fn each_attachment_is_told() {
    let set = Set::new(None, CHANNEL).await;
    let two = |activity: &mut Value| {
        let picture = activity["attachments"][0].clone();
        activity["attachments"].as_array_mut().unwrap().push(picture);
    };
    let messages = set.read(&activity("image", two)).await.unwrap();
    assert!(messages.iter().all(|message| message.media.is_some()) && messages.len() == 2, "{messages:?}");
    assert_ne!(messages[0].dedup_key, messages[1].dedup_key);
}

#[test]
fn a_thread_is_addressed_by_its_first_message() {
    let path = |extra: Value| calls_of(&extra).remove(0).unwrap().path.join("/");
    assert_eq!(path(json!({"text": "hi"})), "v3/conversations/a:1/activities");
    let thread = json!({"text": "hi", "recipient": "19:a@thread.tacv2", "thread_id": "170"});
    assert_eq!(path(thread), "v3/conversations/19:a@thread.tacv2;messageid=170/activities");
    let edit = json!({"text": "hi", "act": {"type": "edit", "message_id": "7"}});
    assert_eq!(path(edit), "v3/conversations/a:1/activities/7");
}

#[test]
fn buttons_are_actions_of_a_card_below_the_text() {
    let row: Vec<_> = (0..7).map(|n| json!({"text": n.to_string(), "data": "d"})).collect();
    let rows = json!([row, [{"text": "Site", "url": "https://example.org"}]]);
    let call = calls_of(&json!({"text": "**pick**", "buttons": rows})).remove(0).unwrap().body.unwrap();
    assert_eq!((call["text"].as_str(), call["textFormat"].as_str()), (Some("**pick**"), Some("markdown")));
    let body = call["attachments"][0]["content"]["body"].as_array().unwrap();
    let lengths: Vec<_> = body.iter().map(|set| set["actions"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [6, 1, 1], "six fit side by side");
    assert_eq!(body[0]["actions"][0]["data"], json!({"pressed": {"data": "d", "text": "0"}}));
    assert_eq!(
        body[2]["actions"][0],
        json!({"type": "Action.OpenUrl", "title": "Site", "url": "https://example.org"})
    );
}

#[test]
fn plain_text_is_sent_as_that() {
    let call = calls_of(&json!({"text": "**a**\nb", "format": "plain"})).remove(0).unwrap().body.unwrap();
    assert_eq!(call, json!({"type": "message", "text": "**a**\nb", "textFormat": "plain"}));
    let call = calls_of(&json!({"text": "**a**\nb"})).remove(0).unwrap().body.unwrap();
    assert_eq!(call["text"], "**a**  \nb", "a line that ends stays one");
}

#[test]
fn what_teams_would_refuse_is_refused_with_a_sentence() {
    let refused = |extra: Value| match calls_of(&extra).remove(0) {
        Err(ChannelError::Permanent(why)) => why,
        other => panic!("{other:?}"),
    };
    let plain = json!({"media": [{"kind": "image", "url": "http://example.org/a.png"}]});
    assert!(refused(plain).contains("https://"));
    let buttons =
        json!({"act": {"type": "edit", "message_id": "7"}, "buttons": [[{"text": "a", "data": "b"}]]});
    assert!(refused(buttons).contains("send the text again"));
}

/// The token is the bot: it goes to the connector and to nobody who only says that he keeps an attachment.
#[tokio::test]
async fn attachments_are_opened_with_the_token_where_the_connector_keeps_them_only() {
    let file = |headers: HeaderMap| async move {
        let token = headers.get(AUTHORIZATION).map_or("none", |token| token.to_str().unwrap()).to_owned();
        Bytes::from(token)
    };
    let token = || async { axum::Json(json!({"access_token": "t", "expires_in": 3600})) };
    let router = || {
        let token = axum::routing::post(token);
        axum::Router::new()
            .route("/{tenant}/oauth2/v2.0/token", token)
            .route("/v3/attachments/1/views/original", axum::routing::get(file))
    };
    let (connector, stranger) = (serve(router()).await, serve(router()).await);
    let teams = at(&connector, None);
    let opened = async |server: &str| {
        let handle = format!("{server}/v3/attachments/1/views/original");
        let media = MediaRef { kind: MediaKind::Image, handle, filename: None, mime: None };
        let stream = teams.open_media(&media).await.unwrap_or_else(|error| panic!("{error}"));
        stream.bytes.map(Result::unwrap).collect::<Vec<_>>().await.concat()
    };
    assert_eq!(opened(&connector).await, b"Bearer t");
    assert_eq!(opened(&stranger).await, b"none");
}

#[test]
fn ids_that_are_none_are_told() {
    let made = |id: &str, tenant: &str| {
        let config = json!({"app_id": id, "app_password_env": "secret", "tenant_id": tenant});
        let made = Teams::new(serde_json::from_value(config).unwrap(), deps(Arc::new(Recorder::default())));
        made.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(made("my bot", TENANT).starts_with("app_id is not an id"));
    assert!(made(APP, "contoso").starts_with("tenant_id is not an id"));
    assert_eq!(made(APP, TENANT), "");
}

#[test]
fn one_bot_is_in_one_channel() {
    let credential = |id: &str, secret: &str| {
        let config = json!({"app_id": id, "app_password_env": secret});
        Teams::credential(&serde_json::from_value(config).unwrap())
    };
    assert_eq!(credential(APP, "1"), credential(&APP.to_uppercase(), "2"));
}
