//! What people and agents say and do to each other.

use claw_types::{Named, Receipts};

use super::*;

#[tokio::test]
async fn a_conversation() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    assert!(client.replay().await.is_empty());
    client.say(message("c1", "hello")).await;
    let ack = client.hear().await;
    let id = ack["id"].as_str().unwrap().to_owned();
    assert_eq!(ack, json!({"type": "ack", "client_id": "c1", "id": id, "seq": 1, "duplicate": false}));
    client.say(message("c1", "hello")).await;
    assert_eq!(client.hear().await, json!({"type": "ack", "client_id": "c1", "id": id, "duplicate": true}));
    hub.answer(2, "hi there").await;
    let live = client.hear().await;
    assert_eq!(
        (&live["from"], &live["text"], &live["seq"]),
        (&json!("agent"), &json!("hi there"), &json!(2))
    );

    // A second tab sees all of it, the visitor's own message by the page's id; a later one what it has not seen.
    let mut second = connect(&url, 0).await;
    let mine = second.hear().await;
    assert_eq!(
        (&mine["id"], &mine["client_id"], &mine["from"]),
        (&json!(id), &json!("c1"), &json!("visitor"))
    );
    assert_eq!(second.hear().await, live);
    assert_eq!(second.hear().await["type"], "ready");
    hub.answer(3, "more").await;
    assert_eq!(connect(&url, 2).await.replay().await, ["hi there", "more"]);
    second.0.close(None).await.unwrap();
    while let Some(left) = second.0.next().await {
        left.unwrap();
    }
}

#[tokio::test]
async fn a_pressed_button_says_what_is_on_it_and_sends_what_is_behind_it() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.post(outbound(1, json!({"text": "sure?", "buttons": [[{"text": "Yes!", "data": "y"}]]}))).await;
    let question = client.hear().await;
    assert_eq!(question["buttons"], json!([[{"text": "Yes!", "data": "y"}]]));
    let pressed = json!({"data": "y", "message_id": question["id"]});
    let frame = json!({"type": "message", "client_id": "c1", "text": "Yes!", "pressed": pressed});
    client.say(frame).await;
    assert_eq!(client.hear().await["type"], "ack");
    let body: WebhookBody = serde_json::from_str(hub.messages.lock().unwrap()[1].payload.get()).unwrap();
    assert_eq!((body.content_type.as_str(), body.text.as_deref()), ("button", Some("y")));
    for (key, value) in
        [("callback_data", &json!("y")), ("message_id", &question["id"]), ("button_text", &json!("Yes!"))]
    {
        assert_eq!(&body.metadata[key], value, "{key}");
    }
    assert_eq!(connect(&url, 0).await.replay().await, ["sure?", "Yes!"]);
    for pressed in [
        json!({"data": "", "message_id": question["id"]}),
        json!({"data": "x".repeat(65), "message_id": question["id"]}),
        json!({"data": "y", "message_id": "<b>"}),
        json!({"data": "Yes!\n", "message_id": question["id"]}),
    ] {
        client.say(json!({"type": "message", "client_id": "c2", "text": "Yes!", "pressed": pressed})).await;
        assert_eq!(client.hear().await["client_id"], "c2");
    }
    assert_eq!(hub.messages.lock().unwrap().len(), 2, "made-up buttons are not stored");
}

#[tokio::test]
async fn an_answer_of_a_poll_is_longer_than_a_button_and_sends_itself() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    let option = "\u{1F372}".repeat(100);
    hub.post(outbound(1, json!({"poll": {"question": "Lunch?", "options": [option, "Salad"]}}))).await;
    let poll = client.hear().await;
    assert_eq!(poll["poll"]["options"], json!([option, "Salad"]));
    let choose = |client_id: &str, text: &str| {
        let pressed = json!({"data": text, "message_id": poll["id"]});
        json!({"type": "message", "client_id": client_id, "text": text, "pressed": pressed})
    };
    client.say(choose("c1", &option)).await;
    assert_eq!(client.hear().await["type"], "ack");
    let body: WebhookBody = serde_json::from_str(hub.messages.lock().unwrap()[1].payload.get()).unwrap();
    assert_eq!((body.content_type.as_str(), body.text.as_deref()), ("button", Some(option.as_str())));
    client.say(choose("c2", &"x".repeat(101))).await;
    assert_eq!(client.hear().await["client_id"], "c2");
    let mut later = connect(&url, 0).await;
    assert_eq!(later.hear().await, poll);
    let chosen = later.hear().await;
    let told = (&chosen["text"], &chosen["pressed"]["message_id"]);
    assert_eq!(told, (&json!(option), &poll["id"]), "a page that comes later knows what was chosen");
}

#[tokio::test]
async fn a_visitor_says_what_it_answers() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.answer(1, "the answer").await;
    let id = client.hear().await["id"].clone();
    client.say(json!({"type": "message", "client_id": "c1", "text": "why?", "reply_to": id})).await;
    assert_eq!(client.hear().await["type"], "ack");
    let answered = hub.answered.lock().unwrap().clone();
    let named = answered.map(|answered| (json!(answered.message_id), answered.is_own));
    assert_eq!(named, Some((id, None)));
    for wrong in ["<b>", "", "0".repeat(65).as_str()] {
        client.say(json!({"type": "message", "client_id": "c2", "text": "why?", "reply_to": wrong})).await;
        let error = client.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &json!("c2")), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_done_to_a_message_reaches_open_pages_and_later_ones() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.answer(1, "teh answer").await;
    let id = client.hear().await["id"].clone();
    hub.post(outbound(2, json!({"act": {"type": "edit", "message_id": id}, "text": "the answer"}))).await;
    let edit = client.hear().await;
    assert_eq!(edit, json!({"type": "edit", "id": id, "seq": 2, "text": "the answer", "buttons": []}));
    hub.publish(&[Frame::Typing.json().into()]).await;
    assert_eq!(client.hear().await, json!({"type": "typing"}));
    hub.post(outbound(3, json!({"act": {"type": "react", "message_id": id, "emoji": "👍"}}))).await;
    assert_eq!(client.hear().await["emoji"], "👍");
    let mut later = connect(&url, 0).await;
    let types: Vec<_> = [later.hear().await, later.hear().await, later.hear().await]
        .iter()
        .map(|frame| frame["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, ["message", "edit", "react"]);
    hub.post(outbound(4, json!({"act": {"type": "delete", "message_ids": [id]}}))).await;
    assert_eq!(client.hear().await, json!({"type": "delete", "id": id, "seq": 4}));
    let mut latest = connect(&url, 0).await;
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Value| frame["type"] != "ready") {
        frames.push(latest.hear().await);
    }
    assert!(frames.iter().all(|frame| frame["text"].is_null()), "what was deleted is not told: {frames:?}");
}

#[tokio::test]
async fn a_visitor_changes_its_own_messages_where_the_backend_hears_of_it() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    assert_eq!(client.hear().await, json!({"type": "ready", "can": [], "receipts": true}));
    let edit = json!({"type": "edit", "client_id": "e1", "message": "c1", "text": "new"});
    let delete = json!({"type": "delete", "client_id": "d1", "message": "c1"});
    for (frame, client_id) in [(&edit, "e1"), (&delete, "d1")] {
        client.say(frame.clone()).await;
        let error = client.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &json!(client_id)));
    }
    *hub.told.lock().unwrap() = vec!["edits", "deletions"];
    let mut client = connect(&url, 0).await;
    assert_eq!(
        client.hear().await,
        json!({"type": "ready", "can": ["edits", "deletions"], "receipts": true})
    );
    for (frame, client_id) in [(edit, "e1"), (delete, "d1")] {
        client.say(frame).await;
        assert_eq!(
            client.hear().await,
            json!({"type": "ack", "client_id": client_id, "id": null, "duplicate": false})
        );
    }
    let own = |client_id: &str| format!("{}:{client_id}", conversation_id(CHANNEL, VISITOR));
    let done = hub.done.lock().unwrap();
    assert_eq!(done[0].deed, Deed::Edited(own("c1")), "only in its own conversation");
    assert_eq!(done[0].dedup_key, Some(format!("edit:{}", own("e1"))));
    assert_eq!((done[0].text.as_deref(), done[1].text.as_deref()), (Some("new"), None));
    assert_eq!(done[1].deed, Deed::Deleted(own("c1")));
}

#[tokio::test]
async fn a_visitor_is_told_what_is_offered() {
    let (hub, url) = gateway().await;
    *hub.offered.lock().unwrap() = vec!["ask: Ask the assistant", "help"];
    let commands =
        json!([{"name": "ask", "description": "Ask the assistant"}, {"name": "help", "description": "help"}]);
    assert_eq!(
        connect(&url, 0).await.hear().await,
        json!({"type": "ready", "can": [], "receipts": true, "commands": commands})
    );
}

#[tokio::test]
async fn a_page_tells_what_arrived_without_taking_the_visitors_turn() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    let id = Uuid::from_u128(7).to_string();
    let frame = |n: usize, read: bool| json!({"type": "received", "client_id": format!("r{n}"), "messages": [id, format!("{id}:1")], "read": read});
    for n in 0..said::PACE {
        client.say(frame(n, n % 2 == 1)).await;
        assert_eq!(client.hear().await["type"], "ack", "{n}");
    }
    client.say(frame(said::PACE, false)).await;
    assert_eq!(client.hear().await["type"], "error", "too many");
    client.say(message("c1", "hello")).await;
    assert_eq!(client.hear().await["type"], "ack");
    let ours = || Named::Ours(MessageId(Uuid::from_u128(7)));
    let done = hub.done.lock().unwrap().clone();
    let (delivered, read) = (&done[0], &done[1].deed);
    assert_eq!(
        delivered.deed,
        Deed::Received(Receipts { messages: vec![ours(), ours()], ..Receipts::default() })
    );
    assert_eq!(delivered.recipient, conversation_id(CHANNEL, VISITOR), "only in its own conversation");
    assert_eq!(*read, Deed::Received(Receipts { messages: vec![ours(), ours()], read: true, failed: None }));
    for messages in [json!([]), json!(["m1"]), json!(["c:1"]), json!(vec![id.clone(); 201])] {
        let mut other = connect(&url, 0).await;
        while other.hear().await["type"] != "ready" {}
        other.say(json!({"type": "received", "client_id": "r", "messages": messages, "read": true})).await;
        let error = other.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &Value::Null), "{messages}");
    }
}
