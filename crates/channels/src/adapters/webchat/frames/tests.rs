use std::sync::Arc;

use claw_types::{Media, MediaKind};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::adapters::webchat::{Config, Webchat};
use crate::adapters::webhook::testing::{Recorder, deps};
use crate::{Adapter as _, Channel as _};

/// An answer of the backend's, stored as message number `seq`.
pub fn answer(seq: i64, recipient: &str, text: &str, media: Vec<Media>) -> HistoryItem {
    let (recipient, text) = (recipient.to_owned(), Some(text.to_owned()));
    stored(seq, &Outbound { recipient, text, media, ..Outbound::default() })
}

/// Something of the backend's, stored as message number `seq`.
pub fn stored(seq: i64, message: &Outbound) -> HistoryItem {
    HistoryItem {
        id: MessageId(Uuid::from_u128(u128::try_from(seq).unwrap())),
        seq,
        direction: Direction::Out,
        payload: to_raw_value(message).unwrap(),
        media: None,
        accepted_at: DateTime::UNIX_EPOCH,
    }
}

/// Sends a stored message as its channel's owner does; what it published.
pub async fn send(item: &HistoryItem) -> Vec<Bytes> {
    let live = Arc::new(Recorder::default());
    let channel = Webchat::new(Config::default(), deps(live.clone())).unwrap();
    let message: Outbound = serde_json::from_str(item.payload.get()).unwrap();
    for (index, piece) in plan(&message, channel.caps()).unwrap().parts.iter().enumerate() {
        let part = Part {
            message_id: item.id,
            seq: item.seq,
            index,
            recipient: &message.recipient,
            thread_id: None,
            piece,
            accepted_at: item.accepted_at,
            replaces: message.replaces,
        };
        let receipt = channel.send(&part).await.unwrap();
        let id = piece.content.target().map_or_else(|| part_id(item.id, index), str::to_owned);
        assert_eq!(receipt.platform_message_id, id);
    }
    let published = std::mem::take(&mut *live.0.lock().unwrap());
    assert!(published.iter().all(|(_, conversation, _)| *conversation == message.recipient));
    published.into_iter().map(|(_, _, frame)| frame).collect()
}

fn media(kind: MediaKind) -> Media {
    Media { kind, url: "https://x/y".to_owned(), filename: Some("y".to_owned()) }
}

fn act(seq: i64, act: Act) -> HistoryItem {
    stored(seq, &Outbound { recipient: "c".to_owned(), act, ..Outbound::default() })
}

fn rich() -> Outbound {
    serde_json::from_value(json!({
        "recipient": "c", "text": "*pick*", "format": "plain",
        "buttons": [[{"text": "Yes", "data": "y"}, {"text": "Site", "url": "https://x"}]],
        "poll": {"question": "q", "options": ["a", "b"]},
    }))
    .unwrap()
}

/// With all that a page can show.
fn whole() -> Outbound {
    serde_json::from_value(json!({
        "recipient": "c", "text": "see", "reply_to": "c:1",
        "media": [{"kind": "image", "url": "https://x/1"}, {"kind": "image", "url": "https://x/2"}, {"kind": "file", "url": "https://x/3"}],
        "location": {"latitude": 48.5, "longitude": -2.25, "title": "<b>*Here*</b>"},
        "poll": {"question": "Which?", "options": ["<i>", "b"], "multiple": true},
        "buttons": [[{"text": "None", "data": "n"}]],
    }))
    .unwrap()
}

fn told(item: &HistoryItem, gone: &[&str]) -> Vec<Value> {
    let frames = of_history(item, &gone.iter().map(ToString::to_string).collect());
    frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

#[tokio::test]
async fn the_history_and_the_live_way_make_the_same_frames() {
    let cases = [
        answer(1, "c", "hello", vec![]),
        answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]),
        answer(3, "c", "", vec![media(MediaKind::Voice)]),
        answer(4, "c", &"word ".repeat(20_000), vec![media(MediaKind::Video)]),
        stored(5, &rich()),
        stored(6, &Outbound { act: Act::Edit { message_id: "m".into() }, poll: None, ..rich() }),
        act(7, Act::Delete { message_ids: vec!["m".into(), "m:1".into()] }),
        act(8, Act::React { message_id: "m".into(), emoji: Some("👍".into()) }),
        stored(9, &whole()),
    ];
    for (item, count) in cases.iter().zip([1, 1, 1, 3, 2, 1, 2, 1, 3]) {
        let live = send(item).await;
        assert_eq!(live.len(), count);
        assert_eq!(
            of_history(item, &HashSet::new()),
            live.iter().map(|f| String::from_utf8(f.to_vec()).unwrap()).collect::<Vec<_>>()
        );
        assert!(live.iter().all(|frame| seq_of(frame) == Some(item.seq)));
    }
}

#[test]
fn frames_are_as_the_page_expects_them() {
    let item = answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]);
    let id = "00000000-0000-0000-0000-000000000002";
    let attachment = |kind: &str| json!({"kind": kind, "url": "https://x/y", "filename": "y"});
    assert_eq!(
        told(&item, &[]),
        [json!({"type": "message", "id": id, "seq": 2, "client_id": null, "from": "agent", "text": "see",
        "media": attachment("image"), "album": [attachment("file")], "at": "1970-01-01T00:00:00Z"})]
    );
    let ready = Frame::Ready { can: &["edits".to_owned()], receipts: true, commands: Vec::new() };
    assert_eq!(ready.json(), r#"{"type":"ready","can":["edits"],"receipts":true}"#);
}

#[test]
fn what_is_new_is_as_the_page_expects_it() {
    let frames = |item: &HistoryItem| told(item, &[]);
    let buttons = json!([[{"text": "Yes", "data": "y"}, {"text": "Site", "url": "https://x"}]]);
    assert_eq!(
        frames(&stored(1, &Outbound { poll: None, ..rich() })),
        [
            json!({"type": "message", "id": "00000000-0000-0000-0000-000000000001", "seq": 1, "client_id": null,
            "from": "agent", "text": "*pick*", "format": "plain", "media": null, "buttons": buttons,
            "at": "1970-01-01T00:00:00Z"})
        ]
    );
    let edit = Outbound { act: Act::Edit { message_id: "m".into() }, poll: None, ..rich() };
    assert_eq!(
        frames(&stored(2, &Outbound { format: Format::Markdown, ..edit })),
        [json!({"type": "edit", "id": "m", "seq": 2, "text": "*pick*", "buttons": buttons})]
    );
    assert_eq!(
        frames(&act(3, Act::Delete { message_ids: vec!["m".into()] })),
        [json!({"type": "delete", "id": "m", "seq": 3})]
    );
    assert_eq!(
        frames(&act(4, Act::React { message_id: "m".into(), emoji: None })),
        [json!({"type": "react", "id": "m", "seq": 4, "emoji": null})]
    );
    assert_eq!(Frame::Typing.json(), r#"{"type":"typing"}"#);
    assert_eq!(seq_of(&Frame::Typing.json().into()), Some(0));
}

#[test]
fn a_page_that_knows_no_albums_places_and_polls_shows_the_text() {
    let frames = told(&stored(1, &whole()), &[]);
    let [album, place, poll] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!((&album["text"], &album["media"]["url"]), (&json!("see"), &json!("https://x/1")));
    let others: Vec<_> = album["album"].as_array().unwrap().iter().map(|media| &media["url"]).collect();
    assert_eq!(others, ["https://x/2", "https://x/3"]);
    assert_eq!(place["location"], json!({"latitude": 48.5, "longitude": -2.25, "title": "<b>*Here*</b>"}));
    let map = "<https://www.openstreetmap.org/?mlat=48.5&mlon=-2.25#map=16/48.5/-2.25>";
    let text = place["text"].as_str().unwrap();
    assert!(
        text.contains(r"\*Here\*") && text.ends_with(map),
        "Markdown, in which the name is only a name: {text}"
    );
    let asked = json!({"question": "Which?", "options": ["<i>", "b"], "multiple": true, "anonymous": true});
    assert_eq!((&poll["poll"], &poll["buttons"][0][0]["text"]), (&asked, &json!("None")));
    assert!(poll["text"].as_str().unwrap().starts_with("**Which"), "{poll}");
}

#[test]
fn what_is_answered_is_named_by_the_first_part_alone() {
    let frames = told(&stored(1, &whole()), &[]);
    assert_eq!(frames[0]["reply_to"], "c:1");
    assert!(frames[1..].iter().all(|frame| frame.get("reply_to").is_none()), "{frames:?}");
    assert!(told(&answer(2, "c", "hello", vec![]), &[])[0].get("reply_to").is_none());
}

#[tokio::test]
async fn an_answer_names_the_draft_whose_place_it_takes() {
    let question = MessageId(Uuid::from_u128(9));
    let live = Arc::new(Recorder::default());
    let channel = Webchat::new(Config::default(), deps(live.clone())).unwrap();
    let text = Text { body: "so *far*".to_owned(), formatted: true, plain: "so far".to_owned() };
    let draft = Draft { question, recipient: "c", thread_id: None, text: &text };
    channel.draft(&draft).await.unwrap();
    let (_, conversation, frame) = live.0.lock().unwrap().remove(0);
    assert_eq!((conversation.as_str(), seq_of(&frame)), ("c", Some(0)), "it has no place");
    let frame: Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(frame, json!({"type": "draft", "id": question, "text": "so *far*"}));

    let outbound = Outbound { replaces: Some(question), ..rich() };
    let item =
        stored(2, &Outbound { media: vec![media(MediaKind::Image), media(MediaKind::File)], ..outbound });
    let frames = send(&item).await;
    let replaces = |frame: &Bytes| serde_json::from_slice::<Value>(frame).unwrap()["replaces"].clone();
    assert_eq!(replaces(&frames[0]), json!(question));
    assert_eq!(frames.len(), 2, "an album and a poll");
    assert!(replaces(&frames[1]).is_null(), "only its first part");
    assert_eq!(of_history(&item, &HashSet::new())[0].as_bytes(), &frames[0][..]);
}

#[test]
fn what_was_deleted_is_not_told_again() {
    let items = [
        answer(1, "c", "secret", vec![]),
        answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]),
        act(3, Act::Edit { message_id: part_id(MessageId(Uuid::from_u128(1)), 0) }),
        act(
            4,
            Act::Delete {
                message_ids: vec![
                    part_id(MessageId(Uuid::from_u128(1)), 0),
                    part_id(MessageId(Uuid::from_u128(2)), 1),
                ],
            },
        ),
    ];
    let gone = deleted(&items);
    let counts: Vec<_> = items.iter().map(|item| of_history(item, &gone).len()).collect();
    assert_eq!(counts, [0, 1, 0, 2]);
    let first = Uuid::from_u128(5).to_string();
    let second = format!("{first}:1");
    let whole = stored(5, &whole());
    assert_eq!(told(&whole, &[&second]).len(), 2);
    assert!(told(&whole, &[&first]).is_empty(), "it may have been one part to the version that sent it");
}

/// What a visitor said or did, stored as message number `seq`.
fn said(seq: i64, content_type: &str, metadata: &Value) -> HistoryItem {
    let body = json!({
        "user_id": "u", "channel": "webchat", "instance_name": "w", "platform_message_id": "c:1", "is_group": false,
        "sender": {"platform_id": "c", "display_name": "Visitor"}, "content_type": content_type, "text": "words",
        "timestamp": "1970-01-01T00:00:00Z", "metadata": metadata,
    });
    HistoryItem {
        direction: Direction::In,
        payload: to_raw_value(&body).unwrap(),
        ..answer(seq, "c", "", vec![])
    }
}

#[test]
fn a_file_of_the_visitors_is_shown_to_later_pages() {
    let url = "/media/x/cat.png?expires=1&signature=s".to_owned();
    let media = Some(Media { kind: MediaKind::Image, url, filename: Some("cat.png".to_owned()) });
    let frames = of_history(&HistoryItem { media, ..said(3, "image", &json!({})) }, &HashSet::new());
    let frame: Value = serde_json::from_str(&frames[0]).unwrap();
    assert_eq!((&frame["from"], &frame["client_id"]), (&json!("visitor"), &json!("1")));
    let expected =
        json!({"kind": "image", "url": "/media/x/cat.png?expires=1&signature=s", "filename": "cat.png"});
    assert_eq!(frame["media"], expected);
}

#[test]
fn what_a_visitor_answers_and_chooses_is_told_to_later_pages() {
    let reply =
        said(1, "text", &json!({"reply_to_message": "a-1", "answer_id": "a-1", "message_id": "no button's"}));
    let frame = &told(&reply, &[])[0];
    assert_eq!((&frame["reply_to"], frame.get("pressed")), (&json!("a-1"), None));
    let choice =
        said(2, "button", &json!({"button_text": "Soup", "callback_data": "s", "message_id": "a-2"}));
    let frame = &told(&choice, &[])[0];
    assert_eq!((&frame["text"], &frame["pressed"]), (&json!("Soup"), &json!({"message_id": "a-2"})));
    assert!(frame.get("reply_to").is_none());
}

#[test]
fn what_a_visitor_did_to_its_messages_is_told_to_later_pages() {
    let id = |seq: u128| Uuid::from_u128(seq).to_string();
    let items = [
        said(1, "text", &json!({})),
        said(2, "text", &json!({})),
        said(3, "text", &json!({"event": "message_edited", "edited_message_id": id(1)})),
        said(4, "text", &json!({"event": "message_edited", "edited_message_id": id(2)})),
        said(5, "deleted", &json!({"event": "message_deleted", "deleted_message_id": id(2)})),
        said(6, "reaction", &json!({"event": "message_reaction", "answer_id": id(9)})),
        said(7, "text", &json!({"said": "message_deleted", "deleted_message_id": id(1)})),
    ];
    let gone = deleted(&items);
    let frames: Vec<Value> = items
        .iter()
        .flat_map(|item| of_history(item, &gone))
        .map(|frame| serde_json::from_str(&frame).unwrap())
        .collect();
    let told: Vec<_> = frames.iter().map(|frame| (&frame["type"], &frame["id"])).collect();
    assert_eq!(
        told,
        [
            (&json!("message"), &json!(id(1))),
            (&json!("edit"), &json!(id(1))),
            (&json!("delete"), &json!(id(2))),
            (&json!("message"), &json!(id(7))),
        ]
    );
    assert_eq!(frames[1]["text"], "words");
}

#[test]
fn what_is_no_message_is_left_out() {
    let item = HistoryItem { payload: to_raw_value(&json!({})).unwrap(), ..answer(1, "c", "x", vec![]) };
    assert!(of_history(&item, &HashSet::new()).is_empty());
    assert_eq!(seq_of(&Bytes::from_static(b"noise")), None);
}
