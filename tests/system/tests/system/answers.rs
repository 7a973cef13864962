//! What people see of a backend that answers in the body, and while one works, on a platform: judged by what the platform saw.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::{Claw, Platform, eventually};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

async fn start(platform: &Platform) -> (Cluster, Api, [Claw; 2]) {
    let cluster = Cluster::prepare().await;
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    bot(&api, platform, 1, json!(null)).await;
    assert!(platform.wait_for_polling(1, LIMIT).await);
    (cluster, api, [gateway, worker])
}

async fn bot(api: &Api, platform: &Platform, n: u32, typing: Value) {
    let mut fields = json!({"bot_token_env": platform.bot(n), "api_url": platform.url()});
    if !typing.is_null() {
        fields["typing"] = typing;
    }
    api.configure("ada", &format!("bot{n}"), "telegram", fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_the_body_arrive_once_each_and_in_order() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    cluster.receiver.reply_with(json!({"replies": [
        "one",
        {"message": "two", "buttons": [[{"text": "more", "data": "more"}]]},
        {"mesage": "a typing error"},
    ]}));
    platform.inject(1, 42, "hi");
    let sent = eventually("both answers", LIMIT, async || {
        let sent = platform.sent();
        (sent.len() == 2).then_some(sent)
    })
    .await;
    let seen: Vec<_> = sent.iter().map(|sent| (&*sent.chat, &*sent.text)).collect();
    assert_eq!(seen, [("42", "one"), ("42", "two")]);
    assert_eq!(sent[1].buttons, json!([[{"text": "more", "callback_data": "more"}]]));

    let asked = eventually("the message to be settled", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=in", None).await;
        let message = page["messages"][0].clone();
        (message["state"] == "done").then_some(message)
    })
    .await;
    let path = format!("/api/users/ada/messages/{}", asked["id"].as_str().unwrap());
    let (_, asked) = api.call("GET", &path, None).await;
    let error = asked["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("reply 3: unknown field `mesage`"),
        "its user is told what could not be used: {asked}"
    );
    assert_eq!(cluster.receiver.deliveries().len(), 1, "and the backend is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_shown_until_the_answer_and_only_where_it_is_wanted() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    bot(&api, &platform, 2, json!(false)).await;
    assert!(platform.wait_for_polling(2, LIMIT).await);
    let shown = |chat: &str| platform.typing().iter().filter(|typing| typing.chat == chat).count();
    let shown_to = async |chat: &str, times: usize| {
        eventually("typing", LIMIT, async || (shown(chat) >= times).then_some(())).await;
    };

    cluster.receiver.reply_with(json!({"immediate_reply": "Processing...", "async_processing": true}));
    platform.inject(1, 42, "one who gets an answer");
    platform.inject(1, 43, "one who waits");
    platform.inject(2, 44, "one who sees nothing");
    cluster.receiver.wait_for(3).await;
    shown_to("42", 2).await;
    let (status, answer) = api.send("ada", "bot1", "42", "the answer").await;
    assert!(status.is_success(), "{answer}");
    let (when_answered, other) = (shown("42"), shown("43"));
    // The other's sign is the clock: hers would have been shown anew twice meanwhile.
    shown_to("43", other + 3).await;
    // One call may have been on its way.
    assert!(shown("42") <= when_answered + 1, "nobody is writing any more");
    assert_eq!(shown("44"), 0, "her channel does not want it");
}
