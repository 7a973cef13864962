use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap as Headers, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use claw_secrets::signature::sign_sha1_base64;
use claw_telemetry::metrics;
use claw_types::{Deed, MessageId, Outbound};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps, serve};
use crate::kit::plan::{Piece, plan};

crate::exam::conformance!(Sms);

mod peer;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "12345";
const KEY: &str = "SK0123456789abcdef0123456789abcdef";

fn config(extra: &Value) -> Value {
    let mut config = json!({"account_sid": ACCOUNT, "auth_token_env": TOKEN, "from": "+15017122661"});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config
}

fn made(extra: &Value) -> Result<Sms, ChannelError> {
    Sms::new(serde_json::from_value(config(extra)).unwrap(), deps(Arc::new(Recorder::default())))
}

fn path() -> String {
    format!("/webhooks/sms/{}", Uuid::from_u128(7))
}

/// A text, posted to an address that is signed as `signed`.
fn posted(signed: &str, host: &str, query: &str) -> RawRequest {
    let body = "MessageSid=SM1&From=%2B1&Body=hello+you";
    let text = format!("{signed}Bodyhello youFrom+1MessageSidSM1");
    let signature = HeaderValue::try_from(sign_sha1_base64(TOKEN.as_bytes(), text.as_bytes())).unwrap();
    let headers = HeaderMap::from_iter([
        (address::SIGNATURE.parse().unwrap(), signature),
        (http::header::HOST, host.parse().unwrap()),
    ]);
    RawRequest { headers, query: query.to_owned(), body: body.into() }
}

/// The example of <https://www.twilio.com/docs/usage/security#validating-requests>.
#[test]
fn the_signature_is_that_of_twilios_own_example() {
    let body =
        "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212";
    let text = format!("https://mycompany.com/myapp.php?foo=1&bar=2{}", Form::of(body.as_bytes()).signed());
    assert_eq!(sign_sha1_base64(TOKEN.as_bytes(), text.as_bytes()), "0/KCTR6DLpKmkAf8muzZqo1nDgQ=");
}

#[test]
fn the_address_is_signed_as_it_stands_in_the_console() {
    let own = made(&json!({"public_url": "https://claw.example.org/"})).unwrap();
    let from_host = made(&json!({})).unwrap();
    let behind = made(&json!({"public_url": "https://example.org/claw"})).unwrap();
    let path = path();
    for (channel, signed, query) in [
        (&own, format!("https://claw.example.org{path}"), ""),
        (&own, format!("https://claw.example.org:443{path}"), ""),
        (&own, format!("https://claw.example.org{path}?a=1&b"), "a=1&b"),
        (&behind, format!("https://example.org/claw{path}"), ""),
        (&behind, format!("https://example.org:443/claw{path}"), ""),
        (&from_host, format!("https://inside:4200{path}"), ""),
        (&from_host, format!("http://inside:4200{path}"), ""),
    ] {
        let read = channel.decode(&posted(&signed, "inside:4200", query)).unwrap();
        assert_eq!(read[0].text.as_deref(), Some("hello you"), "{signed}");
    }
    for (channel, signed, query) in [
        (&own, format!("https://inside:4200{path}"), ""),
        (&own, format!("https://claw.example.org{path}"), "a=1"),
        (&own, format!("https://claw.example.org/webhooks/sms/{}", Uuid::from_u128(8)), ""),
        (&from_host, format!("https://elsewhere{path}"), ""),
    ] {
        let told = channel.decode(&posted(&signed, "inside:4200", query));
        assert!(matches!(told, Err(ChannelError::BadSignature(_))), "{signed}: {told:?}");
    }
}

#[test]
fn a_webhook_rule_with_another_key_is_told_of() {
    let mut request = posted(&format!("https://h{}", path()), "h", "");
    let settings = HeaderValue::from_static("key=k,algorithm=HMAC_SHA256");
    request.headers.insert("x-twilio-webhooks-signature-settings", settings);
    let Err(ChannelError::BadSignature(why)) = made(&json!({})).unwrap().decode(&request) else {
        panic!("it is refused")
    };
    assert!(why.contains("webhook rule"), "{why}");
}

#[test]
fn what_is_no_message_is_a_bad_request() {
    let channel = made(&json!({})).unwrap();
    let signature = sign_sha1_base64(TOKEN.as_bytes(), format!("https://h{}a1", path()).as_bytes());
    let headers = HeaderMap::from_iter([
        (address::SIGNATURE.parse().unwrap(), HeaderValue::try_from(signature).unwrap()),
        (http::header::HOST, HeaderValue::from_static("h")),
    ]);
    let request = RawRequest { headers, query: String::new(), body: "a=1".into() };
    assert!(matches!(channel.decode(&request), Err(ChannelError::BadRequest(_))));
}

fn read(body: &str) -> Vec<Inbound> {
    incoming::read(&Form::of(body.as_bytes()), Some("+15017122661")).unwrap()
}

#[test]
fn only_what_arrived_or_never_will_is_a_receipt() {
    let deed = |status: &str| {
        let read = read(&format!("MessageSid=SM1&MessageStatus={status}&To=%2B1&ErrorCode=30003"));
        read.into_iter().next().map(|message| message.deed)
    };
    for status in ["queued", "sending", "sent", "of+the+future"] {
        assert_eq!(deed(status), None, "{status}");
    }
    for (status, is_read) in [("delivered", false), ("read", true)] {
        let Some(Deed::Received(receipts)) = deed(status) else { panic!("{status}") };
        assert_eq!((receipts.read, receipts.failed), (is_read, None));
    }
    for status in ["failed", "undelivered"] {
        let Some(Deed::Received(receipts)) = deed(status) else { panic!("{status}") };
        assert!(
            receipts.failed.unwrap().ends_with("https://www.twilio.com/docs/api/errors/30003)"),
            "{status}"
        );
    }
}

#[test]
fn a_word_that_stops_is_one_only_when_it_is_all() {
    let count = |text: &str| read(&format!("MessageSid=SM1&From=%2B1&Body={text}")).len();
    assert_eq!((count("STOP"), count("+unsubscribe+"), count("Please+stop"), count("YES")), (0, 0, 1, 1));
}

#[test]
fn what_is_left_to_twilio_is_counted() {
    metrics::begin();
    let counted = || {
        let text = metrics::scrape();
        let line = "claw_messages_ignored_total{reason=\"opt_out\"} ";
        text.lines().find_map(|one| one.strip_prefix(line)).map_or(0_u64, |count| count.parse().unwrap())
    };
    // Other tests of this process may count, too.
    for form in ["MessageSid=SM1&From=%2B1&Body=END", "MessageSid=SM1&From=%2B1&Body=hi&OptOutType=HELP"] {
        let before = counted();
        assert!(read(form).is_empty(), "{form}");
        assert!(counted() > before, "{form}");
    }
}

#[test]
fn a_text_from_the_own_number_is_marked() {
    assert!(read("MessageSid=SM1&From=%2B15017122661&Body=echo")[0].is_own);
}

#[test]
fn an_attachment_elsewhere_is_not_fetched_with_the_token() {
    let media = |url: &str| {
        let url = format!("MessageSid=MM1&From=%2B1&NumMedia=1&MediaContentType0=image/png&MediaUrl0={url}");
        read(&url)[0].media.clone().map(|media| media.handle)
    };
    assert_eq!(media("https://a.example/x/Messages/MM1/Media/ME1").as_deref(), Some("MM1/ME1"));
    for url in ["https://a.example/", "https://a/Messages/../Media/x", "https://a/Messages/a/Media/b%3Fc", ""]
    {
        assert_eq!(media(url), None, "{url}");
    }
}

fn message(extra: &Value) -> Outbound {
    let mut message = json!({"recipient": "+15558675310"});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let message: Outbound = serde_json::from_value(message).unwrap();
    message.validate().unwrap();
    message
}

fn part<'a>(message: &'a Outbound, index: usize, piece: &'a Piece) -> Part<'a> {
    Part {
        message_id: MessageId(Uuid::from_u128(9)),
        seq: 1,
        index,
        recipient: &message.recipient,
        thread_id: None,
        piece,
        accepted_at: DateTime::UNIX_EPOCH,
        replaces: None,
    }
}

/// The forms that a message becomes.
fn forms(extra: &Value, from: &str) -> Vec<calls::Fields> {
    let message = message(extra);
    let form = |(index, piece)| {
        let source = Source::new(from).unwrap();
        calls::message(&part(&message, index, piece), &source, Some("https://h/x")).unwrap()
    };
    plan(&message, &CAPS).unwrap().parts.iter().enumerate().map(form).collect()
}

#[test]
fn attachments_go_together_with_their_text() {
    let service = "MG0123456789abcdef0123456789abcdef";
    let media = |name: &str| json!({"kind": "image", "url": format!("https://example.org/{name}")});
    let sent = forms(&json!({"text": "**two**", "media": [media("a.png"), media("b.png")]}), service);
    let field = |name, value: &str| (name, value.to_owned());
    let all = vec![
        field("To", "+15558675310"),
        field("MessagingServiceSid", service),
        field("Body", "two"),
        field("MediaUrl", "https://example.org/a.png"),
        field("MediaUrl", "https://example.org/b.png"),
        field("StatusCallback", "https://h/x"),
    ];
    assert_eq!(sent, [all]);
}

#[test]
fn fields_that_make_no_sense_are_told_with_what_to_change() {
    let why = |extra: Value| match made(&extra) {
        Err(ChannelError::Config(why)) => why,
        other => panic!("{extra}: {:?}", other.err()),
    };
    assert!(why(json!({"account_sid": "12345"})).starts_with("account_sid is not"));
    assert!(why(json!({"auth_token_env": ""})).starts_with("auth_token_env is empty"));
    for from in ["", "Acme", "+1", "+1501712266112345", "MG12"] {
        assert!(why(json!({"from": from})).starts_with("from is neither"), "{from}");
    }
    for url in ["claw.example.org", "ftp://x", "https://x/?a", "https://u:p@x", "https://x#a"] {
        assert!(why(json!({"public_url": url})).starts_with("public_url is not"), "{url}");
    }
    assert!(why(json!({"api_url": "x"})).starts_with("api_url is not"));
    assert!(
        why(json!({"api_key_sid": ACCOUNT, "api_key_secret_env": "s"})).starts_with("api_key_sid is not")
    );
    assert!(why(json!({"api_key_sid": KEY})).starts_with("api_key_secret_env is missing"));
    for from in ["+15017122661", "72975", "15017122661"] {
        assert!(made(&json!({"from": from})).is_ok(), "{from}");
    }
}

#[test]
fn one_number_is_in_one_channel() {
    let credentials = |from: &str, token: &str| {
        let config = config(&json!({"from": from, "auth_token_env": token}));
        Sms::credentials(&serde_json::from_value(config).unwrap())
    };
    let number = credentials("+15017122661", "secret");
    let [shown] = number.as_slice() else { panic!("an account's token is all its numbers': {number:?}") };
    assert!(!shown.contains("secret"));
    assert_ne!(number, credentials("+15017122662", "secret"));
    assert_eq!(number, credentials("+15017122661", "renewed"));
}

/// Twilio leads on to where attachments are kept, and that server must not see the token.
#[tokio::test]
async fn an_attachment_is_followed_without_the_token() {
    let kept = Router::new().route(
        "/kept",
        get(async |headers: Headers| match headers.get("authorization") {
            None => ([("content-type", "image/png")], "picture").into_response(),
            Some(_) => StatusCode::IM_A_TEAPOT.into_response(),
        }),
    );
    let kept = serve(kept).await;
    let media = "/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}";
    let twilio = Router::new().route(
        media,
        get(async move |Path(ids): Path<[String; 3]>, headers: Headers| {
            let is_known =
                headers.contains_key("authorization") && ids == [ACCOUNT, "MM1", "ME1"].map(str::to_owned);
            if is_known {
                Redirect::temporary(&format!("{kept}/kept")).into_response()
            } else {
                StatusCode::NOT_FOUND.into_response()
            }
        }),
    );
    let channel = made(&json!({"api_url": serve(twilio).await})).unwrap();
    let of = |handle: &str| MediaRef {
        kind: MediaKind::Image,
        handle: handle.to_owned(),
        filename: None,
        mime: None,
    };
    let mut opened = channel.open_media(&of("MM1/ME1")).await.unwrap();
    assert_eq!(opened.content_type.as_deref(), Some("image/png"));
    assert_eq!(opened.bytes.next().await.unwrap().unwrap(), "picture");
    assert!(matches!(channel.open_media(&of("MM1/ME2")).await, Err(ChannelError::Permanent(_))));
}

/// Twilio signs with the account's token, whoever makes the calls.
#[tokio::test]
async fn an_api_key_makes_the_calls_and_the_token_judges_what_is_posted() {
    let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let twilio = Router::new().fallback(async move |uri: Uri, headers: Headers| {
        let by = headers["authorization"].to_str().unwrap().to_owned();
        noted.lock().unwrap().push((uri.to_string(), by));
        axum::Json(json!({"sid": "SM1", "friendly_name": "Ada's", "status": "active", "type": "Full"}))
    });
    let server = serve(twilio).await;
    let channel =
        made(&json!({"api_url": server, "api_key_sid": KEY, "api_key_secret_env": "secret"})).unwrap();
    assert_eq!(channel.probe().await.unwrap().account.as_deref(), Some("+15017122661"));
    let text = message(&json!({"text": "hi"}));
    channel.send(&part(&text, 0, &plan(&text, &CAPS).unwrap().parts[0])).await.unwrap();
    let messages = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let by = format!("Basic {}", STANDARD.encode(format!("{KEY}:secret")));
    let expected = [(format!("{messages}?PageSize=1"), by.clone()), (messages, by)];
    assert_eq!(*asked.lock().unwrap(), expected);
    assert_eq!(channel.decode(&posted(&format!("https://h{}", path()), "h", "")).unwrap().len(), 1);
    let without = made(&json!({"api_url": server})).unwrap();
    assert_eq!(without.probe().await.unwrap().details["name"], json!("Ada's"));
}
