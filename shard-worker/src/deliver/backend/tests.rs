use std::pin::pin;

use claw_store::{BackendPlace, LoadedBackend, OwnBackend};
use claw_types::{ChannelId, MessageId, UserId};
use futures::FutureExt as _;
use tokio::task::unconstrained;
use tokio::time::timeout;
use uuid::Uuid;

use super::breaker::Author;
use super::destination::Verdict;
use super::*;
use crate::deliver::turns::Cause;
use crate::testing::backend;

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

/// As many as there is room for at once.
fn fill(to: &Destination, tenant: &UserId) -> Vec<impl Sized + use<>> {
    // More are taken here at once than tokio lets a task take before others run.
    std::iter::from_fn(|| unconstrained(to.room(tenant, Cause::Now)).now_or_never()).collect()
}

fn row(name: &str, channel: Option<ChannelId>, url: &str, most: u16, revision: i64) -> LoadedBackend {
    let place = BackendPlace { user_id: user(name), channel };
    let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let backend = OwnBackend {
        id: Uuid::from_u128(1),
        place: place.clone(),
        url: url.to_owned(),
        secrets: 1,
        max_in_flight: most,
        disabled: None,
        revision,
        created_at: now,
        updated_at: now,
    };
    LoadedBackend {
        place,
        revision,
        updated_at: now,
        backend: Some((backend, Ok(vec!["secret".to_owned()]))),
    }
}

/// Where it goes of a user and a channel.
fn url(backend: &Backend, name: &str, channel: ChannelId) -> String {
    match &find(backend, name, channel).target {
        Ok(target) => target.url.to_string(),
        Err(why) => why.clone(),
    }
}

fn find(backend: &Backend, name: &str, channel: ChannelId) -> Arc<Destination> {
    let known = backend.own.read().unwrap();
    Arc::clone(known.of(&user(name), channel).unwrap_or(&backend.operators))
}

#[tokio::test]
async fn one_tenants_messages_leave_three_quarters_of_the_places() {
    let backend = backend();
    let ada = user("ada");
    let mut hers = fill(&backend.operators, &ada);
    assert_eq!(hers.len(), 64);
    for name in ["bob", "cy", "dan"] {
        let free = unconstrained(backend.operators.room(&user(name), Cause::Now)).now_or_never();
        assert!(free.is_some(), "{name} waits for ada's messages");
    }
    drop(hers.pop());
    assert!(unconstrained(backend.operators.room(&ada, Cause::Now)).now_or_never().is_some(), "her next one");
}

#[tokio::test]
async fn a_channels_backend_comes_before_its_users_and_that_before_the_operators() {
    let backend = backend();
    let (one, other) = (ChannelId(Uuid::from_u128(1)), ChannelId(Uuid::from_u128(2)));
    let rows = vec![
        row("ada", None, "https://93.184.216.34/all", 1, 1),
        row("ada", Some(one), "https://93.184.216.34/one", 1, 1),
        row("bob", None, "http://127.0.0.1/", 1, 1),
    ];
    backend.own.write().unwrap().apply(rows);
    assert_eq!(url(&backend, "ada", one), "https://93.184.216.34/one");
    assert_eq!(url(&backend, "ada", other), "https://93.184.216.34/all");
    assert_eq!(url(&backend, "ada", ChannelId::NONE), "https://93.184.216.34/all");
    assert_eq!(url(&backend, "cy", one), "http://127.0.0.1:1/");
    assert!(url(&backend, "bob", one).contains("private"), "not to the operator's instead");
    let gone = LoadedBackend { backend: None, ..row("ada", Some(one), "", 1, 2) };
    backend.own.write().unwrap().apply(vec![gone]);
    assert_eq!(url(&backend, "ada", one), "https://93.184.216.34/all");
    backend.own.write().unwrap().forget(|name, _| name.as_str() == "ada");
    assert_eq!(url(&backend, "ada", one), "http://127.0.0.1:1/");
}

#[tokio::test]
async fn a_slow_backend_of_ones_own_takes_no_place_of_anybody_else() {
    let backend = backend();
    let channel = ChannelId(Uuid::from_u128(1));
    let rows = vec![
        row("ada", None, "https://93.184.216.34/", 3, 1),
        row("ada", Some(channel), "https://93.184.216.35/", 5, 1),
    ];
    backend.own.write().unwrap().apply(rows);
    let (slow, other) = (find(&backend, "ada", ChannelId::NONE), find(&backend, "ada", channel));
    let held = fill(&slow, &user("ada"));
    assert_eq!(held.len(), 3);
    assert_eq!(fill(&other, &user("ada")).len(), 5);
    assert_eq!(fill(&backend.operators, &user("bob")).len(), 64);
    // Changed in another respect, what is under way still counts.
    backend.own.write().unwrap().apply(vec![row("ada", None, "https://93.184.216.34/new", 3, 2)]);
    let changed = find(&backend, "ada", ChannelId::NONE);
    assert_eq!(fill(&changed, &user("ada")).len(), 0);
    drop(held);
    assert_eq!(fill(&changed, &user("ada")).len(), 3);
}

#[tokio::test]
async fn one_origin_of_a_user_has_one_breaker_and_no_two_users_share_one() {
    let backend = backend();
    let channel = ChannelId(Uuid::from_u128(1));
    let rows = vec![
        row("ada", None, "https://93.184.216.34/a", 3, 1),
        row("ada", Some(channel), "https://93.184.216.34:443/b", 3, 1),
        row("bob", None, "https://93.184.216.34/a", 3, 1),
    ];
    backend.own.write().unwrap().apply(rows);
    let (all, one) = (find(&backend, "ada", ChannelId::NONE), find(&backend, "ada", channel));
    let his = find(&backend, "bob", ChannelId::NONE);
    assert!(Arc::ptr_eq(&all.gate, &one.gate) && !Arc::ptr_eq(&all.gate, &his.gate));
    backend.own.write().unwrap().apply(vec![row("ada", None, "https://93.184.216.34/c", 9, 2)]);
    let changed = find(&backend, "ada", ChannelId::NONE);
    assert!(Arc::ptr_eq(&changed.gate, &all.gate), "what is known of it stays known");
}

/// Follows answers of ada's that take so long and end with this sign; tells whether she has to wait after each.
async fn followed(to: &Destination, answers: &[(u64, Sign)]) -> Vec<bool> {
    let ada = user("ada");
    let mut waits = Vec::new();
    for (n, (secs, sign)) in answers.iter().enumerate() {
        if let Some(wait) = to.wait(&ada) {
            tokio::time::sleep(wait).await;
        }
        let author = Author { tenant: &ada, message: MessageId(Uuid::from_u128(n as u128)) };
        let verdict = Verdict { pass: to.admit(&ada).unwrap(), author };
        let reading = tokio::time::sleep(Duration::from_secs(*secs));
        verdict.follow(reading, Duration::from_secs(15), |()| Some(*sign)).await;
        waits.push(to.wait(&ada).is_some());
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn answers_that_break_off_are_as_bad_as_none() {
    let backend = backend();
    let broken = [(3, Sign::Silent); breaker::TRIPS + 1];
    let waits = followed(&backend.operators, &broken).await;
    assert_eq!(waits, [false, false, false, false, true, true], "the probe broke off, too");
    assert_eq!(followed(&backend.operators, &[(3, Sign::Answered)]).await, [false]);
    let mixed = [(3, Sign::Silent), (3, Sign::Answered)].repeat(breaker::TRIPS);
    assert!(!followed(&backend.operators, &mixed).await.contains(&true), "not in a row");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_the_end_of_a_probe() {
    let backend = backend();
    let (to, ada) = (&backend.operators, user("ada"));
    followed(to, &[(3, Sign::Silent); breaker::TRIPS]).await;
    tokio::time::sleep(to.wait(&ada).unwrap()).await;
    let author = Author { tenant: &ada, message: MessageId(Uuid::from_u128(99)) };
    let verdict = Verdict { pass: to.admit(&ada).unwrap(), author };
    let reading = async {
        let asked = [(14, true), (2, false), (300, false)];
        for (secs, waits) in asked {
            tokio::time::sleep(Duration::from_secs(secs)).await;
            assert_eq!(to.wait(&ada).is_some(), waits, "{secs} s later");
        }
    };
    verdict.follow(reading, Duration::from_secs(15), |()| Some(Sign::Silent)).await;
    assert_eq!(to.wait(&ada), None, "one that breaks off after that is one failure, not the probe's");
}

/// One that answers everything so, whose answers are over at once.
async fn all_end(to: &Destination, sign: Sign) {
    let waits = followed(to, &[(0, sign); breaker::TRIPS]).await;
    assert_eq!(waits.last(), Some(&true));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_attempt_hears_that_it_is_well_again() {
    let backend = backend();
    let (to, ada, bob) = (&backend.operators, user("ada"), user("bob"));
    all_end(to, Sign::Failing).await;
    let (mut hers, mut his) = (pin!(to.recovered(&ada)), pin!(to.recovered(&bob)));
    let moment = Duration::from_millis(1);
    assert!(timeout(moment, &mut hers).await.is_err());
    assert!(timeout(moment, &mut his).await.is_err());
    assert_eq!(followed(to, &[(0, Sign::Failing)]).await, [true]);
    assert!(timeout(moment, &mut hers).await.is_err(), "the probe had a 500, too");
    assert_eq!(followed(to, &[(0, Sign::Answered)]).await, [false]);
    assert!(timeout(moment, &mut hers).await.is_ok());
    assert!(timeout(moment, &mut his).await.is_err(), "it was not away for him");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_attempt_asks_when_nobody_else_does() {
    let backend = backend();
    let (to, ada, bob) = (&backend.operators, user("ada"), user("bob"));
    let hours = Duration::from_hours(2);
    assert!(timeout(hours, to.recovered(&ada)).await.is_err(), "it is well");
    all_end(to, Sign::Failing).await;
    let began = Instant::now();
    to.recovered(&ada).await;
    assert!((breaker::UNASKED..=5 * breaker::UNASKED).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(timeout(hours, to.recovered(&bob)).await.is_err(), "he does not wait for that");
}

#[tokio::test(start_paused = true)]
async fn who_was_asked_to_wait_is_not_woken_before() {
    let backend = backend();
    let (to, ada) = (&backend.operators, user("ada"));
    to.admit(&ada).unwrap().rest(&ada, Duration::from_secs(600), Sign::Silent);
    let wait = to.wait(&ada).unwrap();
    assert!(wait >= Duration::from_secs(600) && to.admit(&ada).err() >= Some(Duration::from_secs(600)));
    assert!(to.wait(&user("bob")).is_none());
    tokio::time::sleep(wait).await;
    assert_eq!(to.wait(&ada), None);
}

#[tokio::test]
async fn a_5xx_speaks_against_a_backend_and_its_retry_after_counts() {
    let cases = [
        (302_u16, Sign::Answered, None),
        (404, Sign::Answered, None),
        (429, Sign::Answered, Some(7)),
        (500, Sign::Failing, Some(7)),
        (501, Sign::Failing, Some(7)),
        (502, Sign::Silent, Some(7)),
        (503, Sign::Silent, Some(7)),
        (504, Sign::Silent, Some(7)),
        (507, Sign::Failing, Some(7)),
    ];
    for (status, sign, asks) in cases {
        let answer = http::Response::builder().status(status).header("retry-after", "7").body("").unwrap();
        let refused = post::refused(&reqwest::Response::from(answer), 0);
        assert_eq!((refused.sign, refused.retry_after), (sign, asks.map(Duration::from_secs)), "{status}");
        let rests = [429, 503].contains(&status);
        assert_eq!(refused.rest, asks.map(Duration::from_secs).filter(|_| rests), "{status}");
    }
}
