//! What comes in: from where, in which order, and what is done when it is committed.

use async_trait::async_trait;
use claw_types::{Deed, Inbound, Named, Receipts};

use super::*;
use crate::SinkError;

/// Keeps what it is given, and what happened in which order.
#[derive(Default)]
pub(super) struct Kept {
    cursor: Option<String>,
    pub(super) messages: Mutex<Vec<Inbound>>,
    saved: Mutex<Vec<String>>,
    away: bool,
}

#[async_trait]
impl Sink for Kept {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        if self.away {
            return Err(SinkError::LostOwnership);
        }
        self.messages.lock().unwrap().extend(messages);
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(self.cursor.clone())
    }

    async fn save_cursor(&self, cursor: String) -> Result<(), SinkError> {
        self.saved.lock().unwrap().push(cursor);
        Ok(())
    }

    async fn trouble(&self, _: Option<&str>) {}
}

impl Kept {
    pub(super) fn at(place: &str) -> Self {
        Self { cursor: Some(format!("{ACCOUNT} {place}")), ..Self::default() }
    }

    fn texts(&self) -> Vec<String> {
        let messages = self.messages.lock().unwrap();
        messages.iter().map(|message| message.text.clone().unwrap_or_default()).collect()
    }
}

/// Receives what is planned: one look and some polls, until the poll comes that has nothing to tell.
pub(super) async fn receive(server: &Server, bot: &Matrix, sink: &Kept) {
    let planned = server.answers.lock().unwrap().iter().filter(|(path, ..)| path == "/sync").count();
    let stop = CancellationToken::new();
    let told = async {
        while server.asked.lock().unwrap().iter().filter(|asked| asked.query.contains("since=")).count()
            < planned
        {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let both = futures::future::join(bot.listen(sink, stop.clone()), told);
    let (ended, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("it polls no more");
    ended.unwrap();
}

fn event(id: &str, content: Value) -> Value {
    let mut event = json!({"type": "m.room.message", "event_id": id, "sender": "@ada:example.org",
        "origin_server_ts": 1_700_000_000_000_u64});
    event["content"] = content;
    event
}

fn said(id: &str, body: &str) -> Value {
    event(id, json!({"msgtype": "m.text", "body": body}))
}

fn of_kind(kind: &str, id: &str, content: Value) -> Value {
    let mut event = event(id, content);
    event["type"] = json!(kind);
    event
}

fn membership(id: &str, sender: &str, membership: &str) -> Value {
    let mut event = of_kind("m.room.member", id, json!({"membership": membership}));
    (event["state_key"], event["sender"]) = (json!(ACCOUNT), json!(sender));
    event
}

pub(super) fn look() -> Value {
    let people = |count: u64| json!({"summary": {"m.joined_member_count": count}});
    json!({"next_batch": "s1", "rooms": {"join": {GROUP: people(3), DIRECT: people(2)}}})
}

fn sync(place: &str, room: &str, events: Vec<Value>) -> Value {
    let mut answer = json!({"next_batch": place, "rooms": {"join": {room: {"timeline": {}}}}});
    answer["rooms"]["join"][room]["timeline"]["events"] = Value::Array(events);
    answer
}

fn query(asked: &Asked, key: &str) -> Option<String> {
    url::form_urlencoded::parse(asked.query.as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_new_channel_takes_no_history_and_keeps_its_place() {
    let server = Server::start().await;
    server.will("/sync", look());
    server.will("/sync", sync("s2", DIRECT, vec![said("$1", "hello")]));
    let sink = Kept::default();
    receive(&server, &server.bot(), &sink).await;
    assert_eq!(sink.texts(), ["hello"]);
    assert_eq!(*sink.saved.lock().unwrap(), [format!("{ACCOUNT} s1"), format!("{ACCOUNT} s2")]);
    let syncs: Vec<_> = server.asked().into_iter().filter(|asked| asked.path.ends_with("/sync")).collect();
    assert_eq!(query(&syncs[0], "since"), None);
    let filter: Value = serde_json::from_str(&query(&syncs[0], "filter").unwrap()).unwrap();
    assert_eq!(filter["room"]["timeline"]["types"], json!([]), "the look is without what was written");
    assert_eq!(query(&syncs[1], "since").as_deref(), Some("s1"));
    assert_eq!(query(&syncs[2], "since").as_deref(), Some("s2"));
}

/// Pending messages dropped at start, and an offset in memory only: faults seen elsewhere.
#[tokio::test]
async fn a_worker_that_takes_over_goes_on_where_the_last_one_stopped() {
    let server = Server::start().await;
    server.will("/sync", look());
    server.will("/sync", sync("s8", DIRECT, vec![said("$1", "while nobody listened")]));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    assert_eq!(sink.texts(), ["while nobody listened"]);
    let since: Vec<_> = server.asked().iter().filter_map(|asked| query(asked, "since")).collect();
    assert_eq!(since, ["s7", "s8"]);
    // The place of an account that the channel had before is nothing to go on from.
    server.will("/sync", look());
    let other = Kept { cursor: Some("@other:example.org s7".to_owned()), ..Kept::default() };
    receive(&server, &server.bot(), &other).await;
    assert_eq!(*other.saved.lock().unwrap(), [format!("{ACCOUNT} s1")]);
}

#[tokio::test]
async fn what_was_not_committed_keeps_its_place_and_stays_unread() {
    let server = Server::start().await;
    server.will("/sync", look());
    server.will("/sync", sync("s8", DIRECT, vec![said("$1", "hello")]));
    let sink = Kept { away: true, ..Kept::at("s7") };
    let ended = server.bot().listen(&sink, CancellationToken::new()).await;
    assert!(matches!(ended, Err(ChannelError::Config(_))), "{ended:?}");
    assert!(sink.saved.lock().unwrap().is_empty());
    assert!(
        server.asked().iter().all(|asked| asked.path.ends_with("/sync")),
        "nobody is told that it was read"
    );
}

#[tokio::test]
async fn what_does_not_fit_an_answer_is_asked_for_and_comes_in_order() {
    let server = Server::start().await;
    server.will("/sync", look());
    let mut limited = sync("s9", GROUP, vec![said("$4", "four"), said("$5", "five")]);
    limited["rooms"]["join"][GROUP]["timeline"]["limited"] = json!(true);
    limited["rooms"]["join"][GROUP]["timeline"]["prev_batch"] = json!("t8");
    server.will("/sync", limited);
    server.will(
        "/messages",
        json!({"chunk": [said("$1", "one"), said("$2", "two")], "start": "s7", "end": "t3"}),
    );
    server.will(
        "/messages",
        json!({"chunk": [said("$3", "three"), said("$4", "four")], "start": "t3", "end": "t5"}),
    );
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    assert_eq!(sink.texts(), ["one", "two", "three", "four", "five"]);
    let asked = server.asked();
    let pages: Vec<_> = asked.iter().filter(|asked| asked.path.ends_with("/messages")).collect();
    let places: Vec<_> =
        pages.iter().map(|page| (query(page, "from").unwrap(), query(page, "to").unwrap())).collect();
    assert_eq!(places, [("s7".to_owned(), "t8".to_owned()), ("t3".to_owned(), "t8".to_owned())]);
}

#[tokio::test]
async fn an_invitation_is_accepted_and_what_was_written_since_is_read() {
    let server = Server::start().await;
    server.will("/sync", look());
    server.will("/sync", json!({"next_batch": "s8", "rooms": {"invite": {"!new:example.org": {"invite_state": {"events": []}}}}}));
    let mut ada = of_kind("m.room.member", "$ada", json!({"membership": "join", "displayname": "Ada L"}));
    ada["state_key"] = json!("@ada:example.org");
    let events = vec![
        ada,
        said("$old", "before anybody thought of the bot"),
        membership("$invite", "@ada:example.org", "invite"),
        said("$hello", "hello, new bot"),
        membership("$join", ACCOUNT, "join"),
        said("$there", "are you there?"),
    ];
    let mut joined = sync("s9", "!new:example.org", events);
    joined["rooms"]["join"]["!new:example.org"]["summary"] = json!({"m.joined_member_count": 2});
    joined["rooms"]["join"]["!new:example.org"]["timeline"]["limited"] = json!(true);
    server.will("/sync", joined);
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    assert_eq!(sink.texts(), ["hello, new bot", "are you there?"]);
    let sender = sink.messages.lock().unwrap()[0].sender.clone().unwrap();
    assert_eq!(sender.display_name, "Ada L", "who is in the timeline is not told beside it");
    let asked = server.asked();
    let entered: Vec<_> =
        asked.iter().filter(|asked| asked.path.contains("/join/")).map(|asked| asked.path.as_str()).collect();
    assert_eq!(entered, ["client/v3/join/!new:example.org"]);
    assert!(!asked.iter().any(|asked| asked.path.ends_with("/messages")), "nothing from before is asked for");
}

#[tokio::test]
async fn rooms_that_are_not_wanted_are_not_entered_and_not_read() {
    let invite = json!({"next_batch": "s8", "rooms": {"invite": {"!new:example.org": {}},
        "join": {GROUP: {"timeline": {"events": [said("$1", "hello")]}}}}});
    for extra in [json!({"auto_accept_invites": false}), json!({"allowed_rooms": [DIRECT]})] {
        let server = Server::start().await;
        server.will("/sync", look());
        server.will("/sync", invite.clone());
        let sink = Kept::at("s7");
        let bot = server.bot_with(extra.clone());
        receive(&server, &bot, &sink).await;
        assert!(!server.asked().iter().any(|asked| asked.path.contains("/join/")), "{extra}");
        assert_eq!(sink.texts().len(), usize::from(bot.allowed.is_empty()), "{extra}");
    }
}

#[tokio::test]
async fn a_room_that_was_replaced_is_followed() {
    let server = Server::start().await;
    server.will("/sync", look());
    let mut tombstone =
        of_kind("m.room.tombstone", "$t", json!({"body": "moved", "replacement_room": "!next:example.org"}));
    tombstone["state_key"] = json!("");
    server.will("/sync", sync("s8", GROUP, vec![tombstone]));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    let asked = server.asked();
    let join = asked.iter().find(|asked| asked.path.ends_with("/join/!next:example.org")).unwrap();
    assert_eq!(query(join, "server_name").as_deref(), Some("example.org"));
    assert!(sink.texts().is_empty());
}

#[tokio::test]
async fn the_people_of_an_encrypted_room_are_told_once() {
    let server = Server::start().await;
    let secret = |id: &str| {
        of_kind("m.room.encrypted", id, json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}))
    };
    server.will("/sync", look());
    server.will("/sync", sync("s8", DIRECT, vec![secret("$1"), secret("$2")]));
    server.will("/sync", sync("s9", DIRECT, vec![secret("$3")]));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    assert!(sink.messages.lock().unwrap().is_empty());
    let asked = server.asked();
    let told: Vec<_> = asked.iter().filter(|asked| asked.path.contains("/send/")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].json()["msgtype"], "m.notice");
    assert!(told[0].json()["body"].as_str().unwrap().contains("encrypted"));
    let noted = asked.iter().find(|asked| asked.path.ends_with(sync::TOLD)).unwrap();
    // Another worker sees the note, and tells nobody.
    let mut look = look();
    look["rooms"]["join"][DIRECT]["account_data"] =
        json!({"events": [{"type": sync::TOLD, "content": noted.json()}]});
    server.will("/sync", look);
    server.will("/sync", sync("s10", DIRECT, vec![secret("$4")]));
    receive(&server, &server.bot(), &Kept::at("s9")).await;
    assert!(!server.asked().iter().any(|asked| asked.path.contains("/send/")));
}

#[tokio::test]
async fn what_is_committed_is_shown_as_read_and_who_reads_ours_is_told() {
    let server = Server::start().await;
    let mut own = said("$own", "hi Ada");
    own["sender"] = json!(ACCOUNT);
    server.will("/sync", look());
    let mut first = sync("s8", DIRECT, vec![said("$1", "hello"), said("$2", "there"), own]);
    let receipt = |event: &str, person: &str| json!({"type": "m.receipt", "content": {event: {"m.read": {person: {"ts": 1}}}}});
    first["rooms"]["join"][DIRECT]["ephemeral"] = json!({"events": [receipt("$own", ACCOUNT)]});
    server.will("/sync", first);
    for (place, event) in [("s9", "$own"), ("s10", "$own"), ("s11", "$1")] {
        let mut read = sync(place, DIRECT, vec![]);
        read["rooms"]["join"][DIRECT]["ephemeral"] = json!({"events": [receipt(event, "@ada:example.org")]});
        server.will("/sync", read);
    }
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    let messages = sink.messages.lock().unwrap();
    let deeds: Vec<_> = messages.iter().map(|message| &message.deed).collect();
    let read = Deed::Received(Receipts {
        messages: vec![Named::Platform("$own".to_owned())],
        read: true,
        failed: None,
    });
    assert_eq!(deeds, [&Deed::Wrote, &Deed::Wrote, &Deed::Wrote, &read], "each message once, and only ours");
    let asked = server.asked();
    let receipts: Vec<_> = asked
        .iter()
        .filter(|asked| asked.path.contains("/receipt/"))
        .map(|asked| asked.path.as_str())
        .collect();
    assert_eq!(receipts, [format!("client/v3/rooms/{DIRECT}/receipt/m.read/$2")], "one for all before it");
}

#[tokio::test]
async fn a_reaction_that_is_taken_back_is_told_from_a_message() {
    let server = Server::start().await;
    server.will("/sync", look());
    let thumb = of_kind(
        "m.reaction",
        "$r",
        json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$a", "key": "👍"}}),
    );
    // As rooms before version 11 have it, and those since.
    let mut old = of_kind("m.room.redaction", "$x", json!({}));
    old["redacts"] = json!("$r");
    let new = of_kind("m.room.redaction", "$y", json!({"redacts": "$m"}));
    server.will("/sync", sync("s8", DIRECT, vec![thumb, old, new]));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    let messages = sink.messages.lock().unwrap();
    let Deed::Reacted(removed) = &messages[1].deed else { panic!("{:?}", messages[1]) };
    assert_eq!((removed.to.as_str(), removed.removed.as_slice()), ("$a", &["👍".to_owned()][..]));
    assert_eq!(messages[2].deed, Deed::Deleted("$m".to_owned()));
}

#[tokio::test]
async fn an_event_that_can_not_be_read_does_not_hide_the_others() {
    let server = Server::start().await;
    server.will("/sync", look());
    let odd = vec![
        json!(7),
        json!({"type": 3}),
        event("$e", json!({})),
        event("$f", json!("x")),
        said("$1", "hello"),
    ];
    server.will("/sync", sync("s8", DIRECT, odd));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    assert_eq!(sink.texts(), ["hello"]);
}

#[tokio::test]
async fn how_many_are_in_a_room_says_what_it_is() {
    let server = Server::start().await;
    server.will("/sync", look());
    server.will("/sync", sync("s8", DIRECT, vec![said("$1", "hello")]));
    let mut grown = sync("s9", DIRECT, vec![said("$2", "now there are three")]);
    grown["rooms"]["join"][DIRECT]["summary"] = json!({"m.joined_member_count": 3});
    server.will("/sync", grown);
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    let told: Vec<_> =
        sink.messages.lock().unwrap().iter().map(|message| (message.is_group, message.mentioned)).collect();
    assert_eq!(told, [(false, Some(true)), (true, Some(false))]);
}

/// Homeservers hand out what others want a message to be, too.
#[tokio::test]
async fn nobody_changes_what_another_wrote() {
    let server = Server::start().await;
    server.will("/sync", look());
    let edit = |id: &str, of: &str| {
        event(
            id,
            json!({"msgtype": "m.text", "body": "* changed", "m.new_content": {"msgtype": "m.text", "body": of},
            "m.relates_to": {"rel_type": "m.replace", "event_id": of}}),
        )
    };
    let mut others = said("$bobs", "yes");
    others["sender"] = json!("@bob:example.org");
    let events = vec![
        said("$adas", "yes"),
        others,
        edit("$e1", "$adas"),
        edit("$e2", "$bobs"),
        edit("$e3", "$old"),
        edit("$e4", "$older"),
        edit("$e5", "$gone"),
    ];
    server.will("/sync", sync("s8", GROUP, events));
    server.will("/event/$older", json!({"sender": "@bob:example.org"}));
    server.will("/event/$old", json!({"sender": "@ada:example.org"}));
    server.will_refuse("/event/$gone", 404, json!({"errcode": "M_NOT_FOUND"}));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    assert_eq!(sink.texts(), ["yes", "yes", "$adas", "$old"]);
}

#[tokio::test]
async fn who_answers_somebody_that_named_the_bot_does_not_name_it() {
    let server = Server::start().await;
    server.will("/sync", look());
    let quote = format!("> <@bob:example.org> ask {ACCOUNT}\n\ngood idea");
    let html = format!(
        "<mx-reply><blockquote><a href=\"https://matrix.to/#/{ACCOUNT}\">bot</a></blockquote></mx-reply>good idea"
    );
    let relation = json!({"m.in_reply_to": {"event_id": "$bobs"}});
    let answer = event(
        "$1",
        json!({"msgtype": "m.text", "body": quote, "formatted_body": html, "m.relates_to": relation}),
    );
    server.will("/sync", sync("s8", GROUP, vec![answer]));
    server.will("/event/$bobs", json!({"sender": "@bob:example.org"}));
    let sink = Kept::at("s7");
    receive(&server, &server.bot(), &sink).await;
    let messages = sink.messages.lock().unwrap();
    assert_eq!((messages[0].text.as_deref(), messages[0].mentioned), (Some("good idea"), Some(false)));
    assert_eq!(messages[0].answers.as_ref().unwrap().is_own, Some(false));
}
