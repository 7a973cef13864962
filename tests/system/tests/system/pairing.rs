//! Letting a stranger in, as the people see it: on a platform, through the real processes.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::{Platform, eventually};
use serde_json::{Value, json};

/// Not the bot's own id, which is 1.
const OWNER: i64 = 5;
const STRANGER: i64 = 7;

/// Waits for the `n`th text that the bot sends into a chat.
async fn told(platform: &Platform, chat: i64, n: usize) -> String {
    eventually(&format!("text {n} for {chat}"), Duration::from_secs(30), async || {
        let sent = platform.sent();
        sent.into_iter().filter(|sent| sent.chat == chat.to_string()).nth(n).map(|sent| sent.text)
    })
    .await
}

async fn code(api: &Api) -> String {
    let (_, found) = api.call("GET", "/api/users/u/channels/bot/pairing?state=pending", None).await;
    found["pairings"][0]["code"].as_str().unwrap().to_owned()
}

/// What the backend got, in order.
fn questions(cluster: &Cluster) -> Vec<String> {
    let bodies = cluster.receiver.deliveries().into_iter().map(|delivery| delivery.json());
    bodies.map(|body| body["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_writes_shows_the_code_and_is_let_in_by_the_owner_in_the_chat() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url(),
                        "dm_policy": "pairing", "owners": [OWNER]});
    api.configure("u", "bot", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, Duration::from_secs(60)).await);

    platform.inject(1, STRANGER, "what is the weather?");
    platform.inject(1, STRANGER, "in Paris");
    let asked = told(&platform, STRANGER, 0).await;
    let code = code(&api).await;
    assert!(asked.contains(&code), "{asked}");

    // What waits is in the database: another worker goes on with it. A kill before the record of the send would repeat the send.
    eventually("the code's message to be recorded as sent", Duration::from_secs(30), async || {
        let (_, pending) = api.call("GET", "/api/users/u/messages?state=pending", None).await;
        pending["messages"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    worker.kill().await;
    let _worker = cluster.worker("two", &api.base).await;
    platform.inject(1, OWNER, "/pair list");
    let list = told(&platform, OWNER, 0).await;
    assert!(list.starts_with(&format!("{code} Ada ({STRANGER})")), "{list}");
    platform.inject(1, OWNER, &format!("/pair {}", code.to_lowercase()));
    assert_eq!(told(&platform, OWNER, 1).await, format!("Ada ({STRANGER}) can write to this bot now."));
    assert!(told(&platform, STRANGER, 1).await.starts_with("You can write to this bot now."));
    cluster.receiver.wait_for(2).await;
    platform.inject(1, STRANGER, "thank you");
    cluster.receiver.wait_for(3).await;
    assert_eq!(questions(&cluster), ["what is the weather?", "in Paris", "thank you"]);
    assert_eq!(platform.sent().len(), 4, "the other worker says nothing that was said before");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_invites_approves_and_revokes() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url(), "dm_policy": "pairing"});
    api.configure("u", "bot", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, Duration::from_secs(60)).await);
    let run = async |args: &[&str], code: i32| {
        let args: Vec<&str> = ["channels", "pairing"].iter().chain(args).copied().collect();
        cluster.command(&api, &args, code).await
    };
    assert!(run(&["list", "u", "bot"], 0).await.contains("nobody asked"));
    assert!(run(&["list", "u", "another"], 1).await.contains("no such channel"));
    assert!(run(&["invite", "u", "bot", "--expires-in", "1"], 1).await.contains("must be from 60"));

    let made: Value = serde_json::from_str(&run(&["--json", "invite", "u", "bot"], 0).await).unwrap();
    let invitation = made["code"].as_str().unwrap();
    platform.inject(1, 8, &format!("/start {invitation}"));
    assert!(told(&platform, 8, 0).await.starts_with("You can write to this bot now."));

    platform.inject(1, STRANGER, "hello");
    told(&platform, STRANGER, 0).await;
    let code = code(&api).await;
    assert!(run(&["list", "u", "bot", "--state", "pending"], 0).await.contains(&code));
    assert!(run(&["approve", "u", "bot", "AAAAAAAA"], 1).await.contains("may have expired"));
    assert!(run(&["approve", "u", "bot", &code], 0).await.contains("Ada (7) may write now"));
    cluster.receiver.wait_for(1).await;
    assert!(run(&["revoke", "u", "bot", &code], 0).await.contains("Ada (7) may not write any more"));
    platform.inject(1, STRANGER, "are you there?");
    assert!(told(&platform, STRANGER, 2).await.contains("does not know you yet"));
    assert_eq!(questions(&cluster), ["hello"]);
}
