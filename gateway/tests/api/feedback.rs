//! What people do to messages that are there already, as another system posts it: told of as events, and to the backend only
//! where the channel says so.

use std::time::Duration;

use claw_runtime::Lifecycle;
use claw_store::{Lease, Member, MessageWriter, Place, Settlement};
use claw_types::{Direction, MessageState, UserId, Work};
use serde_json::{Value, json};

use crate::common::{TestGateway, webhook_body};

const CHANNEL: &str = "/api/users/ada/channels/hook";

/// A gateway with a channel of another system's, whose backend is told of this.
async fn start(events: &str) -> (TestGateway, Value) {
    let gateway = TestGateway::start().await;
    let mut body = webhook_body();
    body["fields"]["events"] = json!(events);
    let channel = gateway.call("POST", &format!("{CHANNEL}/configure"), body).await.expect(201);
    (gateway, channel)
}

async fn post(gateway: &TestGateway, channel: &Value, extra: Value) -> Value {
    let mut body = json!({"sender": {"id": "ann"}, "conversation_id": "room"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    gateway.post(channel, body.to_string().as_bytes()).await.expect(200)
}

/// What the backend will get, in order.
async fn bodies(gateway: &TestGateway) -> Vec<Value> {
    let pending = gateway.pending().await;
    let inbound = pending.iter().filter(|work| work.direction == Direction::In);
    inbound.map(|work| serde_json::from_str(work.payload.get()).unwrap()).collect()
}

/// An answer that the platform knows as `platform_id`; its id.
async fn answer(gateway: &TestGateway, thread_id: Option<&str>, platform_id: &str) -> Value {
    let body = json!({"recipient": "room", "thread_id": thread_id, "message": "the answer"});
    let sent = gateway.call("POST", &format!("{CHANNEL}/send"), body).await.expect(202);
    let pending = gateway.pending().await;
    let work: &Work = pending.iter().find(|work| json!(work.id) == sent["id"]).unwrap();
    let member = Member {
        name: format!("of answer {platform_id}"),
        role: "worker",
        rpc_address: "one:1".to_owned(),
        version: "test",
        weight: 1.0,
    };
    let mut lease = Lease::open(gateway.database.url(), member).await.unwrap();
    // Whoever owned it for an answer before is gone, which its server hears a moment later.
    let claim = claw_testkit::eventually("the shard to be free", Duration::from_secs(10), async || {
        lease.claim(&[work.shard]).await.unwrap().first().copied()
    });
    let claim = claim.await;
    let settlement = Settlement {
        id: work.id,
        shard: work.shard,
        epoch: claim.epoch,
        state: MessageState::Done,
        due_in: 0.0,
        retries: 0,
        attempts: 1,
        platform_message_ids: vec![platform_id.to_owned()],
        error: None,
        burst: None,
    };
    assert!(MessageWriter::start(&gateway.store, &Lifecycle::new(), ()).settle(settlement).await.unwrap());
    sent["id"].clone()
}

/// The events of what was done to messages, once there are so many.
async fn events(gateway: &TestGateway, count: usize) -> Vec<Value> {
    let user: UserId = "ada".parse().unwrap();
    let types = ["message.edited", "message.deleted", "message.reaction", "message.reply"];
    claw_testkit::eventually("the events", Duration::from_secs(20), async || {
        let page = gateway.store.events_after(Some(&user), Place::default(), 1_000).await.unwrap();
        let done = page.events.iter().filter(|event| types.contains(&event.kind.as_str()));
        let done: Vec<Value> =
            done.map(|event| serde_json::from_str(&event.json().unwrap()).unwrap()).collect();
        (done.len() >= count).then_some(done)
    })
    .await
}

#[tokio::test]
async fn a_backend_that_did_not_ask_gets_messages_only_and_events_tell_the_rest() {
    let (gateway, channel) = start("").await;
    let message = post(&gateway, &channel, json!({"message_id": "m1", "text": "teh"})).await;
    let id = answer(&gateway, None, "a1").await;
    let before = bodies(&gateway).await;
    let edit = json!({"event": "edit", "event_id": "e1", "message_id": "m1", "text": "the"});
    assert_eq!(post(&gateway, &channel, edit.clone()).await, json!({"status": "accepted"}));
    let thumb = json!({"event": "reaction", "event_id": "r1", "message_id": "a1", "added": ["👍"]});
    assert_eq!(post(&gateway, &channel, thumb.clone()).await, json!({"status": "accepted"}));
    post(&gateway, &channel, json!({"event": "delete", "event_id": "d1", "message_id": "m1"})).await;
    // Delivered again, each is still one.
    post(&gateway, &channel, edit).await;
    post(&gateway, &channel, thumb).await;
    assert_eq!(bodies(&gateway).await, before);
    let reply = post(&gateway, &channel, json!({"message_id": "m2", "text": "why?", "reply_to": "a1"})).await;
    let events = events(&gateway, 4).await;
    let told: Vec<_> = events.iter().map(|event| (&event["type"], &event["message_id"])).collect();
    assert_eq!(
        told,
        [
            (&json!("message.edited"), &message["id"]),
            (&json!("message.reaction"), &id),
            (&json!("message.deleted"), &message["id"]),
            (&json!("message.reply"), &id),
        ]
    );
    assert_eq!(
        events[1]["data"],
        json!({"conversation": "room", "sender": "ann", "platform_message_id": "a1",
               "reaction": {"added": ["👍"], "removed": []}})
    );
    assert_eq!(events[3]["data"]["inbound_message_id"], reply["id"]);
    assert!(events[0]["data"].get("inbound_message_id").is_none());
    let metadata = &bodies(&gateway).await[1]["metadata"];
    assert_eq!((&metadata["reply_to_message"], &metadata["answer_id"]), (&json!("a1"), &id));
}

#[tokio::test]
async fn a_backend_that_asks_gets_them_behind_the_message_marked_as_what_they_are() {
    let (gateway, channel) = start("edits, deletions, reactions").await;
    let message =
        post(&gateway, &channel, json!({"message_id": "m1", "thread_id": "t", "text": "teh"})).await;
    let id = answer(&gateway, Some("t"), "a1").await;
    // The message still waits: nothing of it changes, and nothing overtakes it.
    for (n, text) in ["the", "then"].iter().enumerate() {
        let edit = json!({"event": "edit", "event_id": n.to_string(), "message_id": "m1", "thread_id": "t", "text": text});
        let taken = post(&gateway, &channel, edit.clone()).await;
        assert_eq!(post(&gateway, &channel, edit).await["id"], taken["id"], "the same edit again");
    }
    post(&gateway, &channel, json!({"event": "delete", "message_id": "m1", "thread_id": "t"})).await;
    let thumb = json!({"event": "reaction", "message_id": "a1", "added": ["👍", "🔥"], "removed": ["👎"]});
    post(&gateway, &channel, thumb).await;
    let bodies = bodies(&gateway).await;
    let read: Vec<_> = bodies.iter().map(|body| (&body["content_type"], &body["text"])).collect();
    let (text, none) = (json!("text"), Value::Null);
    assert_eq!(
        read,
        [
            (&text, &json!("teh")),
            (&text, &json!("the")),
            (&text, &json!("then")),
            (&json!("deleted"), &none),
            (&json!("reaction"), &json!("👍 🔥")),
        ]
    );
    let about = |n: usize, key: &str| (&bodies[n]["metadata"]["event"], bodies[n]["metadata"][key].clone());
    assert_eq!(bodies[0]["metadata"].get("event"), None);
    assert_eq!(about(2, "edited_message_id"), (&json!("message_edited"), message["id"].clone()));
    assert_eq!(about(3, "deleted_message_id"), (&json!("message_deleted"), message["id"].clone()));
    assert_eq!(about(4, "answer_id"), (&json!("message_reaction"), id));
    assert_eq!(bodies[4]["metadata"]["reaction"], json!({"added": ["👍", "🔥"], "removed": ["👎"]}));
    assert_eq!(bodies[2]["platform_message_id"], "m1");
    for body in &bodies {
        assert_eq!(
            body["metadata"]["thread_id"], "room:t",
            "one session, also of what does not tell its thread"
        );
        assert_eq!(body["reply_to"]["thread_id"], "t");
    }
    let pending = gateway.pending().await;
    let events = events(&gateway, 4).await;
    let came_as: Vec<_> = events.iter().map(|event| event["data"]["inbound_message_id"].clone()).collect();
    assert_eq!(came_as[..3], pending[1..4].iter().map(|work| json!(work.id)).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_system_tells_what_became_of_an_answer() {
    let (gateway, channel) = start("").await;
    let (seen, lost) = (answer(&gateway, None, "a1").await, answer(&gateway, None, "a2").await);
    let record = async |id: &Value| {
        let path = format!("/api/users/ada/messages/{}", id.as_str().unwrap());
        gateway.call("GET", &path, json!(null)).await.expect(200)
    };
    for (receipt, read) in [("delivered", false), ("read", true), ("read", true)] {
        let body = json!({"event": "receipt", "message_id": "a1", "receipt": receipt});
        assert_eq!(post(&gateway, &channel, body).await, json!({"status": "accepted"}));
        let now = record(&seen).await;
        assert!(now["delivered_at"].is_string() && now["read_at"].is_string() == read, "{now}");
    }
    let why = "the room was closed";
    let body = json!({"event": "receipt", "message_id": "a2", "receipt": "failed", "reason": why});
    post(&gateway, &channel, body).await;
    let now = record(&lost).await;
    assert_eq!((&now["error"], &now["delivered_at"]), (&json!(why), &Value::Null));
    assert!(bodies(&gateway).await.is_empty(), "no backend is told");
}

#[tokio::test]
async fn outsiders_and_what_was_not_passed_on_reach_nobody() {
    let (gateway, channel) = start("edits, deletions, reactions").await;
    answer(&gateway, None, "a1").await;
    post(&gateway, &channel, json!({"message_id": "m0", "text": "hi"})).await;
    let fields = json!({"fields": {"allowed_users": "bob", "dm_policy": "allowlist"}});
    gateway.call("PUT", CHANNEL, fields).await.expect(200);
    let ignored = json!({"status": "ignored"});
    let ann = json!({"event": "edit", "message_id": "m0", "text": "I may not"});
    claw_testkit::eventually("both gateways to know the list", Duration::from_secs(10), async || {
        let both = [post(&gateway, &channel, ann.clone()).await, post(&gateway, &channel, ann.clone()).await];
        (both == [ignored.clone(), ignored.clone()]).then_some(())
    })
    .await;
    let before = bodies(&gateway).await.len();
    let bob = json!({"id": "bob"});
    for body in [
        json!({"event": "reaction", "message_id": "a1", "added": ["👍"]}),
        json!({"event": "delete", "message_id": "m0"}),
        json!({"message_id": "m1", "text": "refused"}),
        json!({"sender": bob, "event": "edit", "message_id": "m1", "text": "of what was refused"}),
        json!({"sender": bob, "event": "delete", "message_id": "never there"}),
        json!({"sender": bob, "event": "reaction", "message_id": "never there", "added": ["👍"]}),
        json!({"sender": bob, "event": "reaction", "message_id": "m0", "added": ["👍"]}),
        json!({"sender": bob, "conversation_id": "another", "event": "reaction", "message_id": "a1", "added": ["👍"]}),
        json!({"sender": {"id": "bob", "is_bot": true}, "event": "reaction", "message_id": "a1", "added": ["👍"]}),
        json!({"sender": {"id": "bob", "is_self": true}, "event": "edit", "message_id": "m0", "text": "ours"}),
    ] {
        assert_eq!(post(&gateway, &channel, body.clone()).await, ignored, "{body}");
    }
    assert_eq!(bodies(&gateway).await.len(), before);
    let taken =
        post(&gateway, &channel, json!({"sender": bob, "event": "edit", "message_id": "m0", "text": "x"}))
            .await;
    assert_eq!(taken["status"], "accepted");
}

#[tokio::test]
async fn an_edit_that_is_the_first_to_address_the_bot_is_the_message() {
    let (gateway, channel) = start("").await;
    let said = |extra: Value| {
        let mut body = json!({"is_group": true, "mentioned": false});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (id, text) in [("m1", "teh cat"), ("m2", "a secret"), ("m3", "what is new?")] {
        let aside = said(json!({"message_id": id, "text": text}));
        assert_eq!(post(&gateway, &channel, aside).await["status"], "ignored");
    }
    // What is kept for later is kept as it reads now, or not at all.
    post(&gateway, &channel, said(json!({"event": "edit", "message_id": "m1", "text": "the cat"}))).await;
    post(&gateway, &channel, said(json!({"event": "delete", "message_id": "m2"}))).await;
    assert!(bodies(&gateway).await.is_empty());
    let addressed = json!({"event": "edit", "event_id": "1", "message_id": "m3", "text": "bot, what is new?", "mentioned": true});
    post(&gateway, &channel, said(addressed.clone())).await;
    post(&gateway, &channel, said(addressed)).await;
    assert_eq!(bodies(&gateway).await.len(), 1, "the same edit again");
    let asked_id = json!(gateway.pending().await[0].id);
    let asked = &bodies(&gateway).await[0];
    assert_eq!((&asked["text"], asked["metadata"].get("event")), (&json!("bot, what is new?"), None));
    assert_eq!(asked["metadata"]["context"][0]["text"], "the cat");
    assert!(!asked["metadata"]["context"].to_string().contains("secret"));
    // From then on it is known, with or without the mention.
    let again = json!({"event": "edit", "event_id": "2", "message_id": "m3", "text": "what is new today?"});
    post(&gateway, &channel, said(again)).await;
    assert_eq!(bodies(&gateway).await.len(), 1);
    let events = events(&gateway, 1).await;
    assert_eq!(events.len(), 1, "the first version was no edit: {events:?}");
    assert_eq!((&events[0]["type"], &events[0]["message_id"]), (&json!("message.edited"), &asked_id));
}

#[tokio::test]
async fn the_list_of_what_is_told_is_checked() {
    let (gateway, _) = start("edits").await;
    let wrong =
        gateway.call("PUT", CHANNEL, json!({"fields": {"events": "edits, typing"}})).await.problem(400);
    assert!(wrong.contains("\"events\" may list only: edits, deletions, reactions"), "{wrong}");
    let types = gateway.call("GET", "/api/channels", Value::Null).await.expect(200);
    let types = types["channels"].as_array().unwrap();
    let of = |name: &str| types.iter().find(|one| one["name"] == name).unwrap()["capabilities"].clone();
    assert_eq!(of("telegram")["reports_deletions"], false);
    assert_eq!(of("sms")["reports_replies"], false);
    assert_eq!(of("webhook")["reports_reactions"], true);
}
