//! What a posted body says that a person did: wrote a message, changed it, took it back, reacted to an answer, or got one.
//!
//! Must hold: what was done has a key of its own, never that of the message that it was done to. The other system's word on who
//! may change what counts, as everything does that it signs.

use claw_types::{Deed, Reaction, limits};
use serde::Deserialize;

use super::incoming::{Id, Incoming};
use super::receipt;

/// Most emoji of one reaction.
const MAX_EMOJI: usize = 20;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    /// A message was written.
    #[default]
    Message,
    /// `message_id` reads like this now.
    Edit,
    /// `message_id` was taken back.
    Delete,
    /// `message_id`, an answer of ours, has other reactions now.
    Reaction,
    /// `message_id`, an answer of ours, arrived, was read, or will not arrive.
    Receipt,
}

/// What was done, and the ids of it.
pub(super) struct Meaning {
    pub(super) deed: Deed,
    pub(super) dedup_key: Option<String>,
    pub(super) platform_message_id: Option<String>,
}

/// Takes what was done out of a body; else a sentence on what is wrong with it.
pub(super) fn of(incoming: &mut Incoming, signed_id: Option<Id>) -> Result<Meaning, String> {
    let emoji = (incoming.added.take(), incoming.removed.take());
    let told = receipt::Told::of(incoming)?;
    let empty = incoming.text.is_none() && incoming.media.is_none();
    let event = incoming.event;
    let reacted = event == Event::Reaction;
    if !reacted && (emoji.0.is_some() || emoji.1.is_some()) {
        return Err("\"added\" and \"removed\" belong to \"event\": \"reaction\"".to_owned());
    }
    if matches!(event, Event::Message | Event::Edit) && empty {
        return Err("the message is empty; give \"text\" or \"media\"".to_owned());
    }
    if !matches!(event, Event::Message | Event::Edit) && (!empty || incoming.reply_to.is_some()) {
        return Err(
            "a deletion, a reaction or a receipt has no \"text\", \"media\" or \"reply_to\"".to_owned()
        );
    }
    if event == Event::Message {
        if incoming.event_id.is_some() {
            return Err(
                "\"event_id\" is for what was done to a message; a message has \"message_id\"".to_owned()
            );
        }
        let id = incoming.message_id.take().or(signed_id).map(|id| id.0);
        return Ok(Meaning { deed: Deed::Wrote, dedup_key: None, platform_message_id: id });
    }
    let Some(Id(message)) = incoming.message_id.take() else {
        return Err(
            "\"message_id\" is missing: the message that was edited, deleted, reacted to or received"
                .to_owned(),
        );
    };
    let again = incoming.event_id.take().or(signed_id);
    let dedup_key = again.map(|Id(id)| format!("{}:{message}:{id}", name(event)));
    if let Some(told) = told {
        return Ok(Meaning { deed: told.about(message), dedup_key, platform_message_id: None });
    }
    if reacted {
        let deed = Deed::Reacted(reaction(message, emoji)?);
        return Ok(Meaning { deed, dedup_key, platform_message_id: None });
    }
    let id = message.clone();
    let deed = if event == Event::Edit { Deed::Edited(id) } else { Deed::Deleted(id) };
    Ok(Meaning { deed, dedup_key, platform_message_id: Some(message) })
}

fn name(event: Event) -> &'static str {
    match event {
        Event::Message => "message",
        Event::Edit => "edit",
        Event::Delete => "delete",
        Event::Reaction => "reaction",
        Event::Receipt => "receipt",
    }
}

type Emoji = Option<Vec<String>>;

fn reaction(to: String, (added, removed): (Emoji, Emoji)) -> Result<Reaction, String> {
    let reaction = Reaction {
        to,
        added: added.unwrap_or_default(),
        removed: removed.unwrap_or_default(),
        ..Reaction::default()
    };
    let all = || reaction.added.iter().chain(&reaction.removed);
    if !(1..=MAX_EMOJI).contains(&all().count()) {
        return Err(format!("\"added\" and \"removed\" must have 1 to {MAX_EMOJI} emoji together"));
    }
    if !all().all(|emoji| limits::is_emoji(emoji)) {
        let bytes = limits::EMOJI;
        return Err(format!(
            "each of \"added\" and \"removed\" must be one emoji: 1 to {bytes} bytes, without white space"
        ));
    }
    Ok(reaction)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use claw_secrets::signature;
    use claw_types::{Answered, Inbound};
    use http::{HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::super::testing::{SECRET, channel};
    use super::*;
    use crate::{Channel as _, ChannelError, RawRequest};

    fn decode(extra: Value) -> Result<Inbound, String> {
        let mut body = json!({"sender": {"id": "ann"}});
        let Value::Object(extra) = extra else { panic!("an object") };
        body.as_object_mut().unwrap().extend(extra);
        let signed = signature::sign(SECRET.as_bytes(), body.to_string().as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("x-webhook-signature", HeaderValue::from_str(&signed).unwrap());
        let request = RawRequest { headers, query: String::new(), body: Bytes::from(body.to_string()) };
        match channel(None).decode(&request) {
            Ok(mut messages) => Ok(messages.remove(0)),
            Err(ChannelError::BadRequest(why)) => Err(why),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_edit_and_a_deletion_name_the_message_and_have_keys_of_their_own() {
        let edit =
            decode(json!({"event": "edit", "event_id": "7", "message_id": "m1", "text": "new"})).unwrap();
        assert_eq!((edit.deed, edit.text.as_deref()), (Deed::Edited("m1".into()), Some("new")));
        assert_eq!(edit.dedup_key.as_deref(), Some("edit:m1:7"));
        assert_eq!(edit.platform_message_id.as_deref(), Some("m1"));
        let gone = decode(json!({"event": "delete", "message_id": "m1"})).unwrap();
        assert_eq!((gone.deed, gone.dedup_key, gone.text), (Deed::Deleted("m1".into()), None, None));
    }

    #[test]
    fn a_reaction_is_to_an_answer_and_a_reply_names_it() {
        let body = json!({"event": "reaction", "message_id": "a1", "added": ["👍"], "removed": ["👎"], "conversation_id": "room"});
        let reaction = decode(body).unwrap();
        let expected = Reaction {
            to: "a1".into(),
            added: vec!["👍".into()],
            removed: vec!["👎".into()],
            ..Reaction::default()
        };
        assert_eq!((reaction.deed, reaction.recipient.as_str()), (Deed::Reacted(expected), "room"));
        assert_eq!(reaction.platform_message_id, None);
        let reply = decode(json!({"message_id": "m2", "text": "why?", "reply_to": "a1"})).unwrap();
        assert_eq!(reply.answers, Some(Answered { message_id: "a1".into(), is_own: None }));
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_a_sentence() {
        let many: Vec<String> = (0..=MAX_EMOJI).map(|n| n.to_string()).collect();
        for (body, reason) in [
            (json!({"event": "edit", "text": "x"}), "\"message_id\" is missing"),
            (json!({"event": "edit", "message_id": "m"}), "the message is empty"),
            (json!({"event": "delete", "message_id": "m", "text": "x"}), "has no \"text\""),
            (json!({"event": "delete"}), "\"message_id\" is missing"),
            (json!({"event": "reaction", "message_id": "m"}), "1 to 20 emoji"),
            (json!({"event": "reaction", "message_id": "m", "added": many}), "1 to 20 emoji"),
            (json!({"event": "reaction", "message_id": "m", "added": ["a b"]}), "one emoji"),
            (json!({"event": "reaction", "message_id": "m", "added": [""]}), "one emoji"),
            (json!({"event": "reaction", "message_id": "m", "added": ["x".repeat(65)]}), "one emoji"),
            (json!({"event": "reaction", "message_id": "m", "added": [5]}), "the body is not a message"),
            (json!({"text": "x", "added": ["👍"]}), "belong to"),
            (json!({"text": "x", "event_id": "7"}), "\"event_id\" is for"),
            (json!({"event": "explode", "message_id": "m"}), "unknown variant `explode`"),
        ] {
            let said = decode(body.clone()).unwrap_err();
            assert!(said.contains(reason), "{body}: {said}");
        }
    }
}
