//! Every role behind a real PgBouncer in transaction mode with four sessions for all of them.

use std::collections::HashSet;
use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::{PgBouncer, emulator, eventually};
use reqwest::StatusCode;
use serde_json::json;

use crate::cluster::Telegram;

async fn pooled() -> (PgBouncer, Cluster) {
    let cluster = Cluster::prepare().await;
    let bouncer = PgBouncer::start(&cluster.database, 4).await;
    let direct = cluster.database.url().to_owned();
    let cluster = cluster.with("DATABASE_URL", bouncer.url()).with("II_CLAW_DATABASE_POOLER", "transaction");
    (bouncer, cluster.with("II_CLAW_LEASE_DATABASE_URL", &direct))
}

async fn ask(bot: &Telegram, text: &str) {
    bot.control("message", json!({"chat_id": 70, "user_id": 7, "first_name": "Ada", "text": text})).await;
}

async fn wait_for_all(cluster: &Cluster, texts: &HashSet<String>) {
    eventually("every message at the backend", Duration::from_secs(30), async || {
        let deliveries = cluster.receiver.deliveries();
        let texts_there: HashSet<String> =
            deliveries.iter().map(|d| d.json()["text"].as_str().unwrap().to_owned()).collect();
        texts.is_subset(&texts_there).then_some(())
    })
    .await;
}

async fn answer(cluster: &Cluster, api: &Api, bot: &Telegram, text: &str) {
    let recipient = cluster.receiver.deliveries()[0].json()["reply_to"]["recipient"].clone();
    let (status, answer) = api.send("ada", "telegram_0", recipient.as_str().unwrap(), text).await;
    assert!(matches!(status, StatusCode::OK | StatusCode::ACCEPTED), "{answer}");
    bot.wait_for_text(text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_through_a_pooler_and_outlive_their_worker() {
    let (_bouncer, cluster) = pooled().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut one = cluster.worker("one", &api.base).await;
    let (mut scheduler, _) = cluster.scheduler("clock").await;
    scheduler.wait_for_line("elected: leading term 1").await;
    let (_emulator, emulator_url) = emulator().await;
    let bot = Telegram::new(&emulator_url);
    let fields = json!({"bot_token_env": bot.token, "api_url": emulator_url, "poll_interval_secs": "5"});
    api.configure("ada", "telegram_0", "telegram", fields).await;
    api.wait_for_status("ada", "telegram_0", "running").await;

    let mut texts = HashSet::new();
    for n in 0..20 {
        texts.insert(format!("question {n}"));
        ask(&bot, &format!("question {n}")).await;
    }
    wait_for_all(&cluster, &texts).await;
    answer(&cluster, &api, &bot, "an answer").await;

    one.kill().await;
    for n in 20..40 {
        texts.insert(format!("question {n}"));
        ask(&bot, &format!("question {n}")).await;
    }
    let _two = cluster.worker("two", &api.base).await;
    wait_for_all(&cluster, &texts).await;
    answer(&cluster, &api, &bot, "another answer").await;
    let doctor = cluster.start(&["doctor"], &[]).all_output().await;
    assert!(doctor.contains("ok    workers: 256 shards are owned by 1 live workers"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_through_a_pooler_is_refused() {
    let cluster = Cluster::prepare().await.with("II_CLAW_DATABASE_POOLER", "transaction");
    for role in ["gateway", "worker", "scheduler"] {
        let mut process = cluster.start(&[role], &[]);
        assert_eq!(process.wait().await, Some(1));
        let output = process.all_output().await;
        let wanted = "II_CLAW_DATABASE_POOLER=transaction needs II_CLAW_LEASE_DATABASE_URL";
        assert!(output.contains(wanted), "{output}");
    }
}
