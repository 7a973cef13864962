//! What waits for another attempt when its user is erased is not attempted any more, though a worker has it in memory.

use std::time::Duration;

use claw_system_tests::{Cluster, token};
use claw_testkit::eventually;
use reqwest::StatusCode;
use serde_json::json;

/// How often a user's message was posted.
fn attempts(cluster: &Cluster, user: &str) -> usize {
    cluster.receiver.deliveries().iter().filter(|delivery| delivery.json()["user_id"] == user).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_drops_what_it_has_of_an_erased_user() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    cluster.receiver.answer_next([StatusCode::INTERNAL_SERVER_ERROR; 100]);
    // Both wait 1, 2, 4 and 8 s for their attempts: he is the clock by which hers would have come.
    for user in ["ada", "bob"] {
        let secret = token(16);
        let channel = api.configure(user, "hook", "webhook", json!({"secret_env": secret})).await;
        let body = json!({"message_id": "m", "sender": {"id": "somebody"}, "text": "hello"});
        assert_eq!(api.push(&channel, &secret, &body).await, Some(StatusCode::OK));
    }
    let wait_for = async |user: &str, count: usize| {
        let what = format!("attempt {count} of {user}'s message");
        eventually(&what, Duration::from_secs(40), async || {
            (attempts(&cluster, user) >= count).then_some(())
        })
        .await;
    };
    wait_for("ada", 1).await;
    let (status, answer) = api.call("DELETE", "/api/users/ada?confirm=ada", None).await;
    assert!(status.is_success(), "{answer}");
    // The worker looks every 3 s who was erased; his fourth attempt is made after 5 s at the earliest.
    wait_for("bob", 4).await;
    let hers = attempts(&cluster, "ada");
    assert!(hers < 4, "{hers} attempts at the message of somebody who is gone");
    wait_for("bob", 5).await;
    assert_eq!(attempts(&cluster, "ada"), hers);
}
