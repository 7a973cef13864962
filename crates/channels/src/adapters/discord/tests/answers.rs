//! What is done about an event beside taking it: presses answered, commands registered, threads and roles looked up.

use super::gateway::{Gateway, Kept, while_listening};
use super::*;

fn press(seq: u64) -> Value {
    json!({"op": 0, "t": "INTERACTION_CREATE", "s": seq, "d": {"id": "1001", "token": "secret-of-the-press", "type": 3,
        "channel_id": "7", "user": {"id": "42", "username": "ada"}, "data": {"component_type": 2, "custom_id": "0:y"},
        "message": {"id": "5", "components": []}}})
}

#[tokio::test]
async fn a_press_is_answered_once_it_is_committed() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    *sink.away.lock().unwrap() = 1;
    gateway.rest.will(204, Value::Null);
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.say(&press(6)).await;
        let mut connection = gateway.greet().await;
        assert_eq!(gateway.rest.asked(), [], "a press that was not committed is not answered");
        connection.resume(5).await;
        connection.say(&press(6)).await;
        connection.has_taken(6).await;
    });
    assert_eq!(ended.await, Ok(()));
    let answered = (
        "POST".to_owned(),
        "/api/v10/interactions/1001/secret-of-the-press/callback".to_owned(),
        json!({"type": 6}),
    );
    assert_eq!(gateway.rest.asked(), [answered]);
    let message = sink.messages.lock().unwrap().remove(0);
    assert_eq!((message.content_type.as_str(), message.text.as_deref()), ("button", Some("y")));
}

fn command() -> Value {
    json!({"op": 0, "t": "INTERACTION_CREATE", "s": 6, "d": {"id": "1002", "token": "t", "type": 2,
        "channel_id": "7", "user": {"id": "42", "username": "ada"},
        "data": {"name": "ask", "options": [{"name": "text", "type": 3, "value": "a\nb"}]}}})
}

#[tokio::test]
async fn a_command_shows_what_was_asked_to_everybody_or_only_to_who_asked() {
    for (fields, flags) in [(json!({}), Value::Null), (json!({"private_commands": true}), json!(64))] {
        let mut gateway = Gateway::start().await;
        let (bot, sink) = (gateway.bot(fields), Kept::at(gateway.cursor(5)));
        gateway.rest.will(204, Value::Null);
        let ended = while_listening(&bot, &sink, async {
            let mut connection = gateway.greet().await;
            connection.resume(5).await;
            connection.say(&command()).await;
            connection.has_taken(6).await;
        });
        assert_eq!(ended.await, Ok(()));
        assert_eq!(sink.texts(), ["/ask a\nb"]);
        let answer = gateway.rest.asked()[0].2.clone();
        assert_eq!((&answer["type"], &answer["data"]["content"]), (&json!(4), &json!("> /ask a\n> b")));
        assert_eq!(answer["data"]["allowed_mentions"], json!({"parse": []}));
        assert_eq!(answer["data"]["flags"], flags);
    }
}

/// Where the bot itself is not: a person may use its commands in a chat of several without a server.
#[tokio::test]
async fn a_command_in_a_chat_of_several_is_a_groups() {
    for (kind, is_group) in [(1, false), (3, true)] {
        let mut event = command();
        event["d"]["channel"] = json!({"id": "7", "type": kind});
        let (messages, _) = taken(json!({}), &event, &[(204, Value::Null)]).await;
        assert_eq!((messages[0].is_group, messages[0].mentioned), (is_group, Some(true)), "{kind}");
    }
}

async fn registered(there: Value, answers: &[(u16, Value)]) -> (Vec<Asked>, Vec<Option<String>>) {
    let mut gateway = Gateway::start().await;
    let bot = gateway.bot(json!({"commands": ["ask: Ask the assistant"]}));
    let sink = Kept::at(gateway.cursor(5));
    gateway.rest.will(200, json!({"id": "1"}));
    gateway.rest.will(200, there);
    for (status, body) in answers {
        gateway.rest.will(*status, body.clone());
    }
    let ended = while_listening(&bot, &sink, async { gateway.greet().await.resume(5).await });
    assert_eq!(ended.await, Ok(()));
    let troubles = sink.troubles.lock().unwrap().clone();
    (gateway.rest.asked(), troubles)
}

/// Discord takes 200 new commands in a day.
#[tokio::test]
async fn commands_are_registered_only_where_discord_has_others() {
    let typed = json!({"type": 3, "name": "text", "description": "What to send along"});
    let ask = json!({"id": "3", "application_id": "1", "type": 1, "version": "4", "name": "ask",
        "description": "Ask the assistant", "options": [typed]});
    let (asked, _) = registered(json!([ask]), &[]).await;
    assert_eq!(asked.len(), 2, "it was looked at: {asked:?}");
    let (asked, troubles) = registered(json!([]), &[(200, json!([]))]).await;
    assert_eq!((asked[2].0.as_str(), asked[2].1.as_str()), ("PUT", "/api/v10/applications/1/commands"));
    let registers = json!([{"name": "ask", "description": "Ask the assistant", "options":
        [{"type": 3, "name": "text", "description": "What to send along", "required": false}]}]);
    assert_eq!((&asked[2].2, troubles.len()), (&registers, 0));
}

#[tokio::test]
async fn commands_that_are_refused_don_t_keep_messages_back() {
    let refusal = json!({"message": "Missing Access", "code": 50001});
    let (_, troubles) = registered(json!([]), &[(403, refusal)]).await;
    let told = troubles[0].as_deref().unwrap();
    assert!(told.contains("slash commands") && told.contains("Missing Access"), "{told}");
}

fn in_server(extra: Value) -> Value {
    let base = json!({"id": "6006", "channel_id": "70", "channel_type": 0, "guild_id": "9", "type": 0, "content": "hi",
        "author": {"id": "42", "username": "ada"}, "mentions": [{"id": "1", "username": "helper"}]});
    json!({"op": 0, "t": "MESSAGE_CREATE", "s": 6, "d": with(base, extra)})
}

/// What comes of one event, and what Discord was asked for it.
async fn taken(fields: Value, event: &Value, answers: &[(u16, Value)]) -> (Vec<Inbound>, Vec<String>) {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(fields), Kept::at(gateway.cursor(5)));
    for (status, body) in answers {
        gateway.rest.will(*status, body.clone());
    }
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.say(event).await;
        connection.has_taken(6).await;
    });
    assert_eq!(ended.await, Ok(()));
    (std::mem::take(&mut *sink.messages.lock().unwrap()), gateway.rest.paths())
}

#[tokio::test]
async fn a_question_that_is_answered_in_a_thread_belongs_to_it_already() {
    let auto = json!({"auto_thread": true});
    let (messages, asked) = taken(auto.clone(), &in_server(json!({})), &[]).await;
    assert_eq!((messages[0].recipient.as_str(), messages[0].thread_id.as_deref()), ("70", Some("6006")));
    assert_eq!(messages[0].metadata["thread_id"], "6006");
    assert_eq!(asked, ["GET /channels/70"], "its name; no thread is made for what may not be answered");
    for (what, extra) in
        [("not addressed", json!({"mentions": []})), ("voice channel", json!({"channel_type": 2}))]
    {
        let (messages, _) = taken(auto.clone(), &in_server(extra), &[]).await;
        assert_eq!(messages[0].thread_id, None, "{what}");
    }
    let (messages, _) = taken(json!({}), &in_server(json!({})), &[]).await;
    assert_eq!(messages[0].thread_id, None, "not asked for");
    // What is written on in the thread is the same conversation.
    let on = in_server(json!({"channel_id": "6006", "channel_type": 11}));
    let (messages, asked) =
        taken(auto, &on, &[(200, json!({"id": "6006", "type": 11, "parent_id": "70", "name": "a thread"}))])
            .await;
    assert_eq!((messages[0].recipient.as_str(), messages[0].thread_id.as_deref()), ("70", Some("6006")));
    assert_eq!(asked, ["GET /channels/6006", "GET /channels/70"]);
}

#[tokio::test]
async fn the_role_that_discord_made_for_the_bot_addresses_it() {
    let roles =
        json!([{"id": "9", "name": "@everyone"}, {"id": "93", "name": "helper", "tags": {"bot_id": "1"}}]);
    for (mentioned, is_own) in [("93", true), ("94", false)] {
        let event = in_server(json!({"mentions": [], "mention_roles": [mentioned]}));
        let (messages, asked) = taken(json!({}), &event, &[(200, roles.clone())]).await;
        assert_eq!(messages[0].mentioned, Some(is_own), "{mentioned}");
        assert_eq!(asked, ["GET /guilds/9/roles", "GET /channels/70"]);
    }
    let event = in_server(json!({"mentions": [], "mention_roles": ["93"]}));
    let (messages, _) = taken(json!({}), &event, &[(403, json!({"message": "Missing Access"}))]).await;
    assert_eq!(messages[0].mentioned, None, "what nobody can judge must not be lost");
}

#[tokio::test]
async fn other_servers_are_not_heard_and_direct_messages_are() {
    let allowed = json!({"allowed_guilds": ["8"]});
    let (messages, _) = taken(allowed.clone(), &in_server(json!({})), &[]).await;
    assert_eq!(messages, []);
    let (messages, _) = taken(allowed.clone(), &in_server(json!({"guild_id": "8"})), &[]).await;
    assert_eq!(messages.len(), 1);
    let (messages, _) = taken(allowed, &in_server(json!({"guild_id": null})), &[]).await;
    assert_eq!((messages.len(), messages[0].is_group), (1, false));
}

/// A post of a forum is a thread of the forum, like any other.
#[tokio::test]
async fn a_post_in_a_forum_is_a_thread_of_it() {
    let post = in_server(json!({"channel_id": "71", "channel_type": 11}));
    let (messages, asked) = taken(
        json!({"auto_thread": true}),
        &post,
        &[(200, json!({"id": "71", "type": 11, "parent_id": "15", "name": "a post"}))],
    )
    .await;
    assert_eq!((messages[0].recipient.as_str(), messages[0].thread_id.as_deref()), ("15", Some("71")));
    assert_eq!(asked, ["GET /channels/71", "GET /channels/15"]);
}

/// By which a backend may choose its agent.
#[tokio::test]
async fn channels_and_threads_are_called_by_their_names_and_asked_for_once() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    gateway.rest.will(200, json!({"id": "71", "type": 11, "parent_id": "70", "name": "which one?"}));
    gateway.rest.will(200, json!({"id": "70", "type": 0, "name": "deep_research"}));
    let in_thread = in_server(json!({"channel_id": "71", "channel_type": 11}));
    let mut beside = in_server(json!({"id": "6007"}));
    beside["s"] = json!(7);
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.say(&in_thread).await;
        connection.say(&beside).await;
        connection.has_taken(7).await;
    });
    assert_eq!(ended.await, Ok(()));
    let name = |message: &Inbound, key: &str| message.metadata.get(key).cloned();
    let messages = sink.messages.lock().unwrap();
    let channel = Some(json!("deep_research"));
    for (message, thread) in messages.iter().zip([Some(json!("which one?")), None]) {
        assert_eq!((name(message, "channel_name"), name(message, "thread_name")), (channel.clone(), thread));
    }
    assert_eq!(messages.len(), 2);
    assert_eq!(gateway.rest.paths(), ["GET /channels/71", "GET /channels/70"]);
}

#[tokio::test]
async fn a_command_tells_what_its_channel_is_called() {
    let mut event = command();
    event["d"]["guild_id"] = json!("9");
    event["d"]["channel"] = json!({"id": "7", "type": 0, "name": "general"});
    let (messages, asked) = taken(json!({}), &event, &[(204, Value::Null)]).await;
    assert_eq!(messages[0].metadata["channel_name"], "general");
    assert_eq!(asked, ["POST /interactions/1002/t/callback"]);
}

#[tokio::test]
async fn a_message_is_taken_without_a_name_that_is_not_told() {
    for (status, body) in [(503, Value::Null), (403, json!({"message": "Missing Access", "code": 50001}))] {
        let (messages, asked) = taken(json!({}), &in_server(json!({})), &[(status, body)]).await;
        assert_eq!((messages.len(), messages[0].metadata.get("channel_name")), (1, None), "{status}");
        assert_eq!(asked, ["GET /channels/70"]);
    }
}

/// What is odd in a preview, a picture or a component must not lose what somebody wrote.
#[tokio::test]
async fn a_message_is_taken_whatever_is_odd_below_it() {
    let odd = json!({"embeds": [{"title": 7, "fields": "?", "url": null}, "?"], "components": [{"type": 99, "components": {}}],
        "sticker_items": [{"id": "../1", "name": "Wave", "format_type": 1}, {"format_type": 9}]});
    let (messages, _) = taken(json!({}), &in_server(odd), &[]).await;
    assert_eq!((messages.len(), messages[0].text.as_deref()), (1, Some("hi\nWave")));
    assert_eq!(messages[0].media, None, "an id that is none gets into no address");
    let nothing = json!({"content": "", "embeds": {"title": "x"}, "components": null});
    let (messages, _) = taken(json!({}), &in_server(nothing), &[]).await;
    assert_eq!((messages[0].text.as_deref(), messages[0].content_type.as_str()), (None, "other"));
}

/// A thread that can't be looked up now must not become a conversation of its own.
#[tokio::test]
async fn an_event_waits_for_what_it_needs_to_be_understood() {
    let event = in_server(json!({"channel_id": "71", "channel_type": null}));
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    gateway.rest.will(503, Value::Null);
    gateway.rest.will(200, json!({"id": "71", "type": 11, "parent_id": "70"}));
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.say(&event).await;
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.say(&event).await;
        connection.has_taken(6).await;
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(sink.messages.lock().unwrap()[0].recipient, "70");
}
