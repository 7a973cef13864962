//! Whether a group's message addresses the bot depends on the bot's name, which is asked for once and only then.

use super::*;

fn said(chat_type: &str, text: &str, entities: &Value) -> Value {
    json!([{"update_id": 7, "message": {
        "message_id": 5, "date": 1_700_000_000, "text": text, "entities": entities,
        "chat": {"id": -100_123, "type": chat_type, "title": "research"},
        "from": {"id": 42, "is_bot": false, "first_name": "Ada"},
    }}])
}

fn naming(name: &str) -> Value {
    said("supergroup", name, &json!([{"type": "mention", "offset": 0, "length": name.len()}]))
}

async fn mentioned(bot: &Telegram) -> Option<bool> {
    let sink = Kept::default();
    assert_eq!(bot.poll_once(&sink, 0).await, Ok(8));
    let mut messages = sink.messages.lock().unwrap();
    messages.remove(0).mentioned
}

fn calls(server: &Server) -> Vec<String> {
    server.asked().into_iter().map(|(method, _)| method).collect()
}

#[tokio::test]
async fn it_is_asked_for_once_when_a_group_names_somebody() {
    let (server, bot) = Server::start().await;
    server.will(said("supergroup", "hello", &json!([])));
    assert_eq!(mentioned(&bot).await, Some(false));
    assert_eq!(calls(&server), ["getUpdates"]);
    server.will(naming("@Helper_Bot"));
    server.will(json!({"id": 123_456, "is_bot": true, "first_name": "Helper", "username": "helper_bot"}));
    assert_eq!(mentioned(&bot).await, Some(true));
    assert_eq!(calls(&server), ["getUpdates", "getMe"]);
    server.will(naming("@other_bot"));
    assert_eq!(mentioned(&bot).await, Some(false));
    assert_eq!(calls(&server), ["getUpdates"]);
}

#[tokio::test]
async fn without_it_a_message_that_may_be_meant_is_not_dropped() {
    let (server, bot) = Server::start().await;
    server.will(naming("@helper_bot"));
    server.will_refuse(500, "Internal Server Error");
    assert_eq!(mentioned(&bot).await, None);
    assert_eq!(calls(&server), ["getUpdates", "getMe"]);
}
