//! Letting strangers in, with what owners and hostile strangers do about it. Every post goes to another gateway than the one before.

use std::collections::BTreeSet;
use std::sync::Arc;

use claw_intake::{Desk, Intake, Made, Pace};
use claw_runtime::{Ids, OsRandom, SystemClock};
use claw_store::pairing::PairingBook;
use claw_store::{Channel, PairingState};
use claw_types::{Deed, Direction, Inbound, Sender, Work, album};
use serde_json::{Value, json};

use crate::common::{SECRET, TestGateway};

const PATH: &str = "/api/users/u/channels/bot";
const OWNER: &str = "1";

/// A gateway with a channel in which people are let in.
struct Door {
    gateway: TestGateway,
    channel: Value,
}

impl Door {
    async fn open(owners: &str) -> Self {
        let gateway = TestGateway::start().await;
        let channel = configure(&gateway, "u", "bot", owners).await;
        Self { gateway, channel }
    }

    async fn says(&self, person: &str, id: &str, text: &str) -> String {
        says(&self.gateway, &self.channel, person, id, text).await
    }

    /// All texts that go to a person, in order.
    async fn told(&self, person: &str) -> Vec<String> {
        texts(&self.gateway.pending().await, Direction::Out, person)
    }

    /// All texts that the backend gets, in order.
    async fn backend(&self) -> Vec<String> {
        texts(&self.gateway.pending().await, Direction::In, "")
    }

    async fn list(&self, query: &str) -> Vec<Value> {
        let answer =
            self.gateway.call("GET", &format!("{PATH}/pairing{query}"), Value::Null).await.expect(200);
        answer["pairings"].as_array().unwrap().clone()
    }

    /// The code of a person's request.
    async fn code(&self, person: &str) -> String {
        let pending = self.list("?state=pending").await;
        let one = pending.iter().find(|one| one["platform_id"] == person).unwrap();
        one["code"].as_str().unwrap().to_owned()
    }

    async fn stored(&self) -> Channel {
        let (user, instance) = ("u".parse().unwrap(), "bot".parse().unwrap());
        self.gateway.store.channel_status(&user, &instance).await.unwrap().channel
    }

    /// What becomes of messages that come in one batch, as an adapter understood them.
    async fn takes(&self, messages: Vec<Inbound>) -> Made {
        let fields = json!({"dm_policy": "pairing", "owners": [OWNER], "events": ["deletions"]});
        let intake = Intake::new(fields.as_object().unwrap(), Arc::new(Pace::new(true)));
        let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
        let desk = Desk { store: &self.gateway.store, ids: &ids, clock: &SystemClock };
        intake.make(desk, &self.stored().await, messages).await.unwrap()
    }

    async fn book(&self) -> PairingBook {
        self.gateway.store.pairing_book(&self.stored().await).await.unwrap()
    }

    /// As if time had passed until all that ends has ended.
    async fn expire(&self) {
        let mut conn = self.gateway.database.connect().await;
        sqlx::query("update pairings set expires_at = now() where expires_at is not null")
            .execute(&mut conn)
            .await
            .unwrap();
    }
}

async fn configure(gateway: &TestGateway, user: &str, slug: &str, owners: &str) -> Value {
    let fields = json!({"secret_env": SECRET, "callback_url": "http://127.0.0.1:9/callback",
                        "dm_policy": "pairing", "owners": owners, "join_albums": true});
    let path = format!("/api/users/{user}/channels/{slug}/configure");
    gateway.call("POST", &path, json!({"channel_type": "webhook", "fields": fields})).await.expect(201)
}

/// What becomes of what a person writes.
async fn says(gateway: &TestGateway, channel: &Value, person: &str, id: &str, text: &str) -> String {
    let body =
        json!({"sender": {"id": person, "name": format!("Person {person}")}, "message_id": id, "text": text});
    let answer = gateway.post(channel, body.to_string().as_bytes()).await.expect(200);
    let duplicate = if answer["duplicate"] == true { " before" } else { "" };
    format!("{}{duplicate}", answer["status"].as_str().unwrap())
}

fn texts(pending: &[Work], direction: Direction, person: &str) -> Vec<String> {
    let those = pending.iter().filter(|work| work.direction == direction);
    let bodies = those.map(|work| serde_json::from_str::<Value>(work.payload.get()).unwrap());
    let wanted = bodies.filter(|body| person.is_empty() || body["recipient"] == person);
    wanted.map(|body| body["text"].as_str().unwrap().to_owned()).collect()
}

fn written(person: &str, id: &str) -> Inbound {
    let sender =
        Sender { platform_id: person.to_owned(), display_name: "Ada".to_owned(), internal_user: None };
    Inbound {
        platform_message_id: Some(id.to_owned()),
        dedup_key: Some(id.to_owned()),
        sender: Some(sender),
        content_type: "text".to_owned(),
        text: Some(id.to_owned()),
        recipient: person.to_owned(),
        ..Inbound::default()
    }
}

/// Its deletion, where the platform does not tell by whom.
fn gone(message: &Inbound) -> Inbound {
    let id = message.platform_message_id.clone().unwrap();
    Inbound {
        dedup_key: Some(format!("delete:{id}")),
        deed: Deed::Deleted(id),
        sender: None,
        text: None,
        ..message.clone()
    }
}

/// Another file of it: a message of its own here.
fn further(message: &Inbound, n: u8) -> Inbound {
    let id = message.platform_message_id.as_deref().unwrap();
    Inbound {
        dedup_key: Some(format!("{id}:{n}")),
        text: Some(format!("file {n} of {id}")),
        ..message.clone()
    }
}

#[tokio::test]
async fn a_stranger_is_told_a_code_once_and_nothing_is_lost_when_an_owner_lets_them_in() {
    let door = Door::open(OWNER).await;
    assert_eq!(door.says("7", "a", "the first question").await, "handled");
    assert_eq!(door.says("7", "b", "and another").await, "handled");
    let code = door.code("7").await;
    let told = door.told("7").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&code) && told[0].contains("within an hour"), "{told:?}");
    assert!(door.backend().await.is_empty(), "the backend hears nothing of strangers");

    assert_eq!(door.says(OWNER, "o-1", "/pair list").await, "handled");
    assert!(door.told(OWNER).await[0].starts_with(&format!("{code} Person 7 (7), 0 min ago")));
    let typed = format!("{}-{}", code[..4].to_lowercase(), &code[4..]);
    assert_eq!(door.says(OWNER, "o-2", &format!("/pair {typed}")).await, "handled");
    assert_eq!(door.told(OWNER).await[1], "Person 7 (7) can write to this bot now.");
    assert_eq!(
        door.told("7").await[1],
        "You can write to this bot now. What you wrote before is being answered."
    );
    assert_eq!(door.backend().await, ["the first question", "and another"]);

    assert_eq!(door.says("7", "c", "a third").await, "accepted");
    assert_eq!(door.says("7", "b", "and another").await, "accepted before", "the platform sends it again");
    assert_eq!(door.says(OWNER, "o-3", "hello").await, "accepted", "an owner is no stranger");
    assert_eq!(door.backend().await, ["the first question", "and another", "a third", "hello"]);
    let approved = door.list("").await;
    assert_eq!(approved.len(), 1);
    assert_eq!((&approved[0]["state"], &approved[0]["decided_by"]), (&json!("approved"), &json!("owner 1")));
    assert_eq!(approved[0]["expires_at"], Value::Null);
}

#[tokio::test]
async fn what_a_stranger_edits_or_takes_back_meanwhile_is_handed_over_as_they_left_it() {
    let door = Door::open(OWNER).await;
    for (id, text) in [("a", "teh question"), ("b", "my password"), ("c", "and another")] {
        assert_eq!(door.says("7", id, text).await, "handled");
    }
    assert_eq!(door.says("8", "d", "hello").await, "handled");
    let does = async |person: &str, deed: Value| {
        let mut body = json!({"sender": {"id": person}});
        body.as_object_mut().unwrap().extend(deed.as_object().unwrap().clone());
        let answer = door.gateway.post(&door.channel, body.to_string().as_bytes()).await.expect(200);
        answer["status"].as_str().unwrap().to_owned()
    };
    let edit = |id: &str, message: &str, text: &str| json!({"event": "edit", "event_id": id, "message_id": message, "text": text});
    assert_eq!(does("7", edit("e1", "a", "the question")).await, "handled");
    assert_eq!(does("7", edit("e2", "a", "the very question")).await, "handled");
    assert_eq!(does("7", edit("e1", "a", "the question")).await, "handled", "the platform sends it again");
    assert_eq!(does("7", json!({"event": "delete", "message_id": "b"})).await, "handled");
    // Somebody else who waits, somebody whom nobody knows, and what was never held.
    assert_eq!(does("8", edit("e3", "a", "forged")).await, "ignored");
    assert_eq!(does("8", json!({"event": "delete", "message_id": "c"})).await, "ignored");
    assert_eq!(does("9", edit("e4", "a", "forged")).await, "ignored");
    assert_eq!(does("7", edit("e5", "x", "of nothing")).await, "ignored");
    assert!(door.backend().await.is_empty());

    let order = format!("/pair {}", door.code("7").await);
    assert_eq!(door.says(OWNER, "o", &order).await, "handled");
    assert_eq!(door.backend().await, ["the very question", "and another"]);
    assert_eq!(does("7", edit("e6", "a", "late")).await, "accepted", "from now on it is an event");
    assert_eq!(door.backend().await, ["the very question", "and another"]);
}

#[tokio::test]
async fn a_stranger_may_correct_the_first_message_at_once() {
    let door = Door::open("").await;
    let message = Inbound { text: Some("teh".to_owned()), ..written("7", "a") };
    let edit = Inbound {
        deed: Deed::Edited("a".to_owned()),
        dedup_key: Some("edit:a:1".to_owned()),
        text: Some("the".to_owned()),
        ..message.clone()
    };
    let made = door.takes(vec![message, edit]).await;
    assert_eq!((made.handled.len(), made.handled[0]), (2, made.handled[1]), "both are one message");
    let path = format!("{PATH}/pairing/{}/approve", door.code("7").await);
    door.gateway.call("POST", &path, Value::Null).await.expect(200);
    assert_eq!(door.backend().await, ["the"]);
}

/// There are platforms that tell that a message was deleted and not whose it was.
#[tokio::test]
async fn what_was_taken_back_by_nobody_knows_whom_is_not_handed_over() {
    let door = Door::open("").await;
    let (question, secret) = (written("7", "a"), written("7", "b"));
    let files = [1, 2].map(|n| further(&secret, n));
    let said = vec![question.clone(), secret.clone(), files[0].clone(), files[1].clone(), gone(&secret)];
    let made = door.takes(said).await;
    assert_eq!((made.handled.len(), made.handled[1]), (5, made.handled[4]), "it is done to what is held");
    assert!(made.messages.is_empty() && !made.has_feedback(), "{made:?}");
    let again = door.takes(vec![gone(&secret)]).await;
    assert!(again.handled.is_empty() && again.messages.is_empty(), "the platform sends it again: {again:?}");
    assert!(!again.has_feedback(), "nobody was told of the message");

    let path = format!("{PATH}/pairing/{}/approve", door.code("7").await);
    door.gateway.call("POST", &path, Value::Null).await.expect(200);
    assert_eq!(door.backend().await, ["a"]);
    let late = door.takes(vec![gone(&question)]).await;
    assert!(late.has_feedback() && late.messages.len() == 1, "from now on it is an event: {late:?}");
}

#[tokio::test]
async fn what_a_stranger_takes_back_goes_with_all_its_files() {
    let door = Door::open("").await;
    let secret = written("7", "b");
    let theirs = Inbound { sender: secret.sender.clone(), ..gone(&secret) };
    let made = door.takes(vec![written("7", "a"), secret.clone(), further(&secret, 1), theirs]).await;
    assert_eq!(made.handled.len(), 4);
    let path = format!("{PATH}/pairing/{}/approve", door.code("7").await);
    door.gateway.call("POST", &path, Value::Null).await.expect(200);
    assert_eq!(door.backend().await, ["a"]);
}

#[tokio::test]
async fn what_was_taken_back_in_a_group_goes_with_no_question() {
    let door = Door::open(OWNER).await;
    let said = |id: &str, mentioned: bool| Inbound {
        is_group: true,
        mentioned: Some(mentioned),
        recipient: "room".to_owned(),
        ..written(OWNER, id)
    };
    let secret = said("b", false);
    let all = vec![said("a", false), secret.clone(), further(&secret, 1), further(&secret, 2)];
    assert!(door.takes(all).await.messages.is_empty());
    assert!(!door.takes(vec![gone(&secret)]).await.has_feedback());
    let asked = door.takes(vec![said("c", true)]).await;
    let body: Value = serde_json::from_str(asked.messages[0].payload.get()).unwrap();
    let context = body["metadata"]["context"].as_array().unwrap();
    assert_eq!(context.iter().map(|said| &said["text"]).collect::<Vec<_>>(), ["a"]);

    let posted = json!({"sender": {"id": OWNER}, "message_id": "d", "conversation_id": "room", "is_group": true,
                        "text": "a question"});
    let answer = door.gateway.post(&door.channel, posted.to_string().as_bytes()).await.expect(200);
    assert_eq!(answer["status"], "accepted");
    assert!(door.takes(vec![gone(&said("d", true))]).await.has_feedback(), "it is told of what was accepted");
}

#[tokio::test]
async fn a_strangers_album_is_still_one_when_it_is_let_in() {
    let door = Door::open("").await;
    for id in ["a", "b"] {
        let media = json!({"kind": "image", "url": "http://127.0.0.1:9/x.jpg"});
        let body = json!({"sender": {"id": "7"}, "message_id": id, "text": id, "album": "1", "media": media});
        door.gateway.post(&door.channel, body.to_string().as_bytes()).await.expect(200);
    }
    let path = format!("{PATH}/pairing/{}/approve", door.code("7").await);
    door.gateway.call("POST", &path, Value::Null).await.expect(200);
    let pending = door.gateway.pending().await;
    let parts = pending.iter().filter(|work| work.direction == Direction::In);
    assert_eq!(parts.map(|work| work.debounce_ms).collect::<Vec<_>>(), [album::WAIT_MS; 2]);
}

#[tokio::test]
async fn what_the_platform_sends_again_changes_nothing() {
    let door = Door::open(OWNER).await;
    for _ in 0..3 {
        assert_eq!(door.says("7", "a", "a question").await, "handled");
    }
    assert_eq!(door.told("7").await.len(), 1);
    let order = format!("/pair {}", door.code("7").await);
    for _ in 0..3 {
        assert_eq!(door.says(OWNER, "o", &order).await, "handled");
    }
    assert_eq!(door.told(OWNER).await, ["Person 7 (7) can write to this bot now."]);
    assert_eq!(door.told("7").await.len(), 2);
    assert_eq!(door.backend().await, ["a question"]);
    assert_eq!(door.says(OWNER, "another", &order).await, "handled");
    assert_eq!(door.told(OWNER).await[1], "Person 7 (7) was let in before.");
}

#[tokio::test]
async fn a_flood_of_strangers_is_answered_three_times() {
    let door = Door::open("").await;
    for n in 0..20 {
        let expected = if n < 3 { "handled" } else { "ignored" };
        assert_eq!(door.says(&format!("s-{n}"), &format!("m-{n}"), "spam").await, expected, "{n}");
    }
    // At once, too: two requests that look at the same moment must not both find the last place free.
    let others = (20..60).map(async |n| door.says(&format!("s-{n}"), &format!("m-{n}"), "spam").await);
    assert!(futures::future::join_all(others).await.iter().all(|became| became == "ignored"));
    for n in 0..15 {
        let expected = if n < 9 { "handled" } else { "ignored" };
        assert_eq!(door.says("s-0", &format!("again-{n}"), "spam").await, expected, "{n}");
    }
    assert_eq!(door.gateway.pending().await.len(), 3, "one answer each, and nothing for the backend");
    let mut book = door.book().await;
    assert_eq!(book.in_state(PairingState::Pending).await.unwrap().len(), 3);
}

#[tokio::test]
async fn at_the_same_moment_strangers_get_three_places() {
    let door = Door::open("").await;
    let all = (0..16).map(async |n| door.says(&format!("s-{n}"), &format!("m-{n}"), "let me in").await);
    let became = futures::future::join_all(all).await;
    assert_eq!(became.iter().filter(|became| *became == "handled").count(), 3, "{became:?}");
    assert_eq!(door.gateway.pending().await.len(), 3);
}

#[tokio::test]
async fn nobody_but_an_owner_gives_orders_and_no_code_works_elsewhere() {
    let door = Door::open(OWNER).await;
    let other = configure(&door.gateway, "v", "bot", "7").await;
    door.says("7", "a", "hello").await;
    let code = door.code("7").await;
    // The stranger themselves, another one, and somebody who is an owner in another tenant's channel.
    for (person, id) in [("7", "b"), ("8", "c")] {
        assert_eq!(door.says(person, id, &format!("/pair {code}")).await, "handled", "held as any text");
    }
    let order = format!("/pair {code}");
    assert_eq!(says(&door.gateway, &other, "7", "d", &order).await, "handled");
    let told = door.told("7").await;
    assert!(told[1].starts_with(&format!("No request has the code {code:?}")), "{told:?}");
    assert_eq!(door.code("7").await, code, "it still waits");
    // An owner's order in a group would be read by everybody there.
    let group = json!({"sender": {"id": OWNER}, "conversation_id": "room", "is_group": true, "text": order});
    let answer = door.gateway.post(&door.channel, group.to_string().as_bytes()).await.expect(200);
    assert_eq!(answer["status"], "accepted", "for the backend, as any message of a group");
    assert_eq!(door.code("7").await, code);
}

/// A stranger may make a group, add the bot to it and ask it there.
#[tokio::test]
async fn in_a_group_only_those_are_heard_who_were_let_in_and_nobody_is_told_a_code() {
    let door = Door::open(OWNER).await;
    let asks = async |person: &str, id: &str, text: &str, mentioned: bool| {
        let body = json!({"sender": {"id": person}, "message_id": id, "conversation_id": "room", "is_group": true,
                          "mentioned": mentioned, "text": text});
        let answer = door.gateway.post(&door.channel, body.to_string().as_bytes()).await.expect(200);
        answer["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(asks("7", "g-1", "work for me", true).await, "ignored");
    assert_eq!(asks("7", "g-2", "or keep this", false).await, "ignored");
    assert!(
        door.gateway.pending().await.is_empty() && door.list("").await.is_empty(),
        "no code, and no request"
    );
    assert_eq!(asks(OWNER, "g-3", "an owner's question", true).await, "accepted");

    assert_eq!(door.says("7", "a", "let me in").await, "handled");
    assert_eq!(asks("7", "g-4", "while I wait", true).await, "ignored", "nothing of a group is held");
    let code = door.code("7").await;
    door.says(OWNER, "o", &format!("/pair {code}")).await;
    assert_eq!(asks("7", "g-5", "not for the bot", false).await, "ignored");
    assert_eq!(asks("7", "g-6", "my question", true).await, "accepted");
    assert_eq!(asks("8", "g-7", "mine, too", true).await, "ignored", "who is let in brings nobody with them");
    assert_eq!(door.backend().await, ["an owner's question", "let me in", "my question"]);
    let pending = door.gateway.pending().await;
    let asked = pending.iter().find(|work| work.payload.get().contains("my question")).unwrap();
    let asked: Value = serde_json::from_str(asked.payload.get()).unwrap();
    let context: Vec<&str> = asked["metadata"]["context"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said["text"].as_str().unwrap())
        .collect();
    assert_eq!(context, ["not for the bot"], "of strangers nothing is kept");
}

/// With a list of people beside it, those who were let in are on it.
#[tokio::test]
async fn who_was_let_in_is_heard_in_groups_where_a_list_says_who_is() {
    let gateway = TestGateway::start().await;
    let fields = json!({"secret_env": SECRET, "callback_url": "http://127.0.0.1:9/callback", "owners": OWNER,
                        "dm_policy": "pairing", "group_policy": "open", "allowed_users": "5"});
    let body = json!({"channel_type": "webhook", "fields": fields});
    let channel = gateway.call("POST", &format!("{PATH}/configure"), body).await.expect(201);
    let door = Door { gateway, channel };
    let asks = async |person: &str, id: &str| {
        let body = json!({"sender": {"id": person}, "message_id": id, "conversation_id": "room", "is_group": true,
                          "text": id});
        let answer = door.gateway.post(&door.channel, body.to_string().as_bytes()).await.expect(200);
        answer["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(asks("7", "a").await, "ignored");
    door.says("7", "b", "let me in").await;
    let code = door.code("7").await;
    door.says(OWNER, "o", &format!("/pair {code}")).await;
    for (person, id) in [("7", "c"), ("5", "d"), (OWNER, "e")] {
        assert_eq!(asks(person, id).await, "accepted", "{person}");
    }
    let path = format!("{PATH}/pairing/{code}");
    door.gateway.call("DELETE", &path, Value::Null).await.expect(200);
    assert_eq!(asks("7", "f").await, "ignored", "it counts for the next message");
}

#[tokio::test]
async fn wrong_and_expired_codes_get_a_clear_answer() {
    let door = Door::open(OWNER).await;
    door.says("7", "a", "hello").await;
    let code = door.code("7").await;
    door.says(OWNER, "o-1", "/pair").await;
    door.says(OWNER, "o-2", "/pair AAAAAAAA").await;
    door.says(OWNER, "o-3", "/pair \u{202e}%$ what ever").await;
    door.expire().await;
    door.says(OWNER, "o-4", &format!("/pair {code}")).await;
    door.says(OWNER, "o-5", "/pair list").await;
    let told = door.told(OWNER).await;
    assert!(told[0].contains("/pair deny CODE"), "{told:?}");
    for wrong in &told[1..4] {
        assert!(wrong.starts_with("No request has the code") && !wrong.contains('\u{202e}'), "{wrong}");
    }
    assert_eq!(told[4], "Nobody waits to be let in.");
    let path = format!("{PATH}/pairing/{code}/approve");
    let gone = door.gateway.call("POST", &path, Value::Null).await.problem(404);
    assert!(gone.contains("may have expired"), "{gone}");
    assert_eq!(door.says("7", "b", "hello again").await, "handled");
    assert_ne!(door.code("7").await, code, "whoever writes again asks again");
    assert!(door.backend().await.is_empty(), "what expired is dropped");
}

#[tokio::test]
async fn who_is_turned_away_is_not_answered_until_it_expires() {
    let door = Door::open(OWNER).await;
    door.says("7", "a", "hello").await;
    let code = door.code("7").await;
    door.says(OWNER, "o", &format!("/pair deny {code}")).await;
    assert_eq!(door.told(OWNER).await, ["Person 7 (7) was turned away, and is not answered for a day."]);
    assert_eq!(door.says("7", "b", "please").await, "ignored");
    assert_eq!(door.told("7").await.len(), 1);
    door.expire().await;
    assert_eq!(door.says("7", "c", "please").await, "handled");
    assert_eq!(door.told("7").await.len(), 2);
}

#[tokio::test]
async fn the_api_approves_denies_and_revokes() {
    let door = Door::open("").await;
    let gateway = &door.gateway;
    door.says("7", "a", "hello").await;
    let path = format!("{PATH}/pairing/{}", door.code("7").await);
    let approved = gateway.call("POST", &format!("{path}/approve"), Value::Null).await.expect(200);
    assert_eq!((&approved["state"], &approved["decided_by"]), (&json!("approved"), &json!("operator")));
    let again = gateway.call("POST", &format!("{path}/approve"), Value::Null).await.expect(200);
    assert_eq!(again, approved);
    assert_eq!((door.told("7").await.len(), door.backend().await), (2, vec!["hello".to_owned()]));
    assert_eq!(gateway.call("DELETE", &path, Value::Null).await.expect(200)["state"], "approved");
    gateway.call("DELETE", &path, Value::Null).await.problem(404);
    assert_eq!(door.says("7", "b", "still there?").await, "handled", "asks again");

    let path = format!("{PATH}/pairing/{}", door.code("7").await);
    assert_eq!(gateway.call("DELETE", &path, Value::Null).await.expect(200)["state"], "pending");
    assert_eq!(door.says("7", "c", "hello?").await, "ignored");
    // Turned away by mistake.
    gateway.call("POST", &format!("{path}/approve"), Value::Null).await.expect(200);
    assert_eq!(door.says("7", "d", "at last").await, "accepted");
    assert_eq!(door.backend().await, ["hello", "at last"], "what was dropped stays dropped");

    let audit = gateway.call("GET", "/api/audit?user=u", Value::Null).await.expect(200);
    let actions: BTreeSet<&str> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["pairing.approved", "pairing.denied", "pairing.revoked"] {
        assert!(actions.contains(action), "{actions:?}");
    }
    for wrong in ["x", "AAAAAAAA", "%00", &"A".repeat(2_000)] {
        gateway.call("POST", &format!("{PATH}/pairing/{wrong}/approve"), Value::Null).await.problem(404);
        gateway.call("DELETE", &format!("{PATH}/pairing/{wrong}"), Value::Null).await.problem(404);
    }
    gateway.call("GET", &format!("{PATH}/pairing?state=nonsense"), Value::Null).await.problem(400);
}

#[tokio::test]
async fn an_invitation_lets_in_the_first_who_sends_it() {
    let door = Door::open(OWNER).await;
    let invite = async |body: Value| door.gateway.call("POST", &format!("{PATH}/pairing"), body).await;
    for wrong in
        [json!({"expires_in_seconds": 59}), json!({"expires_in_seconds": 2_592_001}), json!({"x": 1})]
    {
        invite(wrong).await.problem(400);
    }
    let made = invite(json!({})).await.expect(201);
    let code = made["code"].as_str().unwrap();
    assert_eq!((made["state"].as_str(), code.len()), (Some("invited"), 16));
    let path = format!("{PATH}/pairing/{code}/approve");
    door.gateway.call("POST", &path, Value::Null).await.problem(404);

    // Somebody who waits already, and then somebody who was late.
    door.says("7", "a", "hello").await;
    assert_eq!(door.says("7", "b", &format!("/start {code}")).await, "handled");
    assert_eq!(door.says("7", "b", &format!("/start {code}")).await, "accepted before");
    assert_eq!(door.backend().await, ["hello"], "the code itself is for nobody else");
    assert!(door.told("7").await[1].starts_with("You can write to this bot now."));
    assert_eq!(door.says("8", "c", code).await, "handled", "an ordinary stranger's");
    assert!(!door.told("8").await[0].contains("You can write"));
    let approved = door.list("?state=approved").await;
    assert_eq!(approved.len(), 1);
    assert_eq!(
        (&approved[0]["platform_id"], &approved[0]["decided_by"]),
        (&json!("7"), &json!("invitation"))
    );

    let late = invite(json!({"expires_in_seconds": 60})).await.expect(201);
    door.expire().await;
    assert_eq!(door.says("9", "d", late["code"].as_str().unwrap()).await, "handled");
    assert_eq!(door.list("?state=approved").await.len(), 1, "an expired one lets nobody in");
}

#[tokio::test]
async fn only_so_many_invitations_are_open() {
    let door = Door::open("").await;
    let mut book = door.book().await;
    for n in 0..100 {
        let (id, code) = (uuid::Uuid::from_u128(n), format!("code-{n}"));
        book.add(id, &code, None, claw_intake::pairing::INVITATION_GOOD_FOR).await.unwrap();
    }
    book.commit().await.unwrap();
    let full = door.gateway.call("POST", &format!("{PATH}/pairing"), json!({})).await.problem(409);
    assert!(full.contains("100 open invitations"), "{full}");
    let first = door.gateway.call("GET", &format!("{PATH}/pairing?limit=60"), Value::Null).await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(door.list(&format!("?limit=60&cursor={cursor}")).await.len(), 40);
}

#[tokio::test]
async fn a_deleted_channel_takes_its_pairings_with_it() {
    let door = Door::open("").await;
    door.says("7", "a", "hello").await;
    door.gateway.call("DELETE", PATH, Value::Null).await.expect(200);
    let mut conn = door.gateway.database.connect().await;
    let left: i64 =
        sqlx::query_scalar("select (select count(*) from pairings) + (select count(*) from pairing_held)")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!(left, 0);
}
