//! Updates that Telegram posts.

use http::HeaderValue;
use tokio_util::sync::CancellationToken;

use super::*;

fn configured(server: &str, extra: Value) -> Result<Telegram, ChannelError> {
    let config = with(json!({"bot_token_env": TOKEN, "api_url": server, "poll_interval_secs": 1}), extra);
    Telegram::new(serde_json::from_value(config).unwrap(), deps(Arc::new(Recorder::default())))
}

fn by_webhook(server: &str) -> Telegram {
    configured(server, json!({"mode": "webhook", "public_url": "https://claw.example.org/gw/"})).unwrap()
}

/// Sets the webhook, and has what Telegram was told.
async fn told(server: &Server, bot: &Telegram) -> Value {
    server.will(json!({"id": 123_456, "is_bot": true, "first_name": "Claw", "username": "claw_bot"}));
    server.will(json!({"url": "", "has_custom_certificate": false, "pending_update_count": 3}));
    server.will(json!(true));
    let stop = CancellationToken::new();
    let asked = async {
        while server.asked.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let sink = Kept::default();
    let (ended, ()) = futures::join!(bot.listen(&sink, stop.clone()), asked);
    ended.unwrap();
    let mut asked = server.asked();
    let methods: Vec<_> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["getMe", "getWebhookInfo", "setWebhook"]);
    asked.remove(2).1
}

fn posted(told: &Value, body: &str) -> RawRequest {
    let secret = HeaderValue::try_from(told["secret_token"].as_str().unwrap()).unwrap();
    let headers = HeaderMap::from_iter([("x-telegram-bot-api-secret-token".parse().unwrap(), secret)]);
    let query = told["url"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    RawRequest { headers, query, body: body.to_owned().into() }
}

fn update(text: &str) -> String {
    let message = json!({"message_id": 5, "date": 1_700_000_000, "text": text,
        "entities": [{"type": "mention", "offset": 0, "length": 9}],
        "chat": {"id": -100_123, "type": "supergroup", "title": "research"},
        "from": {"id": 42, "is_bot": false, "first_name": "Ada"}});
    json!({"update_id": 7, "message": message}).to_string()
}

#[tokio::test]
async fn updates_are_posted_to_the_channels_address_and_nothing_is_dropped() {
    let server = Server::default();
    let url = serve(server.router()).await;
    let bot = by_webhook(&url);
    let told = told(&server, &bot).await;
    let channel = bot.deps.channel_id;
    assert_eq!(told["url"], format!("https://claw.example.org/gw/webhooks/telegram/{channel}?bot=claw_bot"));
    assert_eq!(told["drop_pending_updates"], false);
    assert!(told["allowed_updates"].as_array().unwrap().contains(&json!("message_reaction")));
    let secret = told["secret_token"].as_str().unwrap();
    assert!(
        (1..=256).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{secret}"
    );
    assert!(!TOKEN.contains(secret) && !told["url"].as_str().unwrap().contains(secret));
}

#[tokio::test]
async fn only_what_carries_the_secret_is_read() {
    let server = Server::default();
    let url = serve(server.router()).await;
    let bot = by_webhook(&url);
    let told = told(&server, &bot).await;
    // Any gateway takes it: nothing is known there but the fields.
    let gateway = by_webhook(&url);
    let read = |text: &str| gateway.decode(&posted(&told, &update(text))).unwrap().remove(0);
    let message = read("@claw_bot hi");
    assert_eq!((message.mentioned, message.dedup_key.as_deref()), (Some(true), Some("-100123:5")));
    assert_eq!(read("@oth_bots hi").mentioned, Some(false), "the bot's name is in the address");
    let genuine = posted(&told, &update("x"));
    let mut forged = genuine.clone();
    forged.headers.insert("x-telegram-bot-api-secret-token", HeaderValue::from_static("guess"));
    assert!(matches!(gateway.decode(&forged), Err(ChannelError::BadSignature(_))));
    forged.headers.clear();
    assert!(matches!(gateway.decode(&forged), Err(ChannelError::BadSignature(_))));
    for odd in ["", "[]", "{}", r#"{"update_id": "x"}"#] {
        assert!(matches!(gateway.decode(&posted(&told, odd)), Err(ChannelError::BadRequest(_))), "{odd}");
    }
    assert_eq!(gateway.decode(&posted(&told, r#"{"update_id": 8}"#)), Ok(Vec::new()));
    let polling = configured(&url, json!({})).unwrap();
    assert!(matches!(polling.decode(&genuine), Err(ChannelError::BadRequest(_))));
}

/// Any gateway may take the press, and none of them makes calls; when it was committed, the answer to Telegram is the call.
#[tokio::test]
async fn a_posted_press_is_answered_in_the_answer_to_the_post() {
    let server = Server::default();
    let bot = by_webhook(&serve(server.router()).await);
    let told = told(&server, &bot).await;
    let pressed = posted(&told, &press(pressed_message())[0].to_string());
    let message = bot.decode(&pressed).unwrap().remove(0);
    assert_eq!((message.content_type.as_str(), message.text.as_deref()), ("button", Some("y")));
    let Reply { content_type, body } = bot.taken(&pressed).unwrap();
    let mut call: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((content_type, &call["callback_query_id"]), ("application/json", &json!("4711")));
    let method = call.as_object_mut().unwrap().remove("method").unwrap();
    assert_eq!(described(method.as_str().unwrap(), &call), Ok(()), "{method}");
    assert_eq!(bot.taken(&posted(&told, &update("\"callback_query\""))), None, "words are no press");
    assert!(server.asked().is_empty());
}

#[test]
fn an_address_to_which_telegram_does_not_post_is_refused() {
    for (public_url, words) in [
        (None, "missing"),
        (Some("http://claw.example.org"), "https://"),
        (Some("https://claw.example.org:4200"), "8443"),
        (Some("claw.example.org"), "address"),
    ] {
        let refused = configured("https://x.org", json!({"mode": "webhook", "public_url": public_url}));
        assert!(matches!(&refused, Err(ChannelError::Config(why)) if why.contains(words)), "{public_url:?}");
    }
}

#[tokio::test]
async fn a_channel_that_polls_again_takes_its_webhook_away_and_nobody_elses() {
    let active = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
    let (server, bot) = Server::start().await;
    let ours = format!("https://claw.example.org/webhooks/telegram/{}?bot=claw_bot", bot.deps.channel_id);
    server.will(json!({"url": ours, "has_custom_certificate": false, "pending_update_count": 3}));
    server.will(json!(true));
    assert_eq!(bot.end_hook().await, Ok(()));
    let asked = server.asked();
    assert_eq!(asked[1], ("deleteWebhook".to_owned(), json!({"drop_pending_updates": false})));
    server.will(json!({"url": "https://other.example.org/bot", "has_custom_certificate": false, "pending_update_count": 0}));
    let left = bot.end_hook().await;
    assert!(
        matches!(&left, Err(ChannelError::Retryable(why)) if why.contains("another program")),
        "{left:?}"
    );
    assert_eq!(server.asked().len(), 1, "it is looked at and left alone");
    // The poll tells that there is one.
    server.will_refuse(409, active);
    let refused = bot.poll_once(&Kept::default(), 0).await;
    assert!(
        matches!(&refused, Err(ChannelError::Retryable(why)) if why.contains("webhook is active")),
        "{refused:?}"
    );
    server.asked();
}
