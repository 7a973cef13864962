//! What people wrote and did, out of a room's events (<https://spec.matrix.org/latest/client-server-api/#instant-messaging>).
//!
//! Pure but for what is remembered of the room. An event that is nobody's message, such as a change of the room's name, is read for
//! what it tells of the room ([`super::rooms`]) and comes to nothing here.

use chrono::DateTime;
use claw_types::limits::is_emoji;
use claw_types::{Answered, Deed, Inbound, MediaKind, MediaRef, Named, Reaction, Receipts, Sender, bodies};
use serde_json::{Map, Value, json};

use super::crypto::file;
use super::mention::Own;
use super::rooms::{KnownReaction, Room};
use super::sync::Event;

/// The message or the deed that an event is; `None` for any other.
pub(super) fn inbound(event: &Event, room_id: &str, room: &mut Room, account: &str) -> Option<Inbound> {
    // What was taken back has nothing in it any more.
    let is_empty = event.content.as_object().is_none_or(Map::is_empty);
    if event.id.is_empty() || event.sender.is_empty() || (is_empty && event.r#type != "m.room.redaction") {
        return None;
    }
    match event.r#type.as_str() {
        "m.room.message" | "m.sticker" => message(event, room_id, room, account),
        "m.reaction" => reaction(event, room_id, room, account),
        "m.room.redaction" => redaction(event, room_id, room, account),
        _ => None,
    }
}

/// That a person read messages of ours.
pub(super) fn read(room_id: &str, room: &Room, person: &str, upto: &str, messages: Vec<String>) -> Inbound {
    let messages = messages.into_iter().map(Named::Platform).collect();
    Inbound {
        deed: Deed::Received(Receipts { messages, read: true, failed: None }),
        dedup_key: Some(format!("read:{upto}:{person}")),
        sender: Some(sender(person, room)),
        content_type: "receipt".to_owned(),
        is_group: room.is_group(),
        recipient: room_id.to_owned(),
        metadata: session(room_id, None),
        ..Inbound::default()
    }
}

/// What all that a person did has in common.
fn done(event: &Event, room_id: &str, room: &Room, account: &str) -> Inbound {
    let mut metadata = session(room_id, None);
    if let Some(name) = room.name.as_deref().filter(|_| room.is_group()) {
        metadata.insert("chat_title".to_owned(), json!(name));
    }
    Inbound {
        platform_message_id: Some(event.id.clone()),
        dedup_key: Some(event.id.clone()),
        sender: Some(sender(&event.sender, room)),
        is_group: room.is_group(),
        is_own: event.sender == account,
        recipient: room_id.to_owned(),
        timestamp: DateTime::from_timestamp_millis(event.origin_server_ts),
        metadata,
        ..Inbound::default()
    }
}

fn sender(id: &str, room: &Room) -> Sender {
    let bare = || id.trim_start_matches('@').split(':').next().unwrap_or_default().to_owned();
    let display_name = room.name_of(id).filter(|name| *name != id).map_or_else(bare, str::to_owned);
    Sender { platform_id: id.to_owned(), display_name, internal_user: None }
}

/// Session keys. A thread is named by its first message; the room's id goes with it, as in the session of what is sent there.
fn session(room_id: &str, thread: Option<&str>) -> Map<String, Value> {
    let mut metadata = Map::from_iter([("chat_id".to_owned(), json!(room_id))]);
    if thread.is_some() {
        metadata.insert("thread_id".to_owned(), json!(bodies::conversation(room_id, thread)));
    }
    metadata
}

fn message(event: &Event, room_id: &str, room: &mut Room, account: &str) -> Option<Inbound> {
    let relation = Relation::of(&event.content);
    if let Some(original) = relation.of_kind("m.replace") {
        return edited(event, room_id, room, account, original);
    }
    // Wants to compare emoji, which a bot can't.
    if event.text("msgtype") == Some("m.key.verification.request") {
        return None;
    }
    room.add(&event.id, &event.sender, event.sender == account);
    let mut inbound = done(event, room_id, room, account);
    let is_reply = relation.answered.is_some();
    read_content(event, &event.content, is_reply, &mut inbound);
    if let Some(thread) = relation.of_kind("m.thread") {
        inbound.metadata.extend(session(room_id, Some(thread)));
        inbound.thread_id = Some(thread.to_owned());
    }
    inbound.answers = relation.answered.map(|message_id| {
        let is_own = room.author_of(&message_id).map(|author| author == account);
        Answered { message_id, is_own }
    });
    let is_answer = inbound.answers.as_ref().is_some_and(|answered| answered.is_own == Some(true));
    inbound.mentioned = Some(is_answer || addressed(event, &event.content, is_reply, room, account));
    Some(inbound)
}

/// The message as it reads now (<https://spec.matrix.org/latest/client-server-api/#event-replacements>). Whether its author changed
/// it, is the caller's to look at: homeservers hand out what others want it to be, too.
fn edited(event: &Event, room_id: &str, room: &Room, account: &str, original: &str) -> Option<Inbound> {
    let new = event.content.get("m.new_content").filter(|new| new.is_object())?;
    let mut inbound = done(event, room_id, room, account);
    // An edit is no answer, and older programs quote in an edit of an answer what they quoted in the answer.
    read_content(event, new, true, &mut inbound);
    inbound.mentioned = Some(addressed(event, new, true, room, account));
    inbound.platform_message_id = Some(original.to_owned());
    inbound.dedup_key = Some(format!("edit:{}", event.id));
    inbound.deed = Deed::Edited(original.to_owned());
    Some(inbound)
}

fn addressed(event: &Event, content: &Value, is_reply: bool, room: &Room, account: &str) -> bool {
    if !room.is_group() {
        return true;
    }
    let text = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default();
    let (body, html) = (text("body"), text("formatted_body"));
    let body = if is_reply { without_quote(body) } else { body };
    let html = html.split_once("</mx-reply>").map_or(html, |(_, answer)| answer);
    let own = Own { id: account, name: room.name_of(account).filter(|name| *name != account) };
    event.sender != account && own.is_addressed_by(content, body, html)
}

/// A reaction (<https://spec.matrix.org/latest/client-server-api/#event-annotations-and-reactions>).
fn reaction(event: &Event, room_id: &str, room: &mut Room, account: &str) -> Option<Inbound> {
    let relation = event.content.get("m.relates_to")?;
    let (to, emoji) = (relation["event_id"].as_str()?, relation["key"].as_str()?);
    if relation["rel_type"] != "m.annotation" || !is_emoji(emoji) {
        return None;
    }
    let known = KnownReaction { id: event.id.clone(), to: to.to_owned(), emoji: emoji.to_owned() };
    let mut inbound = done(event, room_id, room, account);
    inbound.deed = Deed::Reacted(Reaction {
        to: known.to.clone(),
        added: vec![known.emoji.clone()],
        ..Reaction::default()
    });
    "reaction".clone_into(&mut inbound.content_type);
    room.add_reaction(known);
    Some(inbound)
}

/// A message or a reaction is taken back (<https://spec.matrix.org/latest/client-server-api/#redactions>). What an id that is not
/// known was, nobody says: as a message of that id, one that nobody wrote is ignored.
fn redaction(event: &Event, room_id: &str, room: &mut Room, account: &str) -> Option<Inbound> {
    let gone = event.redacts.as_deref().or_else(|| event.text("redacts"))?;
    let reaction = room.take_reaction(gone);
    let mut inbound = done(event, room_id, room, account);
    if let Some(KnownReaction { to, emoji, .. }) = reaction {
        "reaction".clone_into(&mut inbound.content_type);
        inbound.deed = Deed::Reacted(Reaction { to, removed: vec![emoji], ..Reaction::default() });
    } else {
        "text".clone_into(&mut inbound.content_type);
        inbound.platform_message_id = Some(gone.to_owned());
        inbound.deed = Deed::Deleted(gone.to_owned());
    }
    Some(inbound)
}

/// How a message stands to others.
struct Relation<'a> {
    kind: Option<&'a str>,
    to: Option<&'a str>,
    /// The message that it answers; not what a thread's messages name for programs that know no threads
    /// (<https://spec.matrix.org/latest/client-server-api/#fallback-for-unthreaded-clients>).
    answered: Option<String>,
}

impl<'a> Relation<'a> {
    fn of(content: &'a Value) -> Self {
        let relation = content.get("m.relates_to").unwrap_or(&Value::Null);
        let answered = relation["m.in_reply_to"]["event_id"].as_str();
        let answered = answered.filter(|_| relation["is_falling_back"] != true).map(str::to_owned);
        Self { kind: relation["rel_type"].as_str(), to: relation["event_id"].as_str(), answered }
    }

    fn of_kind(&self, kind: &str) -> Option<&'a str> {
        self.to.filter(|_| self.kind == Some(kind))
    }
}

/// What a message says and has with it (<https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes>).
fn read_content(event: &Event, content: &Value, is_reply: bool, inbound: &mut Inbound) {
    let text = |key: &str| content.get(key).and_then(Value::as_str);
    let body = text("body").unwrap_or_default();
    let is_sticker = event.r#type == "m.sticker";
    let msgtype = if is_sticker { "m.sticker" } else { text("msgtype").unwrap_or_default() };
    // What programs write as a rule, so that none of them answers another (m.notice).
    inbound.sender_is_bot = msgtype == "m.notice";
    if let Some(kind) = media_kind(msgtype, content) {
        let shown_as = if is_sticker { "sticker" } else { kind.as_str() };
        shown_as.clone_into(&mut inbound.content_type);
        // A name of its own beside the body makes the body a caption
        // (<https://spec.matrix.org/latest/client-server-api/#media-captions>).
        let name = text("filename").filter(|name| !name.is_empty());
        inbound.text = match name {
            Some(name) if name != body => Some(body),
            _ => Some(body).filter(|_| is_sticker),
        }
        .filter(|words| !words.is_empty())
        .map(str::to_owned);
        let handle = text("url").map(str::to_owned).or_else(|| file::handle(content.get("file")?));
        inbound.media = handle.map(|handle| MediaRef {
            kind,
            handle,
            filename: (!is_sticker).then(|| name.unwrap_or(body).to_owned()).filter(|name| !name.is_empty()),
            mime: content["info"]["mimetype"].as_str().map(str::to_owned),
        });
        let length = content["info"]["duration"].as_u64().filter(|_| kind != MediaKind::Image);
        inbound.media_duration_seconds = length.and_then(|length| u32::try_from(length.div_ceil(1000)).ok());
        return;
    }
    let said = if is_reply { without_quote(body) } else { body };
    inbound.text = (!said.is_empty()).then(|| said.to_owned());
    let shown_as = match msgtype {
        "m.location" => "location",
        "m.text" | "m.notice" | "m.emote" => "text",
        _ => "other",
    };
    shown_as.clone_into(&mut inbound.content_type);
    if let Some((latitude, longitude)) = text("geo_uri").and_then(place).filter(|_| msgtype == "m.location") {
        inbound.metadata.insert("location".to_owned(), json!({"latitude": latitude, "longitude": longitude}));
    }
}

/// What kind of attachment a message is. Voice notes are sound with a mark
/// (<https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/3245-voice-messages.md>).
fn media_kind(msgtype: &str, content: &Value) -> Option<MediaKind> {
    let has = |key: &str| content.get(key).is_some_and(Value::is_object);
    match msgtype {
        "m.image" | "m.sticker" => Some(MediaKind::Image),
        "m.video" => Some(MediaKind::Video),
        "m.audio" if has("org.matrix.msc3245.voice") || has("m.voice") => Some(MediaKind::Voice),
        "m.audio" => Some(MediaKind::Audio),
        "m.file" => Some(MediaKind::File),
        _ => None,
    }
}

/// The answer below the quote of what it answers, which programs wrote into the text before version 1.13
/// (<https://spec.matrix.org/v1.12/client-server-api/#stripping-the-fallback>).
fn without_quote(body: &str) -> &str {
    if !body.starts_with("> <@") && !body.starts_with("> * <@") {
        return body;
    }
    let mut rest = body;
    while rest.starts_with("> ") || rest == ">" || rest.starts_with(">\n") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.trim_start_matches(['\r', '\n'])
}

/// Latitude and longitude out of a `geo:` address (RFC 5870).
fn place(uri: &str) -> Option<(f64, f64)> {
    let coordinates = uri.strip_prefix("geo:")?.split(';').next()?;
    let mut numbers = coordinates.split(',').map(|number| number.trim().parse::<f64>().ok());
    let (latitude, longitude) = (numbers.next()??, numbers.next()??);
    let is_there = |degrees: f64, most: f64| degrees.is_finite() && degrees.abs() <= most;
    (is_there(latitude, 90.0) && is_there(longitude, 180.0)).then_some((latitude, longitude))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_above_an_answer_is_not_part_of_it() {
        for (body, answer) in [
            ("> <@ada:x.org> one\n> two\n\nthe answer\n> quoted", "the answer\n> quoted"),
            ("> * <@ada:x.org> waves\n\nhello", "hello"),
            ("> a quote of one's own\n\nhello", "> a quote of one's own\n\nhello"),
            ("> <@ada:x.org> nothing below", ""),
            ("hello", "hello"),
        ] {
            assert_eq!(without_quote(body), answer, "{body:?}");
        }
    }

    #[test]
    fn places_are_numbers_within_the_world() {
        assert_eq!(place("geo:48.5,-2.25;u=35"), Some((48.5, -2.25)));
        assert_eq!(place("geo:48.5,-2.25,100"), Some((48.5, -2.25)));
        for wrong in ["geo:91,0", "geo:NaN,0", "geo:1", "1,2", "geo:"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
