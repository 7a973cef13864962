//! What no person wrote: rows that an owner works off like any other.

use claw_runtime::SystemClock;
use claw_store::{Accepted, Actor, Channel, Chat, Event, NewMessage};
use claw_types::{ChannelId, ShardCount, UserId, Work};
use serde_json::{Map, Value, json};

use crate::Bench;

fn event<'a>(user: &'a UserId, text: &str) -> Event<'a> {
    Event {
        user,
        agent_id: "",
        source: "wake",
        session: None,
        text: text.to_owned(),
        metadata: Map::new(),
        chat: None,
        key: None,
    }
}

fn made(bench: &Bench, event: Event<'_>) -> NewMessage {
    NewMessage::event(event, ShardCount::new(8).unwrap(), &bench.ids, &SystemClock).unwrap()
}

fn body(message: &NewMessage) -> Value {
    let mut body: Value = serde_json::from_str(message.payload.get()).unwrap();
    assert!(body["timestamp"].is_string());
    body.as_object_mut().unwrap().remove("timestamp");
    body
}

async fn channel(bench: &Bench, agent: &str) -> Channel {
    let mut save = bench.channel("ada", "one");
    save.agent_id = agent.to_owned();
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    let found = bench.store.channel_find(&bench.vault, &save.user_id, &save.instance).await.unwrap();
    found.unwrap().0
}

fn chat<'a>(channel: &'a Channel, thread: Option<&str>) -> Chat<'a> {
    Chat { channel, recipient: "42".to_owned(), thread_id: thread.map(str::to_owned), answer: true }
}

#[tokio::test]
async fn an_event_of_no_chat_has_a_session_of_its_own() {
    let bench = Bench::new().await;
    let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let message = made(&bench, event(&ada, "disk full"));
    assert_eq!(
        body(&message),
        json!({"user_id": "ada", "channel": "hook", "instance_name": "hooks", "content_type": "text",
               "text": "disk full", "is_group": false,
               "metadata": {"source": "wake", "chat_id": "hook:wake:ada"}})
    );
    assert_eq!(message.channel_id, ChannelId::NONE);
    assert_eq!(message.shard, ShardCount::new(8).unwrap().shard_of(&ada, &"hooks".parse().unwrap()));
    let for_agent = made(&bench, Event { agent_id: "research", ..event(&ada, "x") });
    assert_eq!(body(&for_agent)["metadata"]["chat_id"], "hook:wake:ada:research");
    assert_eq!(body(&for_agent)["agent_id"], "research");
    let others = made(&bench, event(&bob, "x"));
    let conversations = [&message, &for_agent, &others].map(|message| message.conversation.clone());
    assert_eq!(conversations, ["ada/hook:wake:ada", "ada/hook:wake:ada:research", "bob/hook:wake:bob"]);
}

#[tokio::test]
async fn an_event_of_a_chat_is_in_order_with_its_messages() {
    let bench = Bench::new().await;
    let ada = "ada".parse().unwrap();
    let channel = channel(&bench, "bound").await;
    let there = |thread, agent_id| {
        let chat = Some(chat(&channel, thread));
        made(&bench, Event { chat, agent_id, ..event(&ada, "x") })
    };
    let message = there(None, "");
    assert_eq!(
        (message.channel_id, message.shard, &*message.conversation),
        (channel.id, channel.shard, "42")
    );
    let told = body(&message);
    assert_eq!(
        (&told["channel"], &told["instance_name"], &told["agent_id"]),
        (&json!("kind"), &json!("one"), &json!("bound"))
    );
    assert_eq!(told["reply_to"], json!({"channel": "kind", "recipient": "42"}));
    assert_eq!(told["metadata"], json!({"source": "wake", "chat_id": "42"}));
    let message = there(Some("7"), "own");
    assert_eq!(message.conversation, "42:7");
    let told = body(&message);
    assert_eq!((&told["agent_id"], &told["thread_id"]), (&json!("own"), &json!("7")));
    assert_eq!(told["reply_to"], json!({"channel": "kind", "recipient": "42", "thread_id": "7"}));
    assert_eq!(told["metadata"], json!({"source": "wake", "chat_id": "42", "thread_id": "42:7"}));
    let silent = Chat { answer: false, ..chat(&channel, None) };
    let silent = made(&bench, Event { chat: Some(silent), ..event(&ada, "x") });
    assert_eq!((&*silent.conversation, body(&silent).get("reply_to")), ("42", None));
}

#[tokio::test]
async fn the_callers_own_session_counts_and_its_source_does_not() {
    let bench = Bench::new().await;
    let ada = "ada".parse().unwrap();
    let given = |metadata: Value| {
        let metadata = metadata.as_object().unwrap().clone();
        made(&bench, Event { metadata, session: Some("hook:deploys"), ..event(&ada, "x") })
    };
    let own = given(json!({"channel_id": "ci", "source": "forged", "n": 1}));
    assert_eq!(body(&own)["metadata"], json!({"channel_id": "ci", "source": "wake", "n": 1}));
    assert_eq!(own.conversation, "ada/ci");
    let ours = given(json!({"n": 1}));
    assert_eq!(body(&ours)["metadata"], json!({"n": 1, "source": "wake", "chat_id": "hook:deploys"}));
}

#[tokio::test]
async fn the_same_key_is_the_same_event_of_the_same_user_only() {
    let bench = Bench::new().await;
    let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let accept = async |user: &UserId, source: &str| {
        let message = made(&bench, Event { key: Some("k"), source, ..event(user, "x") });
        bench.writer.accept(message).await.unwrap()
    };
    let new = |accepted: Accepted| -> Work {
        match accepted {
            Accepted::New(work) => *work,
            Accepted::Duplicate(id) => panic!("{id} was there before"),
        }
    };
    let first = new(accept(&ada, "wake").await);
    assert!(matches!(accept(&ada, "wake").await, Accepted::Duplicate(id) if id == first.id));
    new(accept(&bob, "wake").await);
    new(accept(&ada, "cron").await);
    let pending = bench.store.messages_pending(&[(first.shard, 0)], 10).await.unwrap();
    assert!(pending.iter().any(|(work, _)| work.id == first.id && work.channel_id == ChannelId::NONE));
    let lane = bench.store.messages_pending_in(ChannelId::NONE, first.direction, &first.conversation, 0, 10);
    let lane: Vec<_> = lane.await.unwrap().into_iter().map(|work| work.user_id).collect();
    assert_eq!(lane, [ada], "no other user's event is in its lane");
}
