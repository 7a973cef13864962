//! What a platform is answered that posts to a gateway and does what stands in the answer.

use claw_system_tests::Cluster;
use serde_json::{Value, json};

const TOKEN: &str = "7:AAEabcdefghijklmnopqrstuvwxyz_-01234";

fn update(id: u32, what: &str, body: Value) -> Value {
    let mut update = json!({"update_id": id});
    update[what] = body;
    update
}

/// The gateway makes no call of its own: its answer is the call by which the waiting sign on the button ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_answered_with_the_call_that_ends_its_waiting_sign() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    // Nobody listens where the bot's calls would go.
    let fields = json!({"bot_token_env": TOKEN, "mode": "webhook", "public_url": "https://claw.example.org", "api_url": "http://127.0.0.1:9"});
    let body = json!({"channel_type": "telegram", "fields": fields, "probe": false});
    let (status, channel) = api.call("POST", "/api/users/ada/channels/bot/configure", Some(body)).await;
    assert_eq!(status, 201, "{channel}");
    let id = channel["id"].as_str().unwrap();
    let secret = claw_secrets::signature::sign(TOKEN.as_bytes(), format!("webhook of {id}").as_bytes());
    let secret = secret.trim_start_matches("sha256=").to_owned();
    let post = async |secret: &str, update: &Value| {
        let request = api.client.post(format!("{}/webhooks/telegram/{id}?bot=claw_bot", api.base));
        let request = request.header("x-telegram-bot-api-secret-token", secret).json(update);
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let person = json!({"id": 42, "is_bot": false, "first_name": "Ada"});
    let chat = json!({"id": 42, "type": "private", "first_name": "Ada"});
    let below = json!({"message_id": 5, "date": 1_700_000_000, "chat": chat, "text": "sure?"});
    let press = update(
        7,
        "callback_query",
        json!({"id": "4711", "from": person, "chat_instance": "1", "data": "y", "message": below}),
    );
    assert_eq!(post("guess", &press).await.0, 401);
    let call = json!({"method": "answerCallbackQuery", "callback_query_id": "4711"});
    assert_eq!(post(&secret, &press).await, (reqwest::StatusCode::OK, call.clone()));
    assert_eq!(post(&secret, &press).await.1, call, "and again when it is posted again");
    let text = update(
        8,
        "message",
        json!({"message_id": 6, "date": 1_700_000_000, "chat": chat, "from": person, "text": "hi"}),
    );
    assert_eq!(post(&secret, &text).await.1["status"], "accepted", "to a text there is nothing to do");
    let mut database = cluster.database.connect().await;
    let counted = sqlx::query_scalar("select count(*) from messages").fetch_one(&mut database);
    let stored: i64 = counted.await.unwrap();
    assert_eq!(stored, 2, "the press counts once");
}
