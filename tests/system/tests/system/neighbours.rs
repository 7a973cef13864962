//! A backend of a user's own that is dead, one that is slow, and one that wants no more: what they do to their own
//! messages, and that they do nothing to those of others.

use std::collections::HashMap;
use std::time::Duration;

use claw_secrets::signature;
use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Claw, Delivery, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

const NEW: &str = "a-new-secret-0123456789";
const OLD: &str = "an-old-secret-0123456789";
/// Conversations of each user, and messages in each.
const CHATS: usize = 8;
const EACH: usize = 5;

/// A user with a channel and a backend of its own.
struct User<'a> {
    api: &'a Api,
    name: &'static str,
    channel: String,
    secret: String,
}

impl<'a> User<'a> {
    async fn new(api: &'a Api, worker: &mut Claw, name: &'static str, url: &str) -> Self {
        let secret = token(16);
        let channel = api.configure(name, "hook", "webhook", json!({"secret_env": secret})).await;
        let user = Self { api, name, channel, secret };
        user.set(json!({"url": url, "secrets": [NEW, OLD]})).await;
        worker.wait_for_line(&format!("the backend of user {name} is in use (revision 1)")).await;
        user
    }

    async fn set(&self, body: Value) {
        let (status, answer) =
            self.api.call("PUT", &format!("/api/users/{}/backend", self.name), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn backend(&self) -> Value {
        self.api.call("GET", &format!("/api/users/{}/backend", self.name), None).await.1
    }

    async fn write(&self, chat: usize, number: usize) {
        let body = json!({"message_id": format!("{chat}-{number}"), "sender": {"id": format!("chat{chat}")},
                          "text": format!("{chat} {number}")});
        assert_eq!(self.api.push(&self.channel, &self.secret, &body).await, Some(StatusCode::OK));
    }

    async fn write_all(&self) {
        for number in 0..EACH {
            for chat in 0..CHATS {
                self.write(chat, number).await;
            }
        }
    }

    async fn messages(&self, state: &str) -> Vec<Value> {
        let path = format!("/api/users/{}/messages?state={state}&limit=200", self.name);
        let (status, page) = self.api.call("GET", &path, None).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["messages"].as_array().unwrap().clone()
    }
}

/// All messages arrived, those of each conversation in order; what came again is passed over.
fn complete(deliveries: &[Delivery]) -> bool {
    let mut next: HashMap<String, usize> = HashMap::new();
    for delivery in deliveries {
        let text = delivery.json()["text"].as_str().unwrap().to_owned();
        let (chat, number) = text.split_once(' ').unwrap();
        let (number, next): (usize, _) = (number.parse().unwrap(), next.entry(chat.to_owned()).or_default());
        assert!(number <= *next, "{text} came before an older one of its conversation");
        *next = (*next).max(number + 1);
    }
    next.len() == CHATS && next.values().all(|next| *next == EACH)
}

/// Both secrets sign, the first one by the older header, too.
fn verify(delivery: &Delivery) {
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let headers = signature::Standard { id, time, signatures: delivery.header("webhook-signature") };
    for secret in [NEW, OLD] {
        headers.verify(secret, &delivery.body, time.parse().unwrap()).unwrap();
    }
    assert!(signature::verify(NEW.as_bytes(), &delivery.body, delivery.header(signature::HEADER)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_backend_and_a_slow_one_keep_nobody_elses_messages_waiting() {
    let cluster = Cluster::prepare().await.with("II_CLAW_LOG", "info,claw_shard_worker=debug");
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let (healthy, slow, gone) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    slow.answer_after(Duration::from_secs(10));
    // Nobody listens there any more.
    let (address, dead_url) = (gone.address(), gone.url());
    drop(gone);
    let dead = User::new(&api, &mut worker, "dead", &dead_url).await;
    let slowed = User::new(&api, &mut worker, "slow", &slow.url()).await;
    let well = User::new(&api, &mut worker, "well", &healthy.url()).await;
    let plain = api.configure("plain", "hook", "webhook", json!({"secret_env": "0123456789abcdef"})).await;

    dead.write_all().await;
    slowed.write_all().await;
    let open = eventually("the dead one to be left alone", Duration::from_secs(60), async || {
        let shown = dead.backend().await;
        (shown["state"] == "open").then_some(shown)
    });
    assert!(open.await["away_ms"].is_u64());
    slow.wait_for(CHATS).await;

    well.write_all().await;
    let body = json!({"message_id": "1", "sender": {"id": "a"}, "text": "to the operator's"});
    assert_eq!(api.push(&plain, "0123456789abcdef", &body).await, Some(StatusCode::OK));
    let arrived = healthy.wait_for(CHATS * EACH).await;
    assert!(complete(&arrived), "all of them, in order");
    arrived.iter().for_each(verify);
    assert_eq!(cluster.receiver.wait_for(1).await[0].json()["text"], "to the operator's");
    assert_eq!(well.backend().await["state"], "closed");
    let waiting = dead.messages("pending").await;
    assert_eq!(waiting.len(), CHATS * EACH, "nothing is given up while it is away");
    let (_, shown) = api.call("GET", "/api/cluster", None).await;
    let members = shown["members"].as_array().unwrap();
    let member = members.iter().find(|member| member["role"] == "worker").unwrap();
    assert_eq!(member["away_backends"][0]["user_id"], "dead");
    assert_eq!(member["away_backends"].as_array().unwrap().len(), 1, "{member}");
    let text = cluster.command(&api, &["backends", "show", "dead"], 0).await;
    assert!(text.contains("has not answered for"), "{text}");

    let back = Receiver::start_on(address).await;
    eventually("the dead one's messages, once it is back", Duration::from_secs(90), async || {
        complete(&back.deliveries()).then_some(())
    })
    .await;
    assert_eq!(dead.backend().await["state"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_gone_is_switched_off_until_it_is_set_again() {
    let cluster = Cluster::prepare().await.with("II_CLAW_LOG", "info,claw_shard_worker=debug");
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let hers = Receiver::start().await;
    let ada = User::new(&api, &mut worker, "ada", &hers.url()).await;
    hers.answer_next([StatusCode::GONE]);
    ada.write(0, 0).await;
    let off = eventually("it to be switched off", Duration::from_secs(30), async || {
        let shown = ada.backend().await;
        (shown["enabled"] == false).then_some(shown)
    });
    assert_eq!(off.await["disabled_reason"], "the backend answered 410");
    ada.write(0, 1).await;
    let dead = eventually("both messages to be dead", Duration::from_secs(30), async || {
        Some(ada.messages("dead").await).filter(|dead| dead.len() == 2)
    });
    for message in dead.await {
        let error = message["error"].as_str().unwrap();
        assert!(error.starts_with("the backend answered 410: it is switched off"), "{error}");
    }
    assert_eq!(hers.deliveries().len(), 1, "it is left alone");
    assert_eq!(cluster.receiver.deliveries().len(), 0, "nor do they go anywhere else");
    let (_, events) = api.call("GET", "/api/audit?action=backend.disabled", None).await;
    assert_eq!(events["entries"][0]["user_id"], "ada");

    // Set again, with another secret and nothing else.
    ada.set(json!({"secrets": [OLD]})).await;
    worker.wait_for_line("the backend of user ada is in use (revision 3)").await;
    let replay = "/api/users/ada/dead-letters/replay";
    let (status, answer) = api.call("POST", replay, Some(json!({"filter": {}}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let arrived = hers.wait_for(3).await;
    let texts: Vec<String> =
        arrived[1..].iter().map(|d| d.json()["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["0 0", "0 1"]);
    let header = arrived[2].header(signature::HEADER);
    assert!(signature::verify(OLD.as_bytes(), &arrived[2].body, header));

    // A channel's own comes first, and without any it is the operator's again.
    let path = "/api/users/ada/channels/hook/backend";
    let his = Receiver::start().await;
    let body = json!({"url": his.url(), "secrets": [NEW, OLD]});
    assert_eq!(api.call("PUT", path, Some(body)).await.0, StatusCode::OK);
    let of_channel = format!("the backend of channel {} of user ada", ada.channel);
    worker.wait_for_line(&format!("{of_channel} is in use")).await;
    ada.write(1, 0).await;
    assert_eq!(his.wait_for(1).await[0].json()["text"], "1 0");
    for path in [path, "/api/users/ada/backend"] {
        assert_eq!(api.call("DELETE", path, None).await.0, StatusCode::OK);
    }
    worker.wait_for_line(&format!("{of_channel} is gone")).await;
    worker.wait_for_line("the backend of user ada is gone").await;
    ada.write(1, 1).await;
    assert_eq!(cluster.receiver.wait_for(1).await[0].json()["text"], "1 1");
}
