//! What a person wrote, out of an update (<https://core.telegram.org/bots/api#update>).

use chrono::{DateTime, Utc};
use claw_types::{Answered, Deed, Inbound, MediaKind, MediaRef, Sender};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use teloxide_core::types::{FileMeta, Message, MessageKind, User};

use super::api::RawUpdate;
use super::own::{self, Own};
use super::{callback, reaction};
use crate::kit::session;

/// The message, the edit, the reaction or the pressed button in an update; `None` for an update without a chat to answer to, or
/// of a change that no person made.
///
/// What teloxide can't read (a kind newer than it) is read by hand as far as possible rather than lost.
pub(super) fn inbound(update: &RawUpdate, own: Own<'_>) -> Option<Inbound> {
    let written = serde_json::from_str::<Written<'_>>(update.json.get()).unwrap_or_default();
    if let Some(message) = written.message.and_then(message) {
        return Some(understood(&message, own));
    }
    if let Some(message) = written.edited_message.and_then(message) {
        return edited(understood(&message, own), message.edit_date().copied(), update.update_id);
    }
    callback::inbound(update)
        .or_else(|| reaction::inbound(update, own.id))
        .or_else(|| by_hand(&serde_json::from_str(update.json.get()).ok()?, own))
}

/// What of an update is left to teloxide. Not all of it: reading a reaction without an author it panics.
#[derive(Default, Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    edited_message: Option<&'a RawValue>,
}

fn message(json: &RawValue) -> Option<Message> {
    serde_json::from_str(json.get()).ok().filter(is_read)
}

/// To teloxide a message is empty in which it does not know a part, an entity for instance: its text would be lost.
fn is_read(message: &Message) -> bool {
    !matches!(message.kind, MessageKind::Empty {})
}

/// The message as an edit of itself. Two edits within a second have the same date, so it is the update that tells versions
/// apart. Without a date no person did it: Telegram sends an edit, too, when it has found the preview of a link, for instance.
fn edited(message: Inbound, at: Option<DateTime<Utc>>, update_id: i64) -> Option<Inbound> {
    let key = message.dedup_key.clone()?;
    Some(Inbound {
        timestamp: Some(at?),
        dedup_key: Some(format!("edit:{key}:{update_id}")),
        deed: Deed::Edited(key),
        ..message
    })
}

fn answered(message: &Message, own: Own<'_>) -> Option<Answered> {
    let reply = own::answered(message)?;
    let is_own = reply.from.as_ref().is_some_and(|user| own.is(user));
    Some(Answered { message_id: reply.id.0.to_string(), is_own: Some(is_own) })
}

fn understood(message: &Message, own: Own<'_>) -> Inbound {
    let chat = message.chat.id.0.to_string();
    // Only a forum topic is a thread of its own; the thread id of a mere reply can't be sent to.
    let topic = message.thread_id.filter(|_| message.is_topic_message).map(|thread| thread.0.0.to_string());
    let (content_type, media, duration) = attachment(message);
    let text = message.text().or(message.caption()).map(str::to_owned);
    let mut metadata = session::keys(&chat, topic.as_deref());
    if let Some(title) = message.chat.title() {
        metadata.insert("chat_title".to_owned(), json!(title));
    }
    if let Some(name) = message.from.as_ref().and_then(|user| user.username.as_deref()) {
        metadata.insert("username".to_owned(), json!(name));
    }
    // The first message of a supergroup that was a group: its chat's id is another one now
    // (<https://core.telegram.org/bots/api#message>).
    if let Some(group) = message.migrate_from_chat_id() {
        metadata.insert("migrate_from_chat_id".to_owned(), json!(group.0.to_string()));
    }
    let text = text.or_else(|| describe(message, &mut metadata));
    Inbound {
        id: None,
        deed: Deed::Wrote,
        answers: answered(message, own),
        platform_message_id: Some(message.id.0.to_string()),
        dedup_key: Some(format!("{chat}:{}", message.id.0)),
        // Each file of an album is a message (<https://core.telegram.org/bots/api#message>, `media_group_id`).
        album: message.media_group_id().map(|album| album.0.clone()),
        sender: message.from.as_ref().map(sender),
        content_type,
        text,
        media,
        media_duration_seconds: duration,
        is_group: !message.chat.is_private(),
        mentioned: if message.chat.is_private() { Some(true) } else { own.addressed(message) },
        // Telegram lets a bot of its own stand for who writes in a chat's name.
        sender_is_bot: message.sender_chat.is_none() && message.from.as_ref().is_some_and(|user| user.is_bot),
        is_own: message.from.as_ref().is_some_and(|user| own.is(user)),
        recipient: chat,
        thread_id: topic,
        timestamp: Some(message.date),
        metadata,
    }
}

fn sender(user: &User) -> Sender {
    Sender { platform_id: user.id.0.to_string(), display_name: user.full_name(), internal_user: None }
}

fn attachment(message: &Message) -> (String, Option<MediaRef>, Option<u32>) {
    let plain = |kind: MediaKind, media, duration| (kind.as_str().to_owned(), Some(media), duration);
    if let Some(sizes) = message.photo() {
        let largest = sizes.iter().max_by_key(|size| size.width * size.height);
        let media = largest.map(|size| reference(MediaKind::Image, &size.file, None, Some("image/jpeg")));
        return ("image".to_owned(), media, None);
    }
    if let Some(voice) = message.voice() {
        let mime = voice.mime_type.as_ref().map_or("audio/ogg", |mime| mime.as_ref());
        let media = reference(MediaKind::Voice, &voice.file, None, Some(mime));
        return plain(MediaKind::Voice, media, Some(voice.duration.seconds()));
    }
    if let Some(video) = message.video() {
        let mime = video.mime_type.as_ref().map(AsRef::as_ref);
        let media = reference(MediaKind::Video, &video.file, video.file_name.as_deref(), mime);
        return plain(MediaKind::Video, media, Some(video.duration.seconds()));
    }
    if let Some(note) = message.video_note() {
        let media = reference(MediaKind::Video, &note.file, None, Some("video/mp4"));
        return plain(MediaKind::Video, media, Some(note.duration.seconds()));
    }
    if let Some(audio) = message.audio() {
        let mime = audio.mime_type.as_ref().map(AsRef::as_ref);
        let media = reference(MediaKind::Audio, &audio.file, audio.file_name.as_deref(), mime);
        return plain(MediaKind::Audio, media, Some(audio.duration.seconds()));
    }
    // An animation comes with a document of the same file: it must be looked for first.
    if let Some(animation) = message.animation() {
        let mime = animation.mime_type.as_ref().map(AsRef::as_ref);
        let media = reference(MediaKind::Video, &animation.file, animation.file_name.as_deref(), mime);
        return plain(MediaKind::Video, media, Some(animation.duration.seconds()));
    }
    if let Some(document) = message.document() {
        let mime = document.mime_type.as_ref().map(AsRef::as_ref);
        let media = reference(MediaKind::File, &document.file, document.file_name.as_deref(), mime);
        return plain(MediaKind::File, media, None);
    }
    if let Some(sticker) = message.sticker() {
        let media = reference(MediaKind::Image, &sticker.file, None, None);
        return ("sticker".to_owned(), Some(media), None);
    }
    let kind = match (message.location(), message.contact(), message.text()) {
        (Some(_), _, _) => "location",
        (_, Some(_), _) => "contact",
        (_, _, Some(_)) => "text",
        _ => "other",
    };
    (kind.to_owned(), None, None)
}

fn reference(kind: MediaKind, file: &FileMeta, name: Option<&str>, mime: Option<&str>) -> MediaRef {
    MediaRef {
        kind,
        handle: file.id.0.clone(),
        filename: name.map(str::to_owned),
        mime: mime.map(str::to_owned),
    }
}

/// Words for what has none, so that a backend which reads only text is told something; details go to `metadata`.
fn describe(message: &Message, metadata: &mut Map<String, Value>) -> Option<String> {
    if let Some(place) = message.location() {
        metadata
            .insert("location".to_owned(), json!({"latitude": place.latitude, "longitude": place.longitude}));
        return Some(format!("{}, {}", place.latitude, place.longitude));
    }
    if let Some(contact) = message.contact() {
        metadata.insert(
            "contact".to_owned(),
            json!({"phone_number": contact.phone_number, "first_name": contact.first_name}),
        );
        return Some(format!("{} {}", contact.first_name, contact.phone_number));
    }
    message.sticker().and_then(|sticker| sticker.emoji.clone())
}

/// As much as the raw JSON tells.
fn by_hand(update: &Value, own: Own<'_>) -> Option<Inbound> {
    let (message, edit) = match (update.get("message"), update.get("edited_message")) {
        (Some(message), _) => (message, false),
        (None, Some(message)) => (message, true),
        (None, None) => return None,
    };
    let time = |key: &str| {
        message.get(key).and_then(Value::as_i64).and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    };
    let chat = message.pointer("/chat/id")?.as_i64()?.to_string();
    let id = message.get("message_id")?.as_i64()?;
    let text = message.get("text").or_else(|| message.get("caption")).and_then(Value::as_str);
    let from = message.get("from").and_then(|user| {
        let name = user.get("first_name").and_then(Value::as_str).unwrap_or_default();
        let platform_id = user.get("id")?.as_i64()?.to_string();
        Some(Sender { platform_id, display_name: name.to_owned(), internal_user: None })
    });
    let is_private = message.pointer("/chat/type").and_then(Value::as_str) == Some("private");
    let understood = Inbound {
        platform_message_id: Some(id.to_string()),
        dedup_key: Some(format!("{chat}:{id}")),
        album: message.get("media_group_id").and_then(Value::as_str).map(str::to_owned),
        sender: from,
        content_type: if text.is_some() { "text" } else { "other" }.to_owned(),
        text: text.map(str::to_owned),
        is_group: !is_private,
        mentioned: is_private.then_some(true),
        sender_is_bot: message.pointer("/from/is_bot").and_then(Value::as_bool).unwrap_or_default(),
        is_own: message.pointer("/from/id").and_then(Value::as_u64) == Some(own.id),
        timestamp: time("date"),
        metadata: session::keys(&chat, None),
        recipient: chat,
        ..Inbound::default()
    };
    if edit {
        edited(understood, time("edit_date"), update.get("update_id")?.as_i64()?)
    } else {
        Some(understood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &Value) -> Inbound {
        let json = json!({"update_id": 7, "message": message});
        let json = serde_json::value::to_raw_value(&json).unwrap();
        inbound(&RawUpdate { update_id: 7, json }, Own { id: 7, name: None }).unwrap()
    }

    fn group(extra: &Value) -> Value {
        let mut message = json!({
            "message_id": 5, "date": 1_700_000_000,
            "chat": {"id": -100_123, "type": "supergroup", "title": "research", "is_forum": true},
            "from": {"id": 42, "is_bot": false, "first_name": "Ada", "last_name": "L", "username": "ada"},
        });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        message
    }

    /// As a reader that is not ours panics; found by fuzzing.
    #[test]
    fn a_reaction_of_nobody_is_read_like_an_anonymous_one() {
        let thumb = json!([{"type": "emoji", "emoji": "👍"}]);
        let json = json!({"update_id": 7, "message_reaction": {"chat": {"id": 9, "type": "private"},
            "message_id": 5, "date": 1_700_000_000, "old_reaction": [], "new_reaction": thumb}});
        let json = serde_json::value::to_raw_value(&json).unwrap();
        let message = inbound(&RawUpdate { update_id: 7, json }, Own { id: 7, name: None }).unwrap();
        assert_eq!(message.sender, None);
    }

    #[test]
    fn in_a_group_the_sender_is_the_person_and_the_answer_goes_to_the_group() {
        let message = read(&group(&json!({"text": "hi", "message_thread_id": 9, "is_topic_message": true})));
        assert_eq!(message.sender.as_ref().unwrap().platform_id, "42");
        assert_eq!(message.sender.as_ref().unwrap().display_name, "Ada L");
        assert_eq!((message.recipient.as_str(), message.thread_id.as_deref()), ("-100123", Some("9")));
        assert!(message.is_group);
        assert_eq!(message.metadata["thread_id"], "-100123:9");
        assert_eq!(message.metadata["chat_title"], "research");
        assert_eq!(message.dedup_key.as_deref(), Some("-100123:5"));
    }

    #[test]
    fn a_supergroup_says_which_group_it_was() {
        let message = read(&group(&json!({"migrate_from_chat_id": -42})));
        assert_eq!(
            (message.recipient.as_str(), &message.metadata["migrate_from_chat_id"]),
            ("-100123", &json!("-42"))
        );
    }

    #[test]
    fn a_reply_thread_is_not_a_topic() {
        let message = read(&group(&json!({"text": "hi", "message_thread_id": 9})));
        assert_eq!(message.thread_id, None);
        assert_eq!(message.metadata.get("thread_id"), None);
    }

    fn read_edit(extra: &Value) -> Option<Inbound> {
        let json = json!({"update_id": 812, "edited_message": group(extra)});
        inbound(
            &RawUpdate { update_id: 812, json: serde_json::value::to_raw_value(&json).unwrap() },
            Own { id: 7, name: None },
        )
    }

    #[test]
    fn an_edit_is_the_message_as_it_reads_now_under_a_key_of_its_own() {
        for extra in [json!({"text": "hi!"}), json!({"text": "hi!", "entities": "can't be read"})] {
            let mut extra = extra;
            extra["edit_date"] = json!(1_700_000_060);
            let edit = read_edit(&extra).unwrap_or_else(|| panic!("{extra} is lost"));
            assert_eq!(edit.deed, Deed::Edited("-100123:5".into()), "the message's key");
            assert_eq!(edit.dedup_key.as_deref(), Some("edit:-100123:5:812"));
            assert_eq!((edit.platform_message_id.as_deref(), edit.text.as_deref()), (Some("5"), Some("hi!")));
            assert_eq!(edit.timestamp.unwrap().timestamp(), 1_700_000_060);
        }
    }

    #[test]
    fn a_change_that_nobody_made_is_no_edit() {
        assert_eq!(read_edit(&json!({"text": "https://example.org"})), None);
        assert_eq!(read_edit(&json!({"text": "x", "entities": 1})), None);
    }

    #[test]
    fn a_reply_names_the_message_and_whether_it_is_the_bots() {
        let reply = |id: u64, extra: Value| {
            let mut to = json!({
                "message_id": 4, "date": 1_700_000_000, "chat": {"id": -100_123, "type": "supergroup", "title": "research"},
                "from": {"id": id, "is_bot": true, "first_name": "Bot"}, "text": "so"});
            to.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            read(&group(&json!({"text": "why?", "reply_to_message": to}))).answers
        };
        let to = |is_own| Some(Answered { message_id: "4".into(), is_own: Some(is_own) });
        assert_eq!(reply(7, json!({})), to(true));
        assert_eq!(reply(8, json!({})), to(false));
        let topic = json!({"text": null, "forum_topic_created": {"name": "t", "icon_color": 7_322_096}});
        assert_eq!(reply(7, topic), None, "what stands in a topic is no reply");
    }

    #[test]
    fn a_voice_note_has_its_length_and_a_photo_its_largest_size() {
        let voice = read(&group(&json!({"voice": {
            "file_id": "v", "file_unique_id": "u", "file_size": 3, "duration": 4, "mime_type": "audio/ogg"}})));
        assert_eq!((voice.content_type.as_str(), voice.media_duration_seconds), ("voice", Some(4)));
        assert_eq!(voice.media.unwrap().handle, "v");
        let size = |id: &str, n: u32| json!({"file_id": id, "file_unique_id": id, "width": n, "height": n});
        let photo = read(&group(&json!({"photo": [size("s", 90), size("l", 900)], "caption": "look"})));
        assert_eq!(photo.media.unwrap().handle, "l");
        assert_eq!((photo.content_type.as_str(), photo.text.as_deref()), ("image", Some("look")));
    }

    #[test]
    fn files_that_were_sent_together_are_of_one_album() {
        let size = json!({"file_id": "l", "file_unique_id": "u", "width": 9, "height": 9});
        let photo = |extra: Value| {
            let mut photo = json!({"photo": [size], "media_group_id": "13577"});
            photo.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            read(&group(&photo))
        };
        let (first, second) = (photo(json!({"caption": "look"})), photo(json!({"message_id": 6})));
        assert_eq!((first.album.as_deref(), second.album.as_deref()), (Some("13577"), Some("13577")));
        assert_ne!(first.dedup_key, second.dedup_key, "each is a message of its own");
        assert_eq!(photo(json!({"caption_entities": "can't be read"})).album.as_deref(), Some("13577"));
        let edit = read_edit(&json!({"photo": [size], "media_group_id": "13577", "caption": "see",
            "edit_date": 1_700_000_060}));
        assert_eq!(edit.unwrap().deed, Deed::Edited("-100123:5".into()), "of the one file");
        assert_eq!(read(&group(&json!({"text": "hi"}))).album, None);
    }

    #[test]
    fn what_teloxide_can_not_read_is_not_lost() {
        let odd = read(&json!({"message_id": 5, "date": 1_700_000_000_000_i64, "text": "hi",
            "chat": {"id": 3, "type": "private"}, "from": {"id": 3, "first_name": "Bo"}}));
        assert_eq!((odd.text.as_deref(), odd.recipient.as_str(), odd.is_group), (Some("hi"), "3", false));
        let entity = json!([{"type": "of the future", "offset": 0, "length": 2}]);
        let odd = read(&group(&json!({"text": "hi", "entities": entity})));
        assert_eq!((odd.text.as_deref(), odd.content_type.as_str()), (Some("hi"), "text"));
    }

    #[test]
    fn the_bots_own_messages_and_those_of_programs_are_told_apart() {
        let from = |from: Value| read(&group(&json!({"text": "hi", "from": from})));
        let own = from(json!({"id": 7, "is_bot": true, "first_name": "Me"}));
        assert!(own.is_own);
        let other = from(json!({"id": 8, "is_bot": true, "first_name": "Other"}));
        assert_eq!((other.is_own, other.sender_is_bot), (false, true));
        let person = read(&group(&json!({"text": "hi"})));
        assert_eq!((person.is_own, person.sender_is_bot, person.mentioned), (false, false, Some(false)));
    }

    #[test]
    fn an_administrator_who_writes_in_the_groups_name_is_no_program() {
        let anonymous = read(&group(&json!({"text": "hi",
            "from": {"id": 1_087_968_824, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"},
            "sender_chat": {"id": -100_123, "type": "supergroup", "title": "research"}})));
        assert!(!anonymous.sender_is_bot);
    }

    #[test]
    fn what_can_not_be_read_counts_as_addressed() {
        let odd = read(&json!({"message_id": 5, "date": 1_700_000_000_000_i64, "text": "hi",
            "chat": {"id": -3, "type": "group"}, "from": {"id": 7, "is_bot": true}}));
        assert_eq!((odd.mentioned, odd.is_own, odd.sender_is_bot), (None, true, true));
    }
}
