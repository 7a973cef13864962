//! What goes out: as which events, and known by which ids.

use std::collections::BTreeSet;

use chrono::DateTime;
use claw_types::{MessageId, Outbound};
use uuid::Uuid;

use super::calls::{MAX_CONTENT, MAX_SEALED, MAX_TEXT, Stored, of_part};
use super::*;
use crate::kit::plan::{Content, Piece, plan};

fn message(extra: Value) -> Outbound {
    let json = with(json!({"recipient": GROUP}), extra);
    let message: Outbound = serde_json::from_value(json).unwrap();
    message.validate().unwrap();
    message
}

fn part<'a>(message: &'a Outbound, index: usize, piece: &'a Piece) -> Part<'a> {
    Part {
        message_id: MessageId(Uuid::from_u128(9)),
        seq: 1,
        index,
        recipient: &message.recipient,
        thread_id: message.thread_id.as_deref(),
        piece,
        accepted_at: DateTime::UNIX_EPOCH,
        replaces: None,
    }
}

fn stored() -> Stored {
    Stored {
        mxc: "mxc://x.org/a".into(),
        name: "a.ogg".into(),
        content_type: "audio/ogg".into(),
        size: 9,
        secret: None,
    }
}

/// The contents and ids of the events that a message becomes.
fn events(extra: Value) -> Vec<(Value, String)> {
    events_within(extra, MAX_CONTENT)
}

fn events_within(extra: Value, most: usize) -> Vec<(Value, String)> {
    let message = message(extra);
    let parts = plan(&message, &CAPS).unwrap().parts;
    let calls = parts
        .iter()
        .enumerate()
        .map(|(index, piece)| of_part(&part(&message, index, piece), Some(&stored()), most).unwrap());
    calls.map(|call| (call.content, call.transaction)).collect()
}

fn content(extra: Value) -> Value {
    events(extra).remove(0).0
}

async fn send(bot: &Matrix, extra: Value) -> Vec<Result<Receipt, ChannelError>> {
    let message = message(extra);
    let parts = plan(&message, &CAPS).unwrap().parts;
    let mut sent = Vec::new();
    for (index, piece) in parts.iter().enumerate() {
        sent.push(bot.send(&part(&message, index, piece)).await);
    }
    sent
}

fn receipt(id: &str) -> Receipt {
    Receipt { platform_message_id: id.to_owned() }
}

#[test]
fn a_text_goes_in_both_forms_where_it_has_two() {
    let plain = content(json!({"text": "two\nlines & <b>"}));
    assert_eq!(plain, json!({"msgtype": "m.text", "body": "two\nlines & <b>", "m.mentions": {}}));
    let rich = content(json!({"text": "# Hi\n\n- **a**\n- [b](https://x.org)"}));
    assert_eq!(
        rich["formatted_body"],
        "<h1>Hi</h1><ul><li><strong>a</strong></li><li><a href=\"https://x.org\">b</a></li></ul>"
    );
    assert_eq!(
        (&rich["format"], &rich["body"]),
        (&json!("org.matrix.custom.html"), &json!("Hi\n\n• a\n• b (https://x.org)"))
    );
    let literal = content(json!({"text": "**a** 1\\.", "format": "plain"}));
    assert_eq!(literal, json!({"msgtype": "m.text", "body": "**a** 1\\.", "m.mentions": {}}));
    let named = content(json!({"text": "ask @ada:example.org!"}));
    assert_eq!(named["m.mentions"], json!({"user_ids": ["@ada:example.org"]}));
}

#[test]
fn answers_and_threads_are_relations() {
    let relation = |extra: Value| content(with(json!({"text": "a"}), extra))["m.relates_to"].clone();
    assert_eq!(relation(json!({"reply_to": "$q"})), json!({"m.in_reply_to": {"event_id": "$q"}}));
    assert_eq!(
        relation(json!({"thread_id": "$root"})),
        json!({"rel_type": "m.thread", "event_id": "$root", "is_falling_back": true, "m.in_reply_to": {"event_id": "$root"}})
    );
    assert_eq!(
        relation(json!({"thread_id": "$root", "reply_to": "$q"})),
        json!({"rel_type": "m.thread", "event_id": "$root", "is_falling_back": false, "m.in_reply_to": {"event_id": "$q"}})
    );
}

#[test]
fn attachments_have_their_kind_their_name_and_a_caption() {
    let media = |kind: &str, text: Value| {
        content(json!({"text": text, "media": [{"kind": kind, "url": "https://x.org/y"}]}))
    };
    let voice = media("voice", Value::Null);
    assert_eq!((&voice["msgtype"], &voice["org.matrix.msc3245.voice"]), (&json!("m.audio"), &json!({})));
    assert_eq!(
        (&voice["body"], &voice["filename"], &voice["url"]),
        (&json!("a.ogg"), &json!("a.ogg"), &json!("mxc://x.org/a"))
    );
    assert_eq!(voice["info"], json!({"mimetype": "audio/ogg", "size": 9}));
    let image = media("image", json!("**look**"));
    assert_eq!((&image["body"], &image["formatted_body"]), (&json!("look"), &json!("<strong>look</strong>")));
    for (kind, msgtype) in [("video", "m.video"), ("audio", "m.audio"), ("file", "m.file")] {
        assert_eq!(media(kind, Value::Null)["msgtype"], msgtype);
    }
    let place = content(json!({"location": {"latitude": 48.5, "longitude": -2.25, "title": "Here"}}));
    assert_eq!((&place["geo_uri"], &place["body"]), (&json!("geo:48.5,-2.25"), &json!("Here")));
}

#[test]
fn an_edit_says_what_the_message_is_now() {
    let edit = content(json!({"act": {"type": "edit", "message_id": "$5"}, "text": "**a** @ada:x.org"}));
    assert_eq!(edit["m.relates_to"], json!({"rel_type": "m.replace", "event_id": "$5"}));
    assert_eq!(edit["m.new_content"]["body"], "a @ada:x.org");
    assert_eq!(
        (&edit["body"], &edit["m.mentions"]),
        (&json!("* a @ada:x.org"), &json!({})),
        "nobody is told twice"
    );
}

/// Exactly once: what is the same has the same id, and the texts of an answer that grows have different ones.
#[test]
fn one_thing_has_one_id() {
    let id = |extra: Value| events(extra).remove(0).1;
    assert_eq!(id(json!({"text": "a"})), Uuid::from_u128(9).to_string());
    let long = "word ".repeat(MAX_TEXT / 2);
    let ids: BTreeSet<_> = events(json!({"text": long})).into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 3, "one for each part");
    let edit = |text: &str| id(json!({"act": {"type": "edit", "message_id": "$5"}, "text": text}));
    assert_eq!(edit("a"), edit("a"));
    assert_ne!(edit("a"), edit("ab"));
    assert_ne!(edit("a"), id(json!({"text": "a"})));
}

#[test]
fn whatever_a_text_has_in_it_fits_an_event() {
    let nasty =
        ["\u{1}", "\"", "é", "*a* ", "> - 1. ", "[a](https://x.org/?q=1&r=2) ", "| a ", "&<>", "- x\n"];
    for (piece, most) in nasty.into_iter().flat_map(|piece| [(piece, MAX_CONTENT), (piece, MAX_SEALED)]) {
        let text = piece.repeat(MAX_TEXT / piece.len());
        let is_fitting = |content: &Value| content.to_string().len() <= most;
        for (format, text) in [("markdown", &text), ("plain", &text)] {
            if text.contains(char::is_control)
                && serde_json::from_value::<Outbound>(json!({"recipient": GROUP, "text": text}))
                    .unwrap()
                    .validate()
                    .is_err()
            {
                continue;
            }
            for (content, _) in events_within(json!({"text": text, "format": format}), most) {
                assert!(is_fitting(&content), "{piece:?} {format} {}", content.to_string().len());
            }
            let edit = message(
                json!({"act": {"type": "edit", "message_id": "$5"}, "text": text.trim(), "format": format}),
            );
            if let Ok(plan) = plan(&edit, &CAPS) {
                let call = of_part(&part(&edit, 0, &plan.parts[0]), None, most).unwrap();
                assert!(
                    is_fitting(&call.content),
                    "edit of {piece:?} {format} {}",
                    call.content.to_string().len()
                );
            }
        }
    }
}

#[test]
fn ids_that_are_none_are_refused_with_a_sentence() {
    let refused = |extra: Value| {
        let message = message(extra);
        let piece = plan(&message, &CAPS).unwrap().parts.remove(0);
        match of_part(&part(&message, 0, &piece), None, MAX_CONTENT) {
            Err(ChannelError::Permanent(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(json!({"text": "a", "reply_to": "41"})).contains("platform_message_id"));
    assert!(refused(json!({"text": "a", "thread_id": "41"})).contains("thread_id"));
    assert!(
        refused(json!({"act": {"type": "edit", "message_id": "41"}, "text": "a"})).contains("message_id")
    );
}

#[tokio::test]
async fn a_recipient_is_a_room() {
    let server = Server::start().await;
    for recipient in ["@ada:example.org", "#research:example.org", "ada"] {
        let sent = send(&server.bot(), json!({"recipient": recipient, "text": "a"})).await;
        assert!(
            matches!(&sent[0], Err(ChannelError::Permanent(why)) if why.contains("room's id")),
            "{sent:?}"
        );
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_id_stays_one_segment_of_its_address() {
    let server = Server::start().await;
    assert_eq!(
        send(&server.bot(), json!({"recipient": "!a/../b?x=#", "text": "a"})).await,
        [Ok(receipt("$sent"))]
    );
    assert_eq!(
        server.asked.lock().unwrap()[0].path,
        format!("client/v3/rooms/!a%2F..%2Fb%3Fx=%23/send/m.room.message/{}", Uuid::from_u128(9))
    );
}

#[tokio::test]
async fn what_is_so_already_is_no_error() {
    let server = Server::start().await;
    let bot = server.bot();
    server.will_refuse(
        "/send/",
        400,
        json!({"errcode": "M_DUPLICATE_ANNOTATION", "error": "Can't send same reaction twice"}),
    );
    assert_eq!(
        send(&bot, json!({"act": {"type": "react", "message_id": "$5", "emoji": "👍"}})).await,
        [Ok(receipt("$5"))]
    );
    server.will_refuse("/redact/", 404, json!({"errcode": "M_NOT_FOUND", "error": "Could not find event"}));
    assert_eq!(
        send(&bot, json!({"act": {"type": "delete", "message_ids": ["$5"]}})).await,
        [Ok(receipt("$5"))]
    );
    server.will_refuse(
        "/redact/",
        403,
        json!({"errcode": "M_FORBIDDEN", "error": "You don't have permission"}),
    );
    let refused = send(&bot, json!({"act": {"type": "delete", "message_ids": ["$5"]}})).await;
    assert!(
        matches!(&refused[0], Err(ChannelError::Permanent(why)) if why.contains("You don't have permission"))
    );
    server.will_refuse("/send/", 403, json!({"errcode": "M_FORBIDDEN", "error": "User not in room"}));
    assert!(
        matches!(send(&bot, json!({"text": "a"})).await[0], Err(ChannelError::Permanent(_))),
        "no error is a success"
    );
}

#[tokio::test]
async fn our_reactions_are_taken_off_and_nobody_elses() {
    let server = Server::start().await;
    let reaction = |id: &str, sender: &str| json!({"type": "m.reaction", "event_id": id, "sender": sender, "content": {}});
    server.will(
        "/relations/",
        json!({"chunk": [reaction("$ours", ACCOUNT), reaction("$theirs", "@ada:example.org")]}),
    );
    assert_eq!(
        send(&server.bot(), json!({"act": {"type": "react", "message_id": "$5", "emoji": null}})).await,
        [Ok(receipt("$5"))]
    );
    let asked = server.asked();
    let redacted: Vec<_> = asked.iter().filter(|asked| asked.path.contains("/redact/")).collect();
    assert_eq!(redacted.len(), 1);
    assert!(redacted[0].path.contains("/redact/$ours/"), "{}", redacted[0].path);
}

#[tokio::test]
async fn an_attachment_is_uploaded_and_named() {
    let server = Server::start().await;
    let files =
        Router::new().route("/note", axum::routing::get(async || ([("content-type", "audio/ogg")], "OggS")));
    let url = format!("{}/note", serve(files).await);
    server.will("/upload", json!({"content_uri": "mxc://example.org/Up"}));
    let media = json!([{"kind": "voice", "url": url, "filename": "März ;1.ogg"}]);
    assert_eq!(send(&server.bot(), json!({"media": media})).await, [Ok(receipt("$sent"))]);
    let asked = server.asked();
    assert_eq!(
        (&asked[0].headers["content-type"], &asked[0].body[..]),
        (&http::HeaderValue::from_static("audio/ogg"), &b"OggS"[..])
    );
    assert_eq!(asked[0].query, "filename=M%C3%A4rz+%3B1.ogg");
    assert_eq!(
        (&asked[1].json()["url"], &asked[1].json()["filename"]),
        (&json!("mxc://example.org/Up"), &json!("März ;1.ogg"))
    );
    server.will_refuse(
        "/upload",
        413,
        json!({"errcode": "M_TOO_LARGE", "error": "Upload request body is too large"}),
    );
    let large = send(&server.bot(), json!({"media": media})).await;
    assert!(matches!(&large[0], Err(ChannelError::Permanent(why)) if why.contains("too large")), "{large:?}");
}

#[test]
fn a_poll_is_a_text_where_nobody_asked_for_polls() {
    let poll = message(json!({"poll": {"question": "q?", "options": ["a", "b"]}, "text": "t"}));
    let bare = configured("https://matrix.example.org", json!({})).unwrap();
    let planned = plan(&poll, bare.caps()).unwrap();
    assert!(planned.parts.iter().all(|piece| matches!(piece.content, Content::Text(_))), "{planned:?}");
    assert_eq!(planned.degraded.len(), 1);
    let asking = configured("https://matrix.example.org", json!({"polls": true})).unwrap();
    let planned = plan(&poll, asking.caps()).unwrap();
    assert!(matches!(planned.parts[1].content, Content::Poll(_)), "{planned:?}");
    assert_eq!(planned.degraded, []);
}

#[tokio::test]
async fn a_poll_can_be_voted_in_and_read_where_none_are_known() {
    let poll = |multiple: bool| json!({"poll": {"question": "Lunch?", "options": ["Soup", "Salad"], "multiple": multiple}, "thread_id": "$root"});
    let asked = content(poll(false));
    assert_eq!(asked["org.matrix.msc1767.text"], "Lunch?\n1. Soup\n2. Salad");
    assert_eq!(asked["m.relates_to"]["event_id"], "$root");
    let text = "org.matrix.msc1767.text";
    assert_eq!(
        asked["org.matrix.msc3381.poll.start"],
        json!({
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1, "question": {text: "Lunch?"},
            "answers": [{"id": "1", text: "Soup"}, {"id": "2", text: "Salad"}],
        })
    );
    assert_eq!(content(poll(true))["org.matrix.msc3381.poll.start"]["max_selections"], 2);
    let server = Server::start().await;
    assert_eq!(send(&server.bot_with(json!({"polls": true})), poll(false)).await, [Ok(receipt("$sent"))]);
    // Each call is one that is described.
    let [put] = server.asked().try_into().unwrap();
    assert!(put.path.contains("/send/org.matrix.msc3381.poll.start/"), "{}", put.path);
}
