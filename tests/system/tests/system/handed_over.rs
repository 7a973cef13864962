//! A shard changes its worker while a slow platform has a message of it and has not answered yet: it arrives once.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::platform::Faults;
use claw_testkit::{Claw, Platform, eventually};
use serde_json::{Value, json};

/// Longer than what can be done again is waited for when a shard is handed over, shorter than a platform may take.
const SLOW: Duration = Duration::from_secs(10);

/// Sends a message to the slow platform, has the only worker give everything away, and starts another one: all that the platform took
/// in the end, when it has a later message of the conversation, too.
async fn taken(give_away: impl AsyncFnOnce(&Cluster, &Api, &Claw)) -> Vec<String> {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_SEND_WAIT_MS", "100");
    let (_gateway, api) = cluster.gateway().await;
    let one = cluster.worker("one", &api.base).await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url()});
    api.configure("ada", "bot", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, Duration::from_secs(60)).await);

    platform.misbehave(Faults { slow: SLOW, ..Faults::default() });
    let first = send(&api, "slow").await;
    eventually("the platform to have it", Duration::from_secs(20), async || {
        (!platform.sent().is_empty()).then_some(())
    })
    .await;
    platform.misbehave(Faults::default());
    give_away(&cluster, &api, &one).await;
    let _two = cluster.worker("two", &api.base).await;
    let second = send(&api, "quick").await;
    for id in [first, second] {
        let path = format!("/api/users/ada/messages/{}", id.as_str().unwrap());
        let message = eventually("a message to end", Duration::from_secs(60), async || {
            let (_, message) = api.call("GET", &path, None).await;
            (message["state"] != "pending").then_some(message)
        })
        .await;
        assert_eq!(message["state"], "done", "{message}\n{}", one.output());
    }
    assert!(platform.conflicts().is_empty(), "the bot was connected twice: {:?}", platform.conflicts());
    platform.sent().into_iter().map(|sent| sent.text).collect()
}

async fn send(api: &Api, text: &str) -> Value {
    let (status, answer) = api.send("ada", "bot", "42", text).await;
    assert!(status.is_success(), "{status}: {answer}");
    answer["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_when_a_worker_is_drained_arrives_once() {
    let taken = taken(async |cluster, api, _| {
        cluster.command(api, &["worker", "drain", "one"], 0).await;
    });
    assert_eq!(taken.await, ["slow", "quick"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_when_a_worker_ends_arrives_once() {
    let taken = taken(async |_, _, one| one.signal("TERM").await);
    assert_eq!(taken.await, ["slow", "quick"]);
}
