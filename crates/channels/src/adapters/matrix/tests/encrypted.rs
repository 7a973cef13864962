//! Encrypted rooms: another device, made of the same ratchets, behind a homeserver that answers what it is told to. That other programs
//! understand what is written here, `make peer-matrix` shows.

use std::sync::atomic::Ordering;

use claw_types::Deed;
use vodozemac::Curve25519PublicKey;
use vodozemac::megolm::{GroupSession, InboundGroupSession, MegolmMessage, SessionConfig, SessionKey};
use vodozemac::olm::{self, Account, OlmMessage};

use super::super::sync::{Event, Sync};
use super::receiving::{self, Kept, look};
use super::*;
use crate::adapters::webhook::testing::Notes;

const ADA: &str = "@ada:example.org";
const HERS: &str = "ADADEVICE";
const OURS: &str = "HELPERDEVICE";
const MEGOLM: &str = "m.megolm.v1.aes-sha2";
const OLM: &str = "m.olm.v1.curve25519-aes-sha2";

/// Her device.
struct Ada {
    account: Account,
    session: Option<olm::Session>,
    key: GroupSession,
    /// By which she reads what the bot writes.
    theirs: Option<InboundGroupSession>,
}

impl Ada {
    fn new() -> Self {
        let key = GroupSession::new(SessionConfig::version_1());
        Self { account: Account::new(), session: None, key, theirs: None }
    }

    fn signed(&self, mut object: Value) -> Value {
        let signature = self.account.sign(object.to_string()).to_base64();
        object["signatures"] = json!({ADA: {format!("ed25519:{HERS}"): signature}});
        object
    }

    /// As the homeserver tells of her device.
    fn devices(&self) -> Value {
        let keys = json!({
            format!("curve25519:{HERS}"): self.account.curve25519_key().to_base64(),
            format!("ed25519:{HERS}"): self.account.ed25519_key().to_base64(),
        });
        let device = json!({"user_id": ADA, "device_id": HERS, "algorithms": [OLM, MEGOLM], "keys": keys});
        json!({"device_keys": {ADA: {HERS: self.signed(device)}}})
    }

    fn one_time_key(&mut self) -> Value {
        self.account.generate_one_time_keys(1);
        let (id, key) = self.account.one_time_keys().into_iter().next().unwrap();
        self.account.mark_keys_as_published();
        let key = self.signed(json!({"key": key.to_base64()}));
        json!({"one_time_keys": {ADA: {HERS: {format!("signed_curve25519:{}", id.to_base64()): key}}}})
    }

    /// Hands her room's key to the bot, by the keys that it published.
    fn hands_over(&mut self, device: &Value, one_time_key: &Value) -> Value {
        let key = |key: &Value| Curve25519PublicKey::from_base64(key.as_str().unwrap()).unwrap();
        let (curve, ed) =
            (&device["keys"][format!("curve25519:{OURS}")], &device["keys"][format!("ed25519:{OURS}")]);
        let config = olm::SessionConfig::version_1();
        let session = self.session.get_or_insert_with(|| {
            self.account.create_outbound_session(config, key(curve), key(&one_time_key["key"])).unwrap()
        });
        let content = json!({
            "algorithm": MEGOLM, "room_id": GROUP, "session_id": self.key.session_id(),
            "session_key": self.key.session_key().to_base64(),
        });
        let said = json!({
            "type": "m.room_key", "content": content, "sender": ADA, "recipient": ACCOUNT, "recipient_keys": {"ed25519": ed},
            "keys": {"ed25519": self.account.ed25519_key().to_base64()},
        });
        let (kind, body) = session.encrypt(said.to_string()).unwrap().to_parts();
        let sealed = json!({"type": kind, "body": vodozemac::base64_encode(body)});
        json!({"type": "m.room.encrypted", "sender": ADA, "content": {
            "algorithm": OLM, "sender_key": self.account.curve25519_key().to_base64(),
            "ciphertext": {curve.as_str().unwrap(): sealed},
        }})
    }

    fn writes(&mut self, body: &str) -> Value {
        let inside = json!({"type": "m.room.message", "room_id": GROUP, "content": {"msgtype": "m.text", "body": body}});
        let sealed = self.key.encrypt(inside.to_string()).to_base64();
        json!({"algorithm": MEGOLM, "ciphertext": sealed, "session_id": self.key.session_id()})
    }

    /// Takes the key that the bot handed over, if it did.
    fn takes(&mut self, asked: &[Asked]) -> usize {
        let mut taken = 0;
        for call in asked.iter().filter(|call| call.path.contains("/sendToDevice/")) {
            let content = &call.json()["messages"][ADA][HERS];
            let sealed = &content["ciphertext"][self.account.curve25519_key().to_base64()];
            let body = vodozemac::base64_decode(sealed["body"].as_str().unwrap()).unwrap();
            let kind = usize::try_from(sealed["type"].as_u64().unwrap()).unwrap();
            let message = OlmMessage::from_parts(kind, &body).unwrap();
            let plain = match (&mut self.session, message) {
                (Some(session), message) => session.decrypt(&message).unwrap(),
                (none, OlmMessage::PreKey(begins)) => {
                    let key =
                        Curve25519PublicKey::from_base64(content["sender_key"].as_str().unwrap()).unwrap();
                    let config = olm::SessionConfig::version_1();
                    let made = self.account.create_inbound_session(config, key, &begins).unwrap();
                    *none = Some(made.session);
                    made.plaintext
                }
                _ => panic!("a conversation that nobody began"),
            };
            let said: Value = serde_json::from_slice(&plain).unwrap();
            assert_eq!((&said["recipient"], &said["sender"]), (&json!(ADA), &json!(ACCOUNT)));
            let key = SessionKey::from_base64(said["content"]["session_key"].as_str().unwrap()).unwrap();
            self.theirs = Some(InboundGroupSession::new(&key, SessionConfig::version_1()));
            taken += 1;
        }
        taken
    }

    /// What the bot wrote, and its place in the key's order.
    fn reads(&mut self, content: &Value) -> (String, u32) {
        let message = MegolmMessage::from_base64(content["ciphertext"].as_str().unwrap()).unwrap();
        let read = self.theirs.as_mut().unwrap().decrypt(&message).unwrap();
        let inside: Value = serde_json::from_slice(&read.plaintext).unwrap();
        (inside["content"]["body"].as_str().unwrap().to_owned(), read.message_index)
    }
}

/// The channel on some worker.
fn bot(server: &Server, notes: &Notes) -> Matrix {
    server.will("/whoami", json!({"user_id": ACCOUNT, "device_id": OURS}));
    let memory = Arc::new(notes.clone());
    let deps = Deps { memory, ..deps(Arc::new(Recorder::default())) };
    made(&server.url, json!({"encryption": true}), deps).unwrap()
}

fn members(people: &[&str]) -> Value {
    let member =
        |id: &&str| json!({"type": "m.room.member", "state_key": id, "content": {"membership": "join"}});
    json!({"chunk": people.iter().map(member).collect::<Vec<_>>()})
}

async fn write(bot: &Matrix, text: &str) -> Result<Value, ChannelError> {
    let content = json!({"msgtype": "m.text", "body": text});
    let crypto = bot.crypto.as_ref().unwrap();
    Ok(crypto.write(&bot.api, GROUP, "m.room.message", &content).await?.expect("the room is encrypted"))
}

async fn receive(bot: &Matrix, answer: Value) {
    let mut answer = answer;
    answer["next_batch"] = json!("s1");
    let sync: Sync = serde_json::from_value(answer).unwrap();
    bot.crypto.as_ref().unwrap().receive(&bot.api, &sync).await.unwrap();
}

/// What becomes of an encrypted event: the texts that are read, and how many are lost.
async fn read(bot: &Matrix, sender: &str, id: &str, content: Value) -> (Vec<String>, usize) {
    let event = json!({"type": "m.room.encrypted", "event_id": id, "sender": sender, "content": content});
    let read = bot.crypto.as_ref().unwrap().read(&bot.api, GROUP, &Event::all(&[event])).await.unwrap();
    let texts = read.events.iter().map(|event| event.text("body").unwrap().to_owned());
    (texts.collect(), read.lost.len())
}

/// A bot that published its keys: its device's, and a one-time key.
async fn published(server: &Server, notes: &Notes) -> (Matrix, Value, Value) {
    let bot = bot(server, notes);
    receive(&bot, json!({"device_unused_fallback_key_types": []})).await;
    let asked = server.asked();
    let mut uploads = asked.iter().filter(|asked| asked.path.ends_with("/keys/upload")).map(Asked::json);
    let device = uploads.next().unwrap()["device_keys"].take();
    let keys = uploads.next().unwrap();
    assert_eq!(keys["fallback_keys"].as_object().unwrap().len(), 1);
    let key = keys["one_time_keys"].as_object().unwrap().values().next().unwrap().clone();
    (bot, device, key)
}

#[tokio::test]
async fn no_place_in_a_keys_order_is_used_twice() {
    let (server, notes, mut ada) = (Server::start().await, Notes::default(), Ada::new());
    let (one, ..) = published(&server, &notes).await;
    server.will("/state/m.room.encryption", json!({"algorithm": MEGOLM, "rotation_period_msgs": 4}));
    server.will("/members", members(&[ACCOUNT, ADA]));
    server.will("/keys/query", ada.devices());
    server.will("/keys/claim", ada.one_time_key());
    let said = write(&one, "first").await.unwrap();
    assert_eq!(ada.takes(&server.asked()), 1);
    assert_eq!(ada.reads(&said), ("first".to_owned(), 0));

    // Another worker goes on, with no more than what was saved.
    let two = bot(&server, &notes);
    server.will("/members", members(&[ACCOUNT, ADA]));
    let said = write(&two, "second").await.unwrap();
    assert_eq!(ada.takes(&server.asked()), 0, "she has the key");
    assert_eq!(ada.reads(&said), ("second".to_owned(), 1));

    // The first one does not know of that, and must not write over it.
    let refused = write(&one, "third").await;
    assert!(matches!(refused, Err(ChannelError::Retryable(_))), "{refused:?}");
    let said = write(&one, "third").await.unwrap();
    assert_eq!(ada.reads(&said), ("third".to_owned(), 2));

    notes.is_away.store(true, Ordering::Relaxed);
    let refused = write(&one, "unsaved").await;
    assert!(matches!(refused, Err(ChannelError::Retryable(_))), "what is not saved is not said: {refused:?}");
    notes.is_away.store(false, Ordering::Relaxed);
    let said = write(&one, "fourth").await.unwrap();
    assert_eq!(ada.reads(&said), ("fourth".to_owned(), 3));

    server.asked();
    let said = write(&one, "by a new key").await.unwrap();
    assert_eq!(ada.takes(&server.asked()), 1, "the room has a new key after four messages");
    assert_eq!(ada.reads(&said), ("by a new key".to_owned(), 0));
}

#[tokio::test]
async fn the_longest_content_fits_an_event() {
    let (server, notes) = (Server::start().await, Notes::default());
    let (bot, ..) = published(&server, &notes).await;
    server.will("/state/m.room.encryption", json!({"algorithm": MEGOLM}));
    let relation =
        json!({"rel_type": "m.thread", "event_id": "$a-long-id-of-an-event-as-rooms-of-version-3-have-it"});
    let mut content = json!({"msgtype": "m.text", "m.relates_to": relation, "body": ""});
    content["body"] = json!("x".repeat(calls::MAX_SEALED - content.to_string().len()));
    let crypto = bot.crypto.as_ref().unwrap();
    let written = crypto.write(&bot.api, GROUP, "m.room.message", &content).await.unwrap().unwrap();
    assert_eq!(written["m.relates_to"], relation);
    let length = written.to_string().len();
    assert!(length <= calls::MAX_CONTENT, "{length}");
}

#[tokio::test]
async fn who_left_reads_no_more() {
    let (server, notes, mut ada) = (Server::start().await, Notes::default(), Ada::new());
    let (bot, ..) = published(&server, &notes).await;
    server.will("/state/m.room.encryption", json!({"algorithm": MEGOLM}));
    server.will("/members", members(&[ACCOUNT, ADA]));
    server.will("/keys/query", ada.devices());
    server.will("/keys/claim", ada.one_time_key());
    let first = write(&bot, "with her").await.unwrap();
    assert_eq!(ada.takes(&server.asked()), 1);
    assert_eq!(ada.reads(&first).0, "with her");
    let leaves =
        json!({"type": "m.room.member", "state_key": ADA, "sender": ADA, "content": {"membership": "leave"}});
    receive(&bot, json!({"rooms": {"join": {GROUP: {"timeline": {"events": [leaves]}}}}, "device_one_time_keys_count": {"signed_curve25519": 50}})).await;
    server.will("/members", members(&[ACCOUNT]));
    let second = write(&bot, "without her").await.unwrap();
    assert_ne!(first["session_id"], second["session_id"]);
    assert_eq!(ada.takes(&server.asked()), 0);
}

#[tokio::test]
async fn a_message_is_its_senders_and_said_once() {
    let (server, notes, mut ada) = (Server::start().await, Notes::default(), Ada::new());
    let (one, device, key) = published(&server, &notes).await;
    let handed = ada.hands_over(&device, &key);
    let count = json!({"signed_curve25519": 50});
    receive(&one, json!({"to_device": {"events": [handed]}, "device_one_time_keys_count": count})).await;
    let hello = ada.writes("hello");
    assert_eq!(read(&one, ADA, "$one", hello.clone()).await, (vec!["hello".to_owned()], 0));
    assert_eq!(read(&one, ADA, "$one", hello.clone()).await, (vec!["hello".to_owned()], 0), "told again");
    assert_eq!(read(&one, ADA, "$two", hello.clone()).await, (vec![], 0), "the same in another event");
    assert_eq!(read(&one, "@eve:example.org", "$three", ada.writes("of Eve's")).await, (vec![], 1));
    // After a restart all of that is known.
    let two = bot(&server, &notes);
    assert_eq!(read(&two, ADA, "$two", hello).await, (vec![], 0));
    assert_eq!(read(&two, ADA, "$four", ada.writes("next")).await, (vec!["next".to_owned()], 0));
}

#[tokio::test]
async fn a_message_waits_for_its_key_beyond_a_restart() {
    let (server, notes, mut ada) = (Server::start().await, Notes::default(), Ada::new());
    let (one, device, key) = published(&server, &notes).await;
    let handed = ada.hands_over(&device, &key);
    assert_eq!(read(&one, ADA, "$early", ada.writes("too early")).await, (vec![], 0));
    let two = bot(&server, &notes);
    let crypto = two.crypto.as_ref().unwrap();
    assert!(crypto.late(&two.api).await.unwrap().is_empty(), "its key is not there");
    let count = json!({"signed_curve25519": 50});
    receive(&two, json!({"to_device": {"events": [handed]}, "device_one_time_keys_count": count})).await;
    for _ in 0..2 {
        let late = crypto.late(&two.api).await.unwrap();
        let texts: Vec<_> =
            late.iter().map(|late| late.event.as_ref().unwrap().text("body").unwrap()).collect();
        assert_eq!(texts, ["too early"], "until it is settled");
    }
    let late = crypto.late(&two.api).await.unwrap();
    crypto.settle(&two.api, &late).await.unwrap();
    assert!(crypto.late(&two.api).await.unwrap().is_empty());
}

/// What the exam has read without encryption. In a channel with it, what can't be read yet waits, nobody is told that it can't be, and
/// what is never encrypted is taken at once, all the same.
#[tokio::test]
async fn recorded_messages_wait_for_their_key_and_keep_nothing_back() {
    let (server, notes) = (Server::start().await, Notes::default());
    let bot = bot(&server, &notes);
    server.will("/sync", look());
    server.will("/sync", serde_json::from_str(include_str!("../payloads/encrypted-room.json")).unwrap());
    let sink = Kept::at("s7");
    receiving::receive(&server, &bot, &sink).await;
    let messages = sink.messages.lock().unwrap();
    let reacted = |message: &claw_types::Inbound| match &message.deed {
        Deed::Reacted(reaction) => reaction.to.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(messages.iter().map(reacted).collect::<Vec<_>>(), ["$sealed:example.org"]);
    assert!(!server.asked().iter().any(|asked| asked.path.contains("/send/")), "somebody was told");
    let rows = notes.rows.lock().unwrap();
    let (_, waiting) = rows.iter().find(|(name, _)| name.ends_with("/waiting")).unwrap();
    for id in ["$sealed:example.org", "$sealed-edit:example.org"] {
        assert!(waiting.text.contains(id), "{id}");
    }
}

#[tokio::test]
async fn a_message_whose_key_never_comes_is_given_up() {
    let (server, notes, mut ada) = (Server::start().await, Notes::default(), Ada::new());
    server.will("/whoami", json!({"user_id": ACCOUNT, "device_id": OURS}));
    let clock =
        Arc::new(claw_runtime::ManualClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()));
    let memory = Arc::new(notes.clone());
    let deps = Deps { memory, clock: clock.clone(), ..deps(Arc::new(Recorder::default())) };
    let bot = made(&server.url, json!({"encryption": true}), deps).unwrap();
    assert_eq!(read(&bot, ADA, "$lost", ada.writes("lost")).await, (vec![], 0));
    clock.advance(chrono::TimeDelta::seconds(301));
    let late = bot.crypto.as_ref().unwrap().late(&bot.api).await.unwrap();
    assert!(matches!(&late[..], [one] if one.id == "$lost" && one.event.is_none()));
}

#[tokio::test]
async fn a_session_of_another_program_is_refused() {
    let (server, notes) = (Server::start().await, Notes::default());
    let bot = bot(&server, &notes);
    server.will("/keys/query", json!({"device_keys": {ACCOUNT: {OURS: {"keys": {}}}}}));
    let refused = write(&bot, "x").await;
    assert!(matches!(&refused, Err(ChannelError::Config(why)) if why.contains(OURS)), "{refused:?}");
    assert!(notes.rows.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_encrypted_stays_so_until_it_is() {
    let (server, notes) = (Server::start().await, Notes::default());
    let (bot, ..) = published(&server, &notes).await;
    let crypto = bot.crypto.as_ref().unwrap();
    server.will_refuse(
        "/state/m.room.encryption",
        404,
        json!({"errcode": "M_NOT_FOUND", "error": "Event not found."}),
    );
    assert!(!crypto.is_encrypted(&bot.api, GROUP).await.unwrap());
    let begins = json!({"type": "m.room.encryption", "state_key": "", "sender": ADA, "content": {"algorithm": MEGOLM}});
    let count = json!({"signed_curve25519": 50});
    receive(&bot, json!({"rooms": {"join": {GROUP: {"timeline": {"events": [begins]}}}}, "device_one_time_keys_count": count})).await;
    assert!(crypto.is_encrypted(&bot.api, GROUP).await.unwrap());
    // A homeserver that says otherwise is not believed.
    let two = self::bot(&server, &notes);
    assert!(two.crypto.as_ref().unwrap().is_encrypted(&two.api, GROUP).await.unwrap());
}
