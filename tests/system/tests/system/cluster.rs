//! Gateway, two workers and a scheduler as processes of their own, on one database and one NATS, relay Telegram both
//! ways against an emulator that is not ours.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claw_secrets::signature;
use claw_system_tests::{Api, Cluster, SECRET, client, token};
use claw_testkit::{Delivery, emulator, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Row as _;

pub(crate) struct Telegram {
    url: String,
    pub(crate) token: String,
}

impl Telegram {
    pub(crate) fn new(url: &str) -> Self {
        let number = u32::from_str_radix(&token(3), 16).unwrap() + 1_000_000;
        Self { url: url.to_owned(), token: format!("{number}:{}", token(18)) }
    }

    pub(crate) async fn control(&self, what: &str, body: Value) -> Value {
        let mut body = body;
        body["token"] = json!(self.token);
        let response =
            client().post(format!("{}/control/{what}", self.url)).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{what}: {}", response.status());
        response.json().await.unwrap()
    }

    async fn sent(&self) -> Vec<Value> {
        let url = format!("{}/control/sent?token={}", self.url, self.token);
        let answer: Value = client().get(url).send().await.unwrap().json().await.unwrap();
        answer["messages"].as_array().unwrap().clone()
    }

    pub(crate) async fn wait_for_text(&self, text: &str) {
        eventually(&format!("{text:?} at Telegram"), Duration::from_secs(20), async || {
            self.sent().await.iter().any(|message| message["text"] == text).then_some(())
        })
        .await;
    }
}

fn assert_signed(delivery: &Delivery) {
    let given = delivery.header("x-webhook-signature");
    assert_eq!(given, signature::sign(SECRET.as_bytes(), &delivery.body));
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let expected = signature::sign_standard(SECRET.as_bytes(), id, time.parse().unwrap(), &delivery.body);
    assert_eq!(delivery.header("webhook-signature"), expected);
}

async fn owners(cluster: &Cluster) -> Vec<(String, i64)> {
    let mut database = cluster.database.connect().await;
    let sql = "select owner, count(*) from shards where owner is not null group by owner order by owner";
    let rows = sqlx::query(sql).fetch_all(&mut database).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn wait_for_owners(cluster: &Cluster, names: &[&str]) -> Vec<(String, i64)> {
    eventually(&format!("all shards owned by {names:?}"), Duration::from_secs(30), async || {
        let owners = owners(cluster).await;
        let all = owners.iter().map(|(_, count)| count).sum::<i64>() == 256;
        (all && owners.iter().map(|(name, _)| name.as_str()).eq(names.iter().copied())).then_some(owners)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_roles_relay_telegram_both_ways() {
    let cluster = Cluster::prepare().await;
    let (mut gateway, api) = cluster.gateway().await;
    let mut one = cluster.worker("one", &api.base).await;
    let mut two = cluster.worker("two", &api.base).await;
    let (mut scheduler, scheduler_rpc) = cluster.scheduler("clock").await;
    let shares = wait_for_owners(&cluster, &["one", "two"]).await;
    assert!(shares.iter().all(|(_, count)| (90..=166).contains(count)), "uneven: {shares:?}");
    let (_emulator, emulator_url) = emulator().await;
    let ready = client().get(format!("http://{scheduler_rpc}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    scheduler.wait_for_line("elected: leading term 1").await;
    let mut doctor = cluster.start(&["doctor"], &[]);
    assert_eq!(doctor.wait().await, Some(0), "{}", doctor.all_output().await);
    let output = doctor.all_output().await;
    assert!(output.contains("ok    scheduler: clock leads, term 1"), "{output}");
    assert!(output.contains("ok    workers: 256 shards are owned by 2 live workers"), "{output}");
    assert!(
        output.contains("ok    leases: ") && output.contains("ok    channels: 0 are switched on"),
        "{output}"
    );
    assert!(output.contains("answers a wrong signature as it does the right one (422"), "{output}");

    // Several bots, so that both workers have some.
    let mut bots = Vec::new();
    for n in 0..6 {
        let bot = Telegram::new(&emulator_url);
        let slug = format!("telegram_{n}");
        let fields = json!({"bot_token_env": bot.token, "api_url": emulator_url, "poll_interval_secs": "5"});
        api.configure("ada", &slug, "telegram", fields).await;
        bots.push((slug, bot));
    }
    for (n, (slug, bot)) in bots.iter().enumerate() {
        api.wait_for_status("ada", slug, "running").await;
        let text = format!("question {n}");
        bot.control("message", json!({"chat_id": 70, "user_id": 7, "first_name": "Ada", "text": text})).await;
        let deliveries = cluster.receiver.wait_for(n + 1).await;
        let delivery = deliveries.iter().find(|d| d.json()["text"] == text).unwrap();
        assert_signed(delivery);
        let body = delivery.json();
        assert_eq!((&body["user_id"], &body["instance_name"]), (&json!("ada"), &json!(slug)));
        let recipient = body["reply_to"]["recipient"].as_str().unwrap();
        let (status, answer) = api.send("ada", slug, recipient, &format!("answer {n}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(answer["platform_message_id"].is_string(), "{answer}");
        bot.wait_for_text(&format!("answer {n}")).await;
    }
    media_reaches_the_backend(&cluster, &api, &bots[0].1).await;

    for process in [&mut one, &mut two, &mut scheduler, &mut gateway] {
        process.signal("TERM").await;
        assert_eq!(process.wait().await, Some(0), "{}", process.output());
    }
    assert!(owners(&cluster).await.is_empty(), "shards are given back");
}

/// Photo and voice note arrive as links of our own that never show the token.
async fn media_reaches_the_backend(cluster: &Cluster, api: &Api, bot: &Telegram) {
    let photo = STANDARD.encode(b"\x89PNG a picture");
    let voice = STANDARD.encode(b"OggS a voice note");
    let person = json!({"chat_id": 70, "user_id": 7, "first_name": "Ada"});
    let with = |more: Value| {
        let mut body = person.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let before = cluster.receiver.deliveries().len();
    bot.control("photo", with(json!({"caption": "look", "content_base64": photo}))).await;
    bot.control("voice", with(json!({"duration": 3, "mime_type": "audio/ogg", "content_base64": voice})))
        .await;
    let deliveries = cluster.receiver.wait_for(before + 2).await;
    for (kind, bytes) in [("image", b"\x89PNG a picture".as_slice()), ("voice", b"OggS a voice note")] {
        let delivery = deliveries.iter().find(|d| d.json()["content_type"] == kind).unwrap();
        assert_signed(delivery);
        assert!(!String::from_utf8_lossy(&delivery.body).contains(&bot.token));
        let url = delivery.json()["media_url"].as_str().unwrap().to_owned();
        assert!(url.starts_with(&api.base), "{url}");
        let fetched = client().get(&url).send().await.unwrap();
        assert_eq!(fetched.status(), StatusCode::OK);
        assert_eq!(fetched.bytes().await.unwrap(), bytes);
        let forged = url.replace("signature=", "signature=0");
        assert_eq!(client().get(forged).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let voice = deliveries.iter().find(|d| d.json()["content_type"] == "voice").unwrap().json();
    assert_eq!(voice["media_duration_seconds"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_replaced_and_the_offset_goes_on() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut one = cluster.worker("one", &api.base).await;
    let (_emulator, emulator_url) = emulator().await;
    let bot = Telegram::new(&emulator_url);
    let fields = json!({"bot_token_env": bot.token, "api_url": emulator_url, "poll_interval_secs": "5"});
    api.configure("ada", "telegram_1", "telegram", fields).await;
    api.wait_for_status("ada", "telegram_1", "running").await;
    let say = |text: &'static str| bot.control("message", json!({"chat_id": 70, "user_id": 7, "text": text}));
    say("before").await;
    cluster.receiver.wait_for(1).await;

    // The kill may come between the webhook's answer and its record: then it is delivered again, under the same id.
    one.kill().await;
    say("while nobody listens").await;
    let _two = cluster.worker("two", &api.base).await;
    wait_for_owners(&cluster, &["two"]).await;
    say("after").await;
    let texts = eventually("all three messages", Duration::from_secs(30), async || {
        let mut seen = HashSet::new();
        let deliveries = cluster.receiver.deliveries();
        let first = deliveries.iter().filter(|d| seen.insert(d.header("webhook-id").to_owned()));
        let texts: Vec<_> = first.map(|d| d.json()["text"].clone()).collect();
        (texts.len() >= 3).then_some(texts)
    });
    assert_eq!(texts.await, ["before", "while nobody listens", "after"]);
    let mut database = cluster.database.connect().await;
    let epoch: i64 =
        sqlx::query_scalar("select min(epoch) from shards").fetch_one(&mut database).await.unwrap();
    assert!(epoch >= 2, "each claim raises the epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joining_worker_takes_its_share_over_without_a_second_poll() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _one = cluster.worker("one", &api.base).await;
    let (_emulator, emulator_url) = emulator().await;
    let mut bots = Vec::new();
    for n in 0..8 {
        let bot = Telegram::new(&emulator_url);
        let slug = format!("bot_{n}");
        let fields = json!({"bot_token_env": bot.token, "api_url": emulator_url, "poll_interval_secs": "30"});
        api.configure("ada", &slug, "telegram", fields).await;
        api.wait_for_status("ada", &slug, "running").await;
        bots.push(bot);
    }
    let mut two = cluster.worker("two", &api.base).await;
    wait_for_owners(&cluster, &["one", "two"]).await;
    two.signal("TERM").await;
    assert_eq!(two.wait().await, Some(0));
    wait_for_owners(&cluster, &["one"]).await;
    for bot in &bots {
        let url = format!("{emulator_url}/control/stats?token={}", bot.token);
        let stats: Value = client().get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(stats["conflicts"], 0, "two pollers at once: {stats}");
    }
}

async fn wait_until_all_are_done(cluster: &Cluster) {
    eventually("all messages to be done", Duration::from_secs(30), async || {
        let mut database = cluster.database.connect().await;
        let pending = sqlx::query_scalar("select count(*) from messages where finished_at is null");
        let pending: i64 = pending.fetch_one(&mut database).await.unwrap();
        (pending == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_is_replaced_and_joins_again() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut one = cluster.worker("one", &api.base).await;
    let mut two = cluster.worker("two", &api.base).await;
    wait_for_owners(&cluster, &["one", "two"]).await;
    let secret = token(16);
    let mut hooks = Vec::new();
    for n in 0..12 {
        hooks
            .push(api.configure("ada", &format!("hook_{n}"), "webhook", json!({"secret_env": secret})).await);
    }
    let push_to_all = async |round: &str| {
        for hook in &hooks {
            let body = json!({"message_id": round, "sender": {"id": "ada"}, "text": round});
            assert_eq!(api.push(hook, &secret, &body).await, Some(StatusCode::OK));
        }
    };
    push_to_all("before").await;
    cluster.receiver.wait_for(12).await;
    // One whose delivery it had not noted would rightly come again.
    wait_until_all_are_done(&cluster).await;

    one.signal("STOP").await;
    push_to_all("frozen").await;
    wait_for_owners(&cluster, &["two"]).await;
    let deliveries = cluster.receiver.wait_for(24).await;
    one.signal("CONT").await;
    one.wait_for_line("the lease is lost").await;
    wait_for_owners(&cluster, &["one", "two"]).await;
    push_to_all("after").await;
    let all = cluster.receiver.wait_for(deliveries.len() + 12).await;
    let ids: HashSet<_> = all.iter().map(|delivery| delivery.header("webhook-id").to_owned()).collect();
    assert_eq!((all.len(), ids.len()), (36, 36), "each message once");
    for worker in [&mut one, &mut two] {
        worker.signal("TERM").await;
        assert_eq!(worker.wait().await, Some(0), "{}", worker.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_elect_one_leader_and_the_other_takes_over() {
    let cluster = Cluster::prepare().await;
    let (mut first, _) = cluster.scheduler("first").await;
    first.wait_for_line("elected: leading term 1").await;
    let (mut second, _) = cluster.scheduler("second").await;
    first.kill().await;
    second.wait_for_line("elected: leading term 2").await;
    second.signal("TERM").await;
    assert_eq!(second.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_of_one_name_are_not_both_let_in() {
    let cluster = Cluster::prepare().await;
    let _one = cluster.worker("same", "http://127.0.0.1:1").await;
    let more = [("II_CLAW_RPC_LISTEN", "127.0.0.1:0"), ("II_CLAW_NAME", "same")];
    let mut other = cluster.start(&["worker"], &more);
    assert_eq!(other.wait().await, Some(1));
    assert!(other.all_output().await.contains("give this one another II_CLAW_NAME"));
}
