//! Events at their destinations: signed, in order, none lost, whatever the receiver or the worker does.

use std::collections::HashSet;
use std::time::Duration;

use claw_secrets::signature;
use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Delivery, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Checks both signatures as a receiver would.
fn verify(delivery: &Delivery, secret: &str) {
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let key = signature::standard_key(secret);
    let expected = signature::sign_standard(&key, id, time.parse().unwrap(), &delivery.body);
    assert_eq!(delivery.header("webhook-signature"), expected);
    assert!(signature::verify(secret.as_bytes(), &delivery.body, delivery.header(signature::HEADER)));
    assert_eq!(delivery.json()["id"], id);
}

async fn destination(api: &Api, base: &str, receiver: &Receiver, types: &[&str]) -> Value {
    let body = json!({"name": "of a test", "url": receiver.url(), "types": types});
    let (status, made) = api.call("POST", base, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

async fn push(api: &Api, channel: &str, secret: &str, name: &str) {
    let body = json!({"message_id": name, "sender": {"id": name}, "text": "words"});
    assert_eq!(api.push(channel, secret, &body).await, Some(StatusCode::OK));
}

/// What arrived, each once, in the order of its first arrival.
fn unique(receiver: &Receiver) -> Vec<Value> {
    let mut seen = HashSet::new();
    let events = receiver.deliveries().into_iter().map(|delivery| delivery.json());
    events.filter(|event| seen.insert(event["id"].to_string())).collect()
}

fn kinds(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["type"] == kind).count()
}

fn place(event: &Value) -> (u64, i64) {
    let (xact, id) = event["id"].as_str().unwrap().split_once('-').unwrap();
    (xact.parse().unwrap(), id.parse().unwrap())
}

async fn wait_for(receiver: &Receiver, what: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(what, Duration::from_secs(90), async || Some(unique(receiver)).filter(|events| enough(events)))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_comes_again_and_a_destination_that_is_gone_is_left_alone() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    let (hers, ours) = (Receiver::start().await, Receiver::start().await);
    let base = "/api/users/ada/destinations";
    let made = destination(&api, base, &hers, &["message.*"]).await;
    destination(&api, "/api/destinations", &ours, &[]).await;

    hers.answer_next([StatusCode::INTERNAL_SERVER_ERROR]);
    for name in ["a", "b", "c"] {
        push(&api, &channel, &secret, name).await;
    }
    let events = wait_for(&hers, "three messages and their deliveries", |events| events.len() >= 6).await;
    assert!(events.is_sorted_by_key(place), "{events:?}");
    assert_eq!((kinds(&events, "message.received"), kinds(&events, "message.delivered")), (3, 3));
    let deliveries = hers.deliveries();
    assert_eq!(deliveries[0].header("webhook-id"), deliveries[1].header("webhook-id"), "the same again");
    assert!(!json!(events).to_string().contains("words"));
    for delivery in &deliveries {
        verify(delivery, made["secret"].as_str().unwrap());
    }
    let path = format!("{base}/{}", made["id"].as_str().unwrap());
    let fine = eventually("a success to be noted", Duration::from_secs(20), async || {
        let (_, shown) = api.call("GET", &path, None).await;
        (shown["attempts"] == 0 && shown["last_delivered_at"].is_string()).then_some(shown)
    });
    assert_eq!(fine.await["last_error"], Value::Null);

    hers.answer_next([StatusCode::GONE]);
    push(&api, &channel, &secret, "d").await;
    let off = eventually("it to be switched off", Duration::from_secs(30), async || {
        let (_, shown) = api.call("GET", &path, None).await;
        (shown["enabled"] == false).then_some(shown)
    });
    assert_eq!(off.await["last_error"], "it answered 410; switched off");
    let all = wait_for(&ours, "the operator to hear of it", |events| {
        kinds(events, "destination.disabled") == 1 && kinds(events, "message.delivered") == 4
    });
    let all = all.await;
    assert!(all.is_sorted_by_key(place), "{all:?}");
    let told = all.iter().find(|event| event["type"] == "destination.disabled").unwrap();
    assert_eq!((&told["user_id"], &told["data"]["id"]), (&json!("ada"), &made["id"]));
    let (_, audit) = api.call("GET", "/api/audit?action=destination.disabled", None).await;
    assert_eq!(audit["entries"][0]["subject"], made["id"]);
    let received = hers.deliveries().len();
    push(&api, &channel, &secret, "e").await;
    wait_for(&ours, "another message", |events| kinds(events, "message.delivered") == 5).await;
    assert_eq!(hers.deliveries().len(), received, "left alone");

    // Switched on again, it goes on behind the last one that it took.
    let (status, _) = api.call("PUT", &path, Some(json!({"enabled": true}))).await;
    assert_eq!(status, StatusCode::OK);
    let events = wait_for(&hers, "what it missed", |events| kinds(events, "message.delivered") == 5).await;
    assert!(events.is_sorted_by_key(place) && events.len() == 10, "{events:?}");
    worker.signal("TERM").await;
    assert_eq!(worker.wait().await, Some(0), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_worker_is_killed() {
    const MESSAGES: usize = 40;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    let (hers, ours) = (Receiver::start().await, Receiver::start().await);
    destination(&api, "/api/users/ada/destinations", &hers, &["message.*"]).await;
    destination(&api, "/api/destinations", &ours, &["message.*"]).await;
    let pushing = async {
        for n in 0..MESSAGES {
            push(&api, &channel, &secret, &format!("m{n}")).await;
        }
    };
    let killing = async {
        wait_for(&hers, "some to arrive", |events| events.len() >= 10).await;
        worker.kill().await;
    };
    futures::join!(pushing, killing);
    let _other = cluster.worker("two", &api.base).await;
    for receiver in [&hers, &ours] {
        let all = wait_for(receiver, "every message and its delivery", |events| {
            kinds(events, "message.received") == MESSAGES && kinds(events, "message.delivered") >= MESSAGES
        });
        let all = all.await;
        assert_eq!(all.len(), 2 * MESSAGES);
        assert!(all.is_sorted_by_key(place), "in order: {all:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_once_whatever_becomes_of_the_events_behind_it() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    let hers = Receiver::start().await;
    let made = destination(&api, "/api/users/ada/destinations", &hers, &["message.received"]).await;
    for name in ["forgotten", "kept"] {
        push(&api, &channel, &secret, name).await;
    }
    let forget = "with gone as (
             delete from events where type = 'message.received' and id = (
                 select min(id) from events where type = 'message.received') returning xact, id)
         update event_horizon h set xact = gone.xact, id = gone.id from gone";
    sqlx::query(forget).execute(&mut cluster.database.connect().await).await.unwrap();
    let error = StatusCode::INTERNAL_SERVER_ERROR;
    hers.answer_next([StatusCode::OK, error, error]);
    let _worker = cluster.worker("one", &api.base).await;
    let deliveries = hers.wait_for(4).await;
    let told: Vec<Value> = deliveries.iter().map(Delivery::json).collect();
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["gap", "message.received", "message.received", "message.received"], "{told:?}");
    assert!(told[1..].iter().all(|event| event["id"] == told[0]["data"]["oldest"]), "{told:?}");
    let path = format!("/api/users/ada/destinations/{}", made["id"].as_str().unwrap());
    eventually("the success to be noted", Duration::from_secs(20), async || {
        let (_, shown) = api.call("GET", &path, None).await;
        (shown["attempts"] == 0 && shown["last_delivered_at"].is_string()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_destination_has_not_got_yet_goes_to_its_new_url() {
    const MESSAGES: usize = 30;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    let (former, present) = (Receiver::start().await, Receiver::start().await);
    former.answer_after(Duration::from_millis(300));
    let made = destination(&api, "/api/users/ada/destinations", &former, &["message.received"]).await;
    for n in 0..MESSAGES {
        push(&api, &channel, &secret, &format!("m{n}")).await;
    }
    let _worker = cluster.worker("one", &api.base).await;
    former.wait_for(2).await;
    let path = format!("/api/users/ada/destinations/{}", made["id"].as_str().unwrap());
    let (status, _) = api.call("PUT", &path, Some(json!({"url": present.url()}))).await;
    assert_eq!(status, StatusCode::OK);
    let last = eventually("the last event", Duration::from_secs(60), async || {
        let of_both: HashSet<_> =
            unique(&former).into_iter().chain(unique(&present)).map(|e| place(&e)).collect();
        (of_both.len() == MESSAGES).then(|| unique(&former).len())
    });
    // The rest of a turn, a second.
    let former = last.await;
    assert!(former < MESSAGES / 2, "{former} went to the former URL");
    assert!(unique(&present).is_sorted_by_key(place));
}
