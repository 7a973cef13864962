mod cards;
mod files;

use bytes::Bytes;
use chrono::DateTime;
use claw_types::{Deed, Named, Receipts};
use futures::StreamExt as _;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use super::exam::{APP, Exam, PASSWORD, TENANT, claims, sign};
use super::*;
use crate::adapters::webhook::testing::{NOW, serve};
use crate::exam::Examinee as _;
use crate::exam::bearer::{SECRET, bearing};
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520, Vector};
use crate::kit::testing::{each_part, forged, made, read};

crate::exam::conformance!(Teams);

/// A bot at a server of keys that may speak for `endorsed`.
async fn bot(tenant: Option<&str>, endorsed: &'static str) -> Teams {
    let keys = move || async move { axum::Json(json!({"keys": [RFC_7515.jwk(endorsed)]})) };
    at(&serve(axum::Router::new().route("/v1/.well-known/keys", axum::routing::get(keys))).await, tenant)
}

fn at(url: &str, tenant: Option<&str>) -> Teams {
    made(json!({"app_id": APP, "app_password_env": PASSWORD, "tenant_id": tenant, "api_url": url})).unwrap()
}

/// The error of fields beside the two that are needed.
fn why_not(extra: &Value) -> String {
    let mut fields = json!({"app_id": APP, "app_password_env": "secret"});
    fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    made::<Teams>(fields).err().map(|error| error.to_string()).unwrap_or_default()
}

fn payload(name: &str) -> &'static str {
    Exam.payloads().iter().find(|payload| payload.name == name).unwrap().sent
}

fn activity(name: &str, change: impl FnOnce(&mut Value)) -> RawRequest {
    let mut activity: Value = serde_json::from_str(payload(name)).unwrap();
    change(&mut activity);
    sign(SECRET, &activity.to_string(), NOW)
}

/// A request with a token of other claims.
fn claiming(change: impl FnOnce(&mut Value), by: Vector) -> RawRequest {
    let mut claims = claims(payload("text"), NOW);
    change(&mut claims);
    RawRequest { headers: bearing(by, &claims), ..activity("text", |_| {}) }
}

/// The calls that a message becomes.
fn calls_of(extra: &Value) -> Vec<Result<calls::Call, ChannelError>> {
    each_part("a:1", extra, &CAPS, calls::of_part)
}

fn body_of(extra: &Value) -> Value {
    calls_of(extra).remove(0).unwrap().body.unwrap()
}

/// By which a backend may choose its agent.
#[tokio::test]
async fn a_channel_is_called_by_its_name() {
    let teams = bot(None, CHANNEL).await;
    let named =
        activity("channel", |activity| activity["channelData"]["channel"]["name"] = json!("deep_research"));
    let message = read(&teams, &named).await.unwrap().remove(0);
    assert_eq!(
        (&message.metadata["channel_name"], &message.metadata["chat_title"]),
        (&json!("deep_research"), &json!("Research"))
    );
    let first = read(&teams, &activity("channel", |_| {})).await.unwrap().remove(0);
    assert_eq!(first.metadata.get("channel_name"), None, "of a team's first channel Teams tells none");
}

/// Where requests without a signature are taken, anybody is the bot's best friend.
#[tokio::test]
async fn nothing_is_taken_that_microsoft_did_not_sign_for_this_bot() {
    let teams = bot(None, CHANNEL).await;
    assert!(read(&teams, &claiming(|_| {}, RFC_7515)).await.is_ok());
    let none = RawRequest { headers: HeaderMap::new(), ..activity("text", |_| {}) };
    assert!(forged(&teams, &none).await.contains("no bearer token"));
    let other = async |change: fn(&mut Value)| forged(&teams, &claiming(change, RFC_7515)).await;
    assert!(other(|claims| claims["aud"] = json!("another-bot")).await.contains("audience"));
    assert!(other(|claims| claims["iss"] = json!("https://sts.windows.net/")).await.contains("issuer"));
    assert!(other(|claims| claims["exp"] = json!(NOW - 301)).await.contains("expired"));
    assert!(
        other(|claims| claims["serviceurl"] = json!("https://evil.example/")).await.contains("serviceUrl")
    );
    assert!(other(|claims| claims["serviceurl"] = Value::Null).await.contains("serviceUrl"));
    assert!(forged(&teams, &claiming(|_| {}, RFC_7520)).await.contains("key"));
    let elsewhere = activity("text", |activity| activity["channelId"] = json!("webchat"));
    assert!(forged(&teams, &elsewhere).await.contains("not of Microsoft Teams"));
    let unendorsed = bot(None, "webchat").await;
    assert!(forged(&unendorsed, &activity("text", |_| {})).await.contains("may not speak"));
}

/// What is signed for one cloud says nothing in another.
#[tokio::test]
async fn a_cloud_has_an_issuer_of_its_own() {
    let keys = async || axum::Json(json!({"keys": [RFC_7515.jwk(CHANNEL)]}));
    let url = serve(axum::Router::new().route("/v1/.well-known/keys", axum::routing::get(keys))).await;
    let of = |cloud: &str| -> Teams {
        made(json!({"app_id": APP, "app_password_env": PASSWORD, "cloud": cloud, "api_url": url})).unwrap()
    };
    for (cloud, issuer) in [
        ("public", "https://api.botframework.com"),
        ("gcc", "https://api.botframework.com"),
        ("gcc_high", "https://api.botframework.us"),
        ("dod", "https://api.botframework.us"),
        ("china", "https://api.botframework.azure.cn"),
    ] {
        let teams = of(cloud);
        let own = claiming(|claims| claims["iss"] = json!(issuer), RFC_7515);
        assert_eq!(read(&teams, &own).await.unwrap().len(), 1, "{cloud}");
        let other = claiming(|claims| claims["iss"] = json!("https://api.botframework.example"), RFC_7515);
        assert!(forged(&teams, &other).await.contains("issuer"), "{cloud}");
    }
}

#[test]
fn a_cloud_is_one_of_a_list_and_calls_stay_in_it() {
    assert_eq!(why_not(&json!({"cloud": "dod"})), "");
    assert!(why_not(&json!({"cloud": "moon"})).starts_with("cloud must be one of: public"));
    assert!(why_not(&json!({"cloud": "china"})).starts_with("service_url is needed in this cloud"));
    let china = "https://frontend.botapi.msg.infra.teams.microsoftonline.cn/x";
    assert_eq!(why_not(&json!({"cloud": "china", "service_url": china})), "");
    assert_eq!(why_not(&json!({"service_url": "https://smba.trafficmanager.net/emea"})), "");
    for elsewhere in ["https://evil.example/", "http://smba.trafficmanager.net/emea", china] {
        assert!(
            why_not(&json!({"service_url": elsewhere})).starts_with("service_url is not of"),
            "{elsewhere}"
        );
    }
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
    let teams = bot(Some(TENANT), CHANNEL).await;
    assert_eq!(read(&teams, &activity("text", |_| {})).await.unwrap().len(), 1);
    let other = |activity: &mut Value| activity["channelData"]["tenant"]["id"] = json!("another");
    assert!(matches!(read(&teams, &activity("text", other)).await, Err(ChannelError::BadRequest(_))));
    let none = |activity: &mut Value| {
        activity["channelData"] = Value::Null;
        activity["conversation"]["tenantId"] = Value::Null;
    };
    assert!(matches!(read(&teams, &activity("text", none)).await, Err(ChannelError::BadRequest(_))));
}

#[tokio::test]
async fn an_edit_and_a_deletion_name_the_message_that_they_are_of() {
    let teams = bot(None, CHANNEL).await;
    let key = async |name: &str| read(&teams, &activity(name, |_| {})).await.unwrap().remove(0);
    let (text, again) = (key("text").await, key("text-again").await);
    assert_eq!(key("edited").await.deed, Deed::Edited(text.dedup_key.unwrap()));
    assert_eq!(key("deleted").await.deed, Deed::Deleted(again.dedup_key.unwrap()));
}

#[tokio::test]
async fn who_read_a_message_read_all_before_it() {
    let teams = bot(None, CHANNEL).await;
    let told = async |last: Value| {
        let request = activity("read", |activity| activity["value"]["lastReadMessageId"] = last);
        read(&teams, &request).await.unwrap().pop().map(|told| told.deed)
    };
    let receipt = |messages| Some(Deed::Received(Receipts { messages, read: true, failed: None }));
    let named = |id: &str| Named::Platform(id.to_owned());
    let time = Named::UpTo(DateTime::from_timestamp_millis(1_700_000_021_000).unwrap());
    assert_eq!(told(json!("1700000021000")).await, receipt(vec![named("1700000021000"), time]));
    assert_eq!(
        told(json!("f:1")).await,
        receipt(vec![named("f:1")]),
        "an id that is no time names one message"
    );
    assert_eq!(told(json!(null)).await, None);
    let other = activity("read", |activity| activity["name"] = json!("application/vnd.microsoft.meetingEnd"));
    assert!(read(&teams, &other).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_the_bot_wrote_is_its_own_and_what_programs_wrote_is_theirs() {
    let teams = bot(None, CHANNEL).await;
    let own = |activity: &mut Value| activity["from"]["id"] = json!(format!("28:{}", APP.to_uppercase()));
    let message = read(&teams, &activity("text", own)).await.unwrap().remove(0);
    assert!(message.is_own && message.sender_is_bot);
    let other = |activity: &mut Value| activity["from"]["id"] = json!("28:another");
    let message = read(&teams, &activity("text", other)).await.unwrap().remove(0);
    assert!(!message.is_own && message.sender_is_bot);
}

#[tokio::test]
async fn odd_parts_of_an_activity_do_not_hide_the_rest() {
    let teams = bot(None, CHANNEL).await;
    let odd = |activity: &mut Value| {
        activity["attachments"] =
            json!([7, {"contentType": "image/png"}, {"contentType": "text/html", "content": {}}]);
        activity["entities"] = json!([null, {"type": "mention"}]);
    };
    let message = read(&teams, &activity("text", odd)).await.unwrap().remove(0);
    assert_eq!((message.text.as_deref(), message.media), (Some("Good morning 👋"), None));
    for body in ["", "[]", "{}", r#"{"type": 7}"#] {
        let request = RawRequest { body: body.into(), ..activity("text", |_| {}) };
        assert!(matches!(read(&teams, &request).await, Err(ChannelError::BadRequest(_))), "{body}");
    }
}

#[tokio::test]
async fn each_attachment_is_told() {
    let teams = bot(None, CHANNEL).await;
    let two = |activity: &mut Value| {
        let picture = activity["attachments"][0].clone();
        activity["attachments"].as_array_mut().unwrap().push(picture);
    };
    let messages = read(&teams, &activity("image", two)).await.unwrap();
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
fn plain_text_is_sent_as_that() {
    let call = body_of(&json!({"text": "**a**\nb", "format": "plain"}));
    assert_eq!(call, json!({"type": "message", "text": "**a**\nb", "textFormat": "plain"}));
    let call = body_of(&json!({"text": "**a**\nb"}));
    assert_eq!(call["text"], "**a**  \nb", "a line that ends stays one");
}

#[test]
fn an_answer_quotes_what_it_answers_but_in_a_thread() {
    let answered = body_of(&json!({"text": "**yes**", "reply_to": "1700"}));
    assert_eq!(answered["text"], "<quoted messageId=\"1700\"/>**yes**");
    assert_eq!(answered["entities"], json!([{"type": "quotedReply", "quotedReply": {"messageId": "1700"}}]));
    let threaded = body_of(&json!({"text": "yes", "reply_to": "1700", "thread_id": "170"}));
    assert_eq!((&threaded["text"], threaded.get("entities")), (&json!("yes"), None));
    let shown = json!({"text": "yes", "reply_to": "1700", "media": [{"kind": "image", "url": "https://example.org/a"}]});
    let calls: Vec<_> = calls_of(&shown).into_iter().map(|call| call.unwrap().body.unwrap()).collect();
    assert_eq!((calls.len(), calls[0].get("entities")), (2, None), "a card quotes nothing");
    assert_eq!(calls[1]["text"], "<quoted messageId=\"1700\"/>yes");
    let odd = calls_of(&json!({"text": "yes", "reply_to": "1\"/><at>x</at>"})).remove(0);
    assert!(matches!(odd, Err(ChannelError::Permanent(why)) if why.contains("reply_to")));
}

#[test]
fn a_reaction_is_set_by_its_name() {
    let react = |emoji: Option<&str>| {
        calls_of(&json!({"act": {"type": "react", "message_id": "7", "emoji": emoji}})).remove(0)
    };
    let call = react(Some("✅")).unwrap();
    let path = "v3/conversations/a:1/activities/7/reactions/2705_whiteheavycheckmark";
    assert_eq!((call.method, call.path.join("/").as_str(), call.body), (Method::PUT, path, None));
    for other in [Some("🐈"), None] {
        assert!(matches!(react(other), Err(ChannelError::Permanent(_))), "{other:?}");
    }
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
    assert!(why_not(&json!({"app_id": "my bot"})).starts_with("app_id is not an id"));
    assert!(why_not(&json!({"tenant_id": "contoso"})).starts_with("tenant_id is not an id"));
    assert_eq!(why_not(&json!({"tenant_id": TENANT})), "");
}

#[test]
fn one_bot_is_in_one_channel() {
    let credentials = |id: &str, secret: &str| {
        let config = json!({"app_id": id, "app_password_env": secret});
        Teams::credentials(&serde_json::from_value(config).unwrap())
    };
    assert_eq!(credentials(APP, "1"), credentials(&APP.to_uppercase(), "2"));
    assert_eq!(credentials(APP, "1").len(), 1);
}
