//! Tokens and keys against a real server of keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use chrono::{DateTime, TimeDelta};
use claw_runtime::ManualClock;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use url::Url;

use super::vectors::{RFC_7515, RFC_7520, Vector};
use super::*;
use crate::adapters::webhook::testing::{NOW, Recorder, deps, serve};
use crate::{ChannelError, Deps};

const EXPECTED: Expected<'_> = Expected { issuers: &["https://issuer.example"], audience: "us" };

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "aud": "us", "exp": NOW + 3600, "nbf": NOW})
}

fn token(by: Vector, claims: &Value) -> String {
    SigningKey::from_pem(by.pem).unwrap().token(by.kid, claims).unwrap()
}

fn keys() -> PublicKeys {
    let document = json!({"keys": [RFC_7515.jwk("one"), {"kty": "EC", "kid": "other"}, 7]});
    PublicKeys::read(document.to_string().as_bytes()).unwrap()
}

fn verified(token: &str, now: i64) -> Result<Map<String, Value>, NotGenuine> {
    keys().verify(token, EXPECTED, now).map(|verified| verified.claims)
}

#[test]
fn a_genuine_token_is_read() {
    let keys = keys();
    let token = token(RFC_7515, &claims());
    let verified = keys.verify(&token, EXPECTED, NOW).unwrap();
    assert_eq!(
        (verified.text("aud"), verified.key.endorsements.as_slice()),
        (Some("us"), ["one".to_owned()].as_slice())
    );
    assert_eq!(keys.0.len(), 1, "keys of other kinds are left out");
}

/// The example of RFC 7515, appendix A.2: its key and its signature, made by somebody else's program.
#[test]
fn a_signature_of_the_standards_own_example_is_right() {
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let key = &keys().0[RFC_7515.kid];
    let components = RsaPublicKeyComponents { n: &key.n, e: &key.e };
    let signature = BASE64.decode(signature).unwrap();
    assert!(components.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok());
}

#[test]
fn what_is_not_the_platforms_is_refused() {
    let genuine = token(RFC_7515, &claims());
    let parts: Vec<&str> = genuine.split('.').collect();
    let head = |header: Value| BASE64.encode(header.to_string());
    let with_head = |header: Value| format!("{}.{}.{}", head(header), parts[1], parts[2]);
    let others =
        BASE64.encode(json!({"iss": "https://issuer.example", "aud": "us", "exp": NOW + 9}).to_string());
    let cases = [
        (String::new(), NotGenuine::Malformed),
        ("a.b.c".to_owned(), NotGenuine::Malformed),
        ("x".repeat(LONGEST) + &genuine, NotGenuine::Malformed),
        (format!("{}.{}", parts[0], parts[1]), NotGenuine::Malformed),
        (format!("{}.{others}.{}", parts[0], parts[2]), NotGenuine::Signature),
        (format!("{}.{}.", parts[0], parts[1]), NotGenuine::Signature),
        (format!("{genuine}A"), NotGenuine::Signature),
        // By who has a key of his own and the name of the platform's.
        (token(Vector { kid: RFC_7515.kid, ..RFC_7520 }, &claims()), NotGenuine::Signature),
        (token(RFC_7520, &claims()), NotGenuine::Key),
        (with_head(json!({"alg": "none", "kid": RFC_7515.kid})), NotGenuine::Algorithm),
        // The public key as if it were a shared secret.
        (with_head(json!({"alg": "HS256", "kid": RFC_7515.kid})), NotGenuine::Algorithm),
        (with_head(json!({"alg": "RS256", "kid": RFC_7515.kid, "crit": ["exp"]})), NotGenuine::Algorithm),
        (with_head(json!({"alg": "RS256"})), NotGenuine::Key),
    ];
    for (token, why) in cases {
        assert_eq!(verified(&token, NOW), Err(why), "{token}");
    }
}

#[test]
fn issuer_audience_and_time_are_looked_at() {
    let changed = |key: &str, value: Value| {
        let mut claims = claims();
        claims[key] = value;
        verified(&token(RFC_7515, &claims), NOW).map(drop)
    };
    assert_eq!(changed("iss", json!("https://other.example")), Err(NotGenuine::Issuer));
    assert_eq!(changed("iss", Value::Null), Err(NotGenuine::Issuer));
    assert_eq!(changed("aud", json!("others")), Err(NotGenuine::Audience));
    assert_eq!(changed("aud", json!(["others", "us"])), Ok(()));
    assert_eq!(changed("aud", json!(["others"])), Err(NotGenuine::Audience));
    assert_eq!(changed("exp", json!(NOW - 300)), Ok(()), "clocks differ");
    assert_eq!(changed("exp", json!(NOW - 301)), Err(NotGenuine::Time));
    assert_eq!(changed("exp", Value::Null), Err(NotGenuine::Time));
    assert_eq!(changed("exp", json!("tomorrow")), Err(NotGenuine::Time));
    assert_eq!(changed("nbf", json!(NOW + 300)), Ok(()));
    assert_eq!(changed("nbf", json!(NOW + 301)), Err(NotGenuine::Time));
}

#[test]
fn the_token_is_found_in_its_header() {
    let of = |value: &'static str| {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        bearer(&headers).map(str::to_owned)
    };
    assert_eq!(of("Bearer a.b.c"), Ok("a.b.c".to_owned()));
    assert_eq!(of("bearer  a.b.c"), Ok("a.b.c".to_owned()));
    for none in ["a.b.c", "Basic YTpi", ""] {
        assert_eq!(of(none), Err(NotGenuine::Missing), "{none}");
    }
    assert_eq!(bearer(&HeaderMap::new()), Err(NotGenuine::Missing));
}

#[test]
fn what_is_no_private_key_is_none() {
    let cut = RFC_7515.pem.replace("MIIE", "MIIF");
    for pem in [
        "",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        &cut,
    ] {
        assert_eq!(SigningKey::from_pem(pem).err(), Some(NoKey));
    }
}

/// A server of keys.
struct Publisher {
    asked: AtomicUsize,
    status: AtomicU16,
    /// Whoever holds it makes it slow.
    gate: tokio::sync::Mutex<()>,
}

async fn publish(
    State(publisher): State<Arc<Publisher>>,
) -> (StatusCode, [(http::HeaderName, &'static str); 1], Json<Value>) {
    publisher.asked.fetch_add(1, Ordering::SeqCst);
    drop(publisher.gate.lock().await);
    let status = StatusCode::from_u16(publisher.status.load(Ordering::SeqCst)).unwrap();
    (status, [(CACHE_CONTROL, "public, max-age=4000")], Json(json!({"keys": [RFC_7515.jwk("one")]})))
}

struct Set {
    publisher: Arc<Publisher>,
    address: Url,
    deps: Deps,
    clock: Arc<ManualClock>,
}

impl Set {
    async fn new() -> Self {
        let (asked, status) = (AtomicUsize::new(0), AtomicU16::new(200));
        let publisher = Arc::new(Publisher { asked, status, gate: tokio::sync::Mutex::default() });
        let router = Router::new().route("/keys", get(publish)).with_state(Arc::clone(&publisher));
        let address = Url::parse(&format!("{}/keys", serve(router).await)).unwrap();
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
        let deps = Deps { clock: clock.clone(), ..deps(Arc::new(Recorder::default())) };
        Self { publisher, address, deps, clock }
    }

    async fn prepare(&self, key: &str) -> Result<(), ChannelError> {
        self.deps.http.keys().prepare(&self.deps, &self.address, key).await
    }

    /// Returns once what goes on behind requests is over.
    async fn renewed(&self) {
        self.deps.http.keys().renewed().await;
    }

    /// How often the platform was asked, and whether its keys count.
    fn state(&self) -> (usize, bool) {
        let now = self.deps.clock.now().timestamp();
        let known = self.deps.http.keys().known(&self.address, now);
        (self.publisher.asked.load(Ordering::SeqCst), known.is_some_and(|keys| keys.has(RFC_7515.kid)))
    }

    fn answers(&self, status: u16) {
        self.publisher.status.store(status, Ordering::SeqCst);
    }

    fn later(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

#[tokio::test]
async fn keys_are_fetched_once_however_many_need_them() {
    let set = Set::new().await;
    assert_eq!(set.state(), (0, false));
    let all = futures::future::join_all((0..20).map(|_| set.prepare(RFC_7515.kid))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(set.state(), (1, true));
}

#[tokio::test]
async fn the_keys_that_strangers_name_have_the_platform_asked_once_a_minute() {
    let set = Set::new().await;
    for n in 0..50 {
        set.prepare(&format!("made-up-{n}")).await.unwrap();
    }
    assert_eq!(set.state(), (1, true));
    set.later(60);
    for n in 0..50 {
        set.prepare(&format!("made-up-{n}")).await.unwrap();
    }
    assert_eq!(set.state(), (2, true));
}

#[tokio::test]
async fn keys_are_renewed_ahead_and_not_used_for_longer_than_allowed() {
    let set = Set::new().await;
    set.prepare(RFC_7515.kid).await.unwrap();
    set.later(2999);
    set.prepare(RFC_7515.kid).await.unwrap();
    assert_eq!(set.state(), (1, true));
    set.answers(500);
    set.later(1);
    assert_eq!(set.prepare(RFC_7515.kid).await, Ok(()), "they still count");
    set.renewed().await;
    assert_eq!(set.state(), (2, true));
    set.later(1000);
    assert_eq!(set.state(), (2, false), "4,000 s are over");
    assert!(matches!(set.prepare(RFC_7515.kid).await, Err(ChannelError::Retryable(_))));
    set.answers(200);
    set.later(5);
    set.prepare(RFC_7515.kid).await.unwrap();
    assert_eq!(set.state(), (4, true));
}

/// Platforms give up after seconds, and some of them switch off an address that is slow.
#[tokio::test]
async fn a_slow_server_of_keys_keeps_nobody_waiting_whose_key_still_counts() {
    let set = Set::new().await;
    set.prepare(RFC_7515.kid).await.unwrap();
    set.later(3000);
    let held = set.publisher.gate.lock().await;
    for _ in 0..20 {
        let prepared = tokio::time::timeout(Duration::from_millis(500), set.prepare(RFC_7515.kid));
        assert_eq!(prepared.await, Ok(Ok(())));
    }
    drop(held);
    set.renewed().await;
    assert_eq!(set.state(), (2, true), "one of them had the keys fetched");
    set.later(1000);
    assert_eq!(set.state(), (2, true), "the old ones would have ended, and these are new");
}

#[tokio::test]
async fn a_platform_without_keys_is_not_asked_by_each_request() {
    let set = Set::new().await;
    set.answers(404);
    for _ in 0..20 {
        assert!(matches!(set.prepare(RFC_7515.kid).await, Err(ChannelError::Retryable(_))));
    }
    assert_eq!(set.state(), (1, false));
}
