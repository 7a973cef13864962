//! A platform that answers every third call with 429 and drops every tenth connection after it took the message: judged by
//! what the platform saw.

use std::collections::BTreeMap;
use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::platform::Faults;
use claw_testkit::{Platform, eventually};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// Bots, each of which is silent for a second after every third call.
const BOTS: u32 = 10;
/// Chats of each bot, and messages into each chat.
const CHATS: u32 = 5;
const MESSAGES: u32 = 6;
/// Every so many of them are longer than Telegram takes, and go out in two parts.
const LONG: u32 = 6;
/// What Telegram takes.
const PART: usize = 4096;

/// What one send was, and the id under which it is stored.
struct Accepted {
    bot: u32,
    id: String,
    /// What its parts begin with, each only its own.
    parts: Vec<String>,
}

async fn start(cluster: &Cluster, api: &Api, platform: &Platform) {
    for bot in 1..=BOTS {
        let fields = json!({"bot_token_env": platform.bot(bot), "api_url": platform.url()});
        api.configure(&user(bot), "bot", "telegram", fields).await;
    }
    let all = usize::try_from(BOTS).unwrap();
    assert!(platform.wait_for_polling(all, Duration::from_secs(60)).await, "{}", cluster.database.url());
}

fn user(bot: u32) -> String {
    format!("user-{bot}")
}

async fn send(api: &Api, bot: u32, chat: u32, n: u32) -> Accepted {
    let name = |part: u32| format!("[bot {bot} chat {chat} message {n} part {part}]");
    let (text, parts) = if n.is_multiple_of(LONG) {
        (format!("{} {}\n\n{}", name(1), "x".repeat(PART - 40), name(2)), vec![name(1), name(2)])
    } else {
        (name(1), vec![name(1)])
    };
    let (status, answer) = api.send(&user(bot), "bot", &format!("{}", 1_000 + chat), &text).await;
    assert!(status.is_success(), "{status}: {answer}");
    Accepted { bot, id: answer["id"].as_str().unwrap().to_owned(), parts }
}

/// The message once it has ended.
async fn ended(api: &Api, accepted: &Accepted) -> Value {
    let path = format!("/api/users/{}/messages/{}", user(accepted.bot), accepted.id);
    eventually("a message to end", Duration::from_secs(120), async || {
        let (_, message) = api.call("GET", &path, None).await;
        (message["state"] != "pending").then_some(message)
    })
    .await
}

/// How often the platform took each part.
fn seen(platform: &Platform) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for sent in platform.sent() {
        let end = sent.text.find(']').expect("a part begins with its name");
        *seen.entry(sent.text[..=end].to_owned()).or_default() += 1;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_arrives_once_or_is_reported_uncertain() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_SEND_WAIT_MS", "100");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    start(&cluster, &api, &platform).await;
    platform.misbehave(Faults { refused: 3, dropped: 10, ..Faults::default() });

    let each = (0..MESSAGES)
        .flat_map(|n| (0..CHATS).flat_map(move |chat| (1..=BOTS).map(move |bot| (bot, chat, n))));
    let sending = futures::stream::iter(each).map(|(bot, chat, n)| send(&api, bot, chat, n)).buffered(16);
    let accepted: Vec<Accepted> = sending.collect().await;

    let mut uncertain = 0;
    for message in &accepted {
        let end = ended(&api, message).await;
        let seen = seen(&platform);
        let times: Vec<usize> =
            message.parts.iter().map(|part| seen.get(part).copied().unwrap_or(0)).collect();
        match end["state"].as_str().unwrap() {
            "done" => assert!(times.iter().all(|n| *n == 1), "{times:?}: {end}"),
            "uncertain" => {
                uncertain += 1;
                assert!(times.iter().all(|n| *n <= 1), "{times:?}: {end}");
                if message.parts.len() > 1 {
                    let error = end["error"].as_str().unwrap();
                    assert!(error.contains(" of 2: "), "which part it was: {error}");
                }
            }
            _ => panic!("neither done nor uncertain: {end}"),
        }
    }
    // The platform did what it was told to: a tenth of what it took was never answered.
    let dropped = platform.sent().len() / 10;
    println!("{} messages, {uncertain} uncertain", accepted.len());
    assert!(
        uncertain > 0 && (dropped.saturating_sub(10)..=dropped).contains(&uncertain),
        "{uncertain} of {dropped}"
    );
}
