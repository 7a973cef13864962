use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta};
use claw_runtime::ManualClock;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::*;
use crate::adapters::webhook::testing::{NOW, Recorder, deps, serve};

/// A platform that numbers its tokens and takes the newest only.
#[derive(Default)]
struct Platform {
    given: AtomicUsize,
    refuses: AtomicUsize,
}

async fn give(State(platform): State<Arc<Platform>>, body: String) -> (StatusCode, Json<Value>) {
    let number = platform.given.fetch_add(1, Ordering::SeqCst) + 1;
    match platform.refuses.load(Ordering::SeqCst) {
        0 => {
            let said = json!({"access_token": format!("{body}-{number}"), "expires_in": 3600, "token_type": "Bearer"});
            (StatusCode::OK, Json(said))
        }
        status => {
            let said = json!({"error": "invalid_client", "error_description": "Invalid client secret.\r\nTrace ID: 7"});
            (StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap(), Json(said))
        }
    }
}

async fn take(State(platform): State<Arc<Platform>>, headers: HeaderMap) -> StatusCode {
    let newest = format!("-{}", platform.given.load(Ordering::SeqCst));
    let is_newest = headers[AUTHORIZATION].to_str().unwrap().ends_with(&newest);
    if is_newest { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

struct Set {
    platform: Arc<Platform>,
    url: String,
    deps: Deps,
    clock: Arc<ManualClock>,
}

async fn set() -> Set {
    let platform = Arc::new(Platform::default());
    let router = Router::new().route("/token", post(give)).route("/call", get(take));
    let url = serve(router.with_state(Arc::clone(&platform))).await;
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
    let deps = Deps { clock: clock.clone(), ..deps(Arc::new(Recorder::default())) };
    Set { platform, url, deps, clock }
}

impl Set {
    fn grant(&self, secret: &'static str) -> Grant {
        let endpoint = Url::parse(&format!("{}/token", self.url)).unwrap();
        let form = move || Ok(vec![("secret", secret.to_owned())]);
        Grant::new("The platform", endpoint, &["client", secret], form, self.deps.clone())
    }

    async fn call(&self, grant: &Grant) -> Result<StatusCode, ChannelError> {
        let request = self.deps.http.calls().get(format!("{}/call", self.url));
        grant.sent(request, repeatable).await.map(|response| response.status())
    }

    fn given(&self) -> usize {
        self.platform.given.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_shortly_before_it_expires() {
    let set = set().await;
    let (one, same) = (set.grant("a"), set.grant("a"));
    let calls =
        futures::future::join_all((0..20).map(|n| set.call(if n % 2 == 0 { &one } else { &same }))).await;
    assert!(calls.iter().all(|call| *call == Ok(StatusCode::OK)), "{calls:?}");
    assert_eq!(set.given(), 1, "two channels of one credential have one token");
    set.clock.advance(TimeDelta::seconds(3600 - MARGIN - 1));
    assert_eq!((set.call(&one).await, set.given()), (Ok(StatusCode::OK), 1));
    set.clock.advance(TimeDelta::seconds(1));
    assert_eq!((set.call(&one).await, set.given()), (Ok(StatusCode::OK), 2));
}

#[tokio::test]
async fn another_secret_never_gets_this_ones_token() {
    let set = set().await;
    set.call(&set.grant("a")).await.unwrap();
    let token = set.grant("b").token().await.unwrap();
    assert_eq!(token, "secret=b-2");
}

#[tokio::test]
async fn a_token_that_is_not_taken_any_more_is_renewed_once() {
    let set = set().await;
    let grant = set.grant("a");
    set.call(&grant).await.unwrap();
    // Somebody else got a newer one, so the platform takes this one no longer.
    set.grant("b").token().await.unwrap();
    assert_eq!((set.call(&grant).await, set.given()), (Ok(StatusCode::OK), 3));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_platforms_words() {
    let set = set().await;
    let grant = set.grant("a");
    for (status, expected) in [
        (401, "The platform hands out no access token: 401: invalid_client: Invalid client secret."),
        (400, "The platform hands out no access token: 400: invalid_client: Invalid client secret."),
    ] {
        set.platform.refuses.store(status, Ordering::SeqCst);
        assert_eq!(grant.renewed().await, Err(ChannelError::BadCredentials(expected.to_owned())));
    }
    set.platform.refuses.store(503, Ordering::SeqCst);
    assert!(matches!(grant.renewed().await, Err(ChannelError::Retryable(_))));
    set.platform.refuses.store(0, Ordering::SeqCst);
    assert_eq!(grant.renewed().await, Ok(()), "a refusal is not kept");
}

#[tokio::test]
async fn who_gives_up_leaves_the_others_to_ask() {
    let set = set().await;
    let grant = set.grant("a");
    drop(futures::poll!(Box::pin(grant.token())));
    assert_eq!(set.call(&grant).await, Ok(StatusCode::OK));
}

#[test]
fn a_token_is_not_shown() {
    let token = Token { text: "secret".to_owned(), until: 7 };
    assert!(!format!("{token:?}").contains("secret"));
}
