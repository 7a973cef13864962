//! A tenant with a long queue does not keep another one waiting, not even in the same shard.

use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_types::{InstanceId, ShardCount, UserId};
use reqwest::StatusCode;
use serde_json::json;

/// What one tenant has waiting, in so many conversations.
const QUEUED: usize = 10_000;
const CONVERSATIONS: usize = 300;
/// How many of a tenant's messages a worker has under way to a backend at once.
const PLACES: usize = 64;
/// As many of hers may come while his is on its way: those of three answer times, and those that were under way when it was accepted.
/// His own places are free, so it waits for none of hers; the rest is the way through gateway and worker on a busy machine.
const AHEAD: usize = 4 * PLACES;

/// A channel of `user` in the same shard as `like`.
fn beside(like: (&UserId, &InstanceId), user: &UserId) -> InstanceId {
    let shard = ShardCount::DEFAULT.shard_of(like.0, like.1);
    let names = (0..).map(|n| format!("hook-{n}").parse().unwrap());
    names.into_iter().find(|name| ShardCount::DEFAULT.shard_of(user, name) == shard).unwrap()
}

async fn says(api: &Api, channel: &str, secret: &str, text: &str) {
    let body = json!({"message_id": text, "sender": {"id": "somebody"}, "text": text});
    assert_eq!(api.push(channel, secret, &body).await, Some(StatusCode::OK));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_does_not_wait_for_the_ten_thousand_of_another_tenant() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let hers: InstanceId = "hook".parse().unwrap();
    let his = beside((&ada, &hers), &bob);
    let secret = token(16);
    let fields = json!({"secret_env": secret});
    let ada_channel = api.configure("ada", hers.as_str(), "webhook", fields.clone()).await;
    let bob_channel = api.configure("bob", his.as_str(), "webhook", fields).await;
    says(&api, &ada_channel, &secret, "queued").await;
    let mut database = cluster.database.connect().await;
    let copied = sqlx::query(
        "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
         select gen_random_uuid(), user_id, channel_id, shard, direction, 'c' || n % $1, payload, source
         from messages, generate_series(2, $2) n",
    );
    let (conversations, queued) = (i32::try_from(CONVERSATIONS).unwrap(), i32::try_from(QUEUED).unwrap());
    copied.bind(conversations).bind(queued).execute(&mut database).await.unwrap();

    cluster.receiver.answer_after(Duration::from_millis(100));
    let _worker = cluster.worker("one", &api.base).await;
    cluster.receiver.wait_for(100).await;
    says(&api, &bob_channel, &secret, "one").await;
    let before = cluster.receiver.deliveries().len();
    let place = wait_for_text(&cluster, "one").await;
    let ahead = place.saturating_sub(before);
    println!("{ahead} of hers came while his was on its way; {AHEAD} may");
    assert!(ahead <= AHEAD, "it came behind {ahead} more of hers, {AHEAD} may");
    cluster.receiver.answer_after(Duration::ZERO);
    cluster.receiver.wait_for(QUEUED + 1).await;
}

/// Waits for the webhook with this text; how many came before it.
async fn wait_for_text(cluster: &Cluster, text: &str) -> usize {
    let what = format!("the webhook with {text:?}");
    claw_testkit::eventually(&what, Duration::from_secs(30), async || {
        let came = cluster.receiver.deliveries();
        came.iter().position(|delivery| delivery.json()["text"] == text)
    })
    .await
}
