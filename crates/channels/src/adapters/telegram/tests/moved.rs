//! A group that became a supergroup has another id.

use super::*;

/// Refuses a call as Telegram does where the group is a supergroup by now.
fn will_name(server: &Server, supergroup: i64) {
    let body = json!({"ok": false, "error_code": 400, "parameters": {"migrate_to_chat_id": supergroup},
        "description": "Bad Request: group chat was upgraded to a supergroup chat"});
    server.answers.lock().unwrap().push_back((400, body));
}

#[tokio::test]
async fn what_is_sent_to_a_group_that_became_a_supergroup_arrives_there() {
    let (server, bot) = Server::start().await;
    will_name(&server, -100_777);
    server.will(json!({"message_id": 3}));
    assert_eq!(send(&bot, json!({"text": "a", "reply_to": "41"})).await, [Ok(sent("3"))]);
    let asked = server.asked();
    let calls: Vec<_> = asked
        .iter()
        .map(|(method, body)| (method.as_str(), &body["chat_id"], body.get("reply_parameters").is_some()))
        .collect();
    // Messages are numbered anew: 41 is another one there.
    let (old, new) = (json!("-100123"), json!("-100777"));
    assert_eq!(calls, [("sendMessage", &old, true), ("sendMessage", &new, false)]);
    will_name(&server, -100_777);
    server.will(json!(true));
    assert_eq!(bot.typing("-100123", None).await, Ok(()));
    assert_eq!(server.asked()[1].1["chat_id"], new);
}

#[tokio::test]
async fn a_message_of_the_group_is_not_looked_for_in_the_supergroup() {
    for deed in [
        json!({"act": {"type": "edit", "message_id": "5"}, "text": "a"}),
        json!({"act": {"type": "delete", "message_ids": ["5"]}}),
        json!({"act": {"type": "delete", "message_ids": ["5", "6"]}}),
    ] {
        let (server, bot) = Server::start().await;
        will_name(&server, -100_777);
        let told = send(&bot, deed.clone()).await.remove(0);
        assert!(
            matches!(&told, Err(ChannelError::Permanent(why)) if why.contains("its id is -100777 now")),
            "{told:?}"
        );
        let there = |(_, body): &(String, Value)| body["chat_id"] == json!("-100777");
        assert!(!server.asked().iter().any(there), "{deed}");
    }
}

#[tokio::test]
async fn a_call_is_made_once_more_and_no_oftener() {
    let (server, bot) = Server::start().await;
    will_name(&server, -100_777);
    will_name(&server, -100_778);
    let told = send(&bot, json!({"text": "a"})).await.remove(0);
    assert!(matches!(&told, Err(ChannelError::Permanent(why)) if why.contains("-100778")), "{told:?}");
    assert_eq!(server.asked().len(), 2);
}
