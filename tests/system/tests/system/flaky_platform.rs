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
/// Questions in each chat, every other one with something to show at once.
const ROUNDS: u32 = 4;
/// Longer than it takes for all that is refused to be taken.
const LIMIT: Duration = Duration::from_secs(120);

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
    eventually("a message to end", LIMIT, async || {
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

/// What a round's answer consists of as it is streamed, each with the pause before it: its beginning is long enough to be shown.
fn pieces(round: u32) -> [(u64, String); 3] {
    [
        (0, format!("[answer {round}] its beginning is seen while it is written, ")),
        (1_500, "it grows while it is looked at, ".to_owned()),
        (1_500, "and it is whole.".to_owned()),
    ]
}

fn whole(round: u32) -> String {
    pieces(round).into_iter().map(|(_, piece)| piece).collect()
}

/// The backend answers all that is asked from now on with this round's answer.
fn answer_with(cluster: &Cluster, round: u32) {
    let event = |pause_ms: u64, data: Value| (Duration::from_millis(pause_ms), format!("data: {data}\n\n"));
    let at_once = json!({"immediate_reply": format!("[at once {round}] Processing...")});
    let at_once = round.is_multiple_of(2).then(|| event(0, at_once));
    let pieces = pieces(round).into_iter().map(|(pause_ms, piece)| event(pause_ms, json!({"delta": piece})));
    cluster.receiver.stream_with(Some(at_once.into_iter().chain(pieces).collect()));
}

/// One user's messages that this narrows, of one page that has them all.
async fn messages(api: &Api, bot: u32, narrow: &str) -> Vec<Value> {
    let path = format!("/api/users/{}/messages?limit=200&{narrow}", user(bot));
    let (_, page) = api.call("GET", &path, None).await;
    page["messages"].as_array().cloned().unwrap_or_default()
}

/// Waits until so many questions of each bot's are answered, and it is known what became of the answers.
async fn all_answered(api: &Api, questions: usize) {
    for bot in 1..=BOTS {
        eventually("the answers of a round", LIMIT, async || {
            let asked = messages(api, bot, "direction=in&state=done").await;
            let settled = asked.len() == questions
                && messages(api, bot, "direction=out&state=pending").await.is_empty();
            settled.then_some(())
        })
        .await;
    }
}

/// What a bot's people see, by chat and text.
fn shown(platform: &Platform, bot: u32) -> BTreeMap<(String, String), usize> {
    let mut shown = BTreeMap::new();
    for sent in platform.sent().into_iter().filter(|sent| sent.bot == bot) {
        *shown.entry((sent.chat, sent.text)).or_default() += 1;
    }
    shown
}

/// The states of what was to be sent into this chat and says this.
fn states<'a>(records: &'a [Value], chat: &str, text: &str) -> Vec<&'a str> {
    let says =
        |record: &&Value| record["text"].as_str().is_some_and(|said| said.trim_end() == text.trim_end());
    let told = records.iter().filter(|record| record["recipient"] == chat).filter(says);
    told.map(|record| record["state"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_grew_arrives_once_or_is_uncertain_and_so_is_what_is_left_of_its_preview() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    start(&cluster, &api, &platform).await;
    platform.misbehave(Faults { refused: 3, dropped: 10, ..Faults::default() });

    let mut questions = 0;
    for round in 0..ROUNDS {
        answer_with(&cluster, round);
        for bot in 1..=BOTS {
            for chat in 0..CHATS {
                platform.inject(bot, i64::from(1_000 + chat), &format!("question {round}"));
            }
        }
        questions += usize::try_from(CHATS).unwrap();
        all_answered(&api, questions).await;
    }

    let (mut uncertain, mut left_over, mut grown) = (0, 0, 0);
    for bot in 1..=BOTS {
        let records = messages(&api, bot, "direction=out").await;
        let mut shown = shown(&platform, bot);
        for (chat, round) in (0..CHATS).flat_map(|chat| (0..ROUNDS).map(move |round| (chat, round))) {
            let chat = format!("{}", 1_000 + chat);
            let times = shown.remove(&(chat.clone(), whole(round))).unwrap_or(0);
            match states(&records, &chat, &whole(round)).as_slice() {
                ["done"] => assert_eq!(times, 1, "bot {bot}, chat {chat}, answer {round}"),
                ["uncertain"] => {
                    uncertain += 1;
                    assert!(times <= 1, "bot {bot}, chat {chat}, answer {round}: {times}");
                }
                states => panic!("bot {bot}, chat {chat}, answer {round}: {states:?}"),
            }
        }
        for ((chat, text), times) in shown {
            left_over += times;
            let states = states(&records, &chat, &text);
            let told = states.iter().filter(|state| **state == "uncertain").count();
            assert!(times <= told, "bot {bot}, chat {chat}: {times} of {text:?}, which are {states:?}");
        }
        grown += platform.sent().iter().filter(|sent| sent.bot == bot && sent.edited).count();
    }
    println!(
        "{grown} answers took a preview's place, {uncertain} are uncertain; {left_over} previews are left"
    );
    assert!(grown > 0 && uncertain + left_over > 0, "nothing of what is tried here happened");
}
