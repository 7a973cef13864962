//! Writing into encrypted rooms (<https://spec.matrix.org/latest/client-server-api/#mmegolmv1aes-sha2>).
//!
//! A room has one key of ours at a time. Whoever is there gets it before a message is written by it; a new one is made when the old
//! one was used as long or as often as the room says, and when somebody who has it is not there any more.
//!
//! Must hold: a place in a key's order is used once: that it is used is remembered before the message can be seen by anybody. Nothing
//! is written in the clear into a room that was seen to be encrypted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vodozemac::megolm::{GroupSession, GroupSessionPickle, InboundGroupSession, SessionConfig};

use super::devices::Named;
use super::{MEGOLM, State};
use crate::ChannelError;
use crate::adapters::matrix::api::Api;
use crate::adapters::matrix::sync::Event;

/// How long and how often a key is used where the room does not say
/// (<https://spec.matrix.org/latest/client-server-api/#mroomencryption>).
const ROTATION_MS: i64 = 604_800_000;
const ROTATION_MESSAGES: u32 = 100;
/// However seldom a room wants it: a key that is used for ever opens everything at once.
const MOST_MESSAGES: u32 = 10_000;

/// How a room is encrypted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    algorithm: String,
    rotation_ms: i64,
    rotation_messages: u32,
}

/// A room's key, and who has it.
#[derive(Serialize, Deserialize)]
struct Kept {
    pickle: GroupSessionPickle,
    made_ms: i64,
    /// Account, device and the device's key.
    shared: Vec<(String, String, String)>,
}

/// The same at work.
struct Key {
    session: GroupSession,
    made_ms: i64,
    shared: Vec<(String, String, String)>,
}

fn settings_row(room: &str) -> String {
    format!("room/{room}")
}

fn row(room: &str) -> String {
    format!("out/{room}")
}

impl Settings {
    fn of(content: &Value) -> Self {
        let number = |key: &str| content[key].as_u64().filter(|number| *number > 0);
        let rotation_ms = number("rotation_period_ms").and_then(|ms| i64::try_from(ms).ok());
        let messages = number("rotation_period_msgs").and_then(|messages| u32::try_from(messages).ok());
        Self {
            algorithm: content["algorithm"].as_str().unwrap_or_default().to_owned(),
            rotation_ms: rotation_ms.unwrap_or(ROTATION_MS),
            rotation_messages: messages.unwrap_or(ROTATION_MESSAGES).min(MOST_MESSAGES),
        }
    }
}

impl State {
    /// Takes that a room is encrypted from now on, or otherwise than before; and that others are there now.
    pub(super) async fn note_state(&mut self, room: &str, events: &[Event]) -> Result<(), ChannelError> {
        for event in events {
            match (event.r#type.as_str(), event.state_key.as_deref()) {
                ("m.room.encryption", Some("")) => {
                    self.rows.put(&settings_row(room), &Settings::of(&event.content), None).await?;
                    self.in_the_clear.remove(room);
                }
                ("m.room.member", Some(_)) => drop(self.members.remove(room)),
                _ => {}
            }
        }
        Ok(())
    }

    /// How a room is encrypted; `None` of one that is not.
    pub(super) async fn settings(&mut self, api: &Api, room: &str) -> Result<Option<Settings>, ChannelError> {
        if self.in_the_clear.contains(room) {
            return Ok(None);
        }
        if let Some(known) = self.rows.get(&settings_row(room)).await? {
            return Ok(Some(known));
        }
        let Some(content) = api.encryption(room).await? else {
            // From here on, receiving tells when that changes.
            self.in_the_clear.insert(room.to_owned());
            return Ok(None);
        };
        let settings = Settings::of(&content);
        self.rows.put(&settings_row(room), &settings, None).await?;
        self.rows.save().await?;
        Ok(Some(settings))
    }

    /// What to put into an encrypted room in place of this event.
    pub(super) async fn write(
        &mut self,
        api: &Api,
        room: &str,
        settings: &Settings,
        (kind, content): (&str, &Value),
    ) -> Result<Value, ChannelError> {
        if settings.algorithm != MEGOLM {
            return Err(ChannelError::Permanent(format!(
                "the room is encrypted by {:?}, which is not known here",
                settings.algorithm
            )));
        }
        let members = self.members(api, room).await?;
        let devices = self.devices_of(api, &members).await?;
        let Key { mut session, made_ms, mut shared } = match self.key(room).await? {
            Some(key) if self.is_good(&key, settings, &devices) => key,
            _ => self.new_key(room).await?,
        };
        let has = |(account, id): &(String, String)| shared.iter().any(|(a, i, _)| a == account && i == id);
        let new: Named = devices.into_iter().filter(|(name, _)| !has(name)).collect();
        if !new.is_empty() {
            let key = json!({
                "algorithm": MEGOLM, "room_id": room, "session_id": session.session_id(),
                "session_key": session.session_key().to_base64(),
            });
            let told = self.tell(api, &new, "m.room_key", &key).await?;
            shared.extend(told.into_iter().map(|((account, id), device)| (account, id, device.curve)));
        }
        let inside = json!({"type": kind, "content": content, "room_id": room});
        let sealed = session.encrypt(inside.to_string());
        let mut outside = json!({
            "algorithm": MEGOLM, "ciphertext": sealed.to_base64(), "session_id": session.session_id(),
            "sender_key": self.curve, "device_id": self.device,
        });
        if let Some(relation) = content.get("m.relates_to") {
            outside["m.relates_to"] = relation.clone();
        }
        self.rows.put(&row(room), &Kept { pickle: session.pickle(), made_ms, shared }, None).await?;
        self.rows.save().await?;
        Ok(outside)
    }

    fn is_good(&self, key: &Key, settings: &Settings, devices: &Named) -> bool {
        let is_there = |(account, id, curve): &(String, String, String)| {
            devices.get(&(account.clone(), id.clone())).is_some_and(|device| device.curve == *curve)
        };
        key.session.message_index() < settings.rotation_messages
            && self.now_ms() - key.made_ms < settings.rotation_ms
            && key.shared.iter().all(is_there)
    }

    async fn key(&mut self, room: &str) -> Result<Option<Key>, ChannelError> {
        let kept: Option<Kept> = self.rows.get(&row(room)).await?;
        Ok(kept.map(|Kept { pickle, made_ms, shared }| Key {
            session: GroupSession::from_pickle(pickle),
            made_ms,
            shared,
        }))
    }

    /// A new key of ours for a room, by which we read what we wrote, too.
    async fn new_key(&mut self, room: &str) -> Result<Key, ChannelError> {
        let session = GroupSession::new(SessionConfig::version_1());
        let own = InboundGroupSession::new(&session.session_key(), SessionConfig::version_1());
        let user = self.user.clone();
        self.keep_key(room, &user, own).await?;
        Ok(Key { session, made_ms: self.now_ms(), shared: Vec::new() })
    }

    /// Who gets to read what is written in a room: who is there and who is invited.
    async fn members(&mut self, api: &Api, room: &str) -> Result<BTreeSet<String>, ChannelError> {
        if let Some(known) = self.members.get(room) {
            return Ok(known.clone());
        }
        let told = api.members(room).await?;
        let events = told["chunk"].as_array().map(|events| Event::all(events)).unwrap_or_default();
        let there =
            events.into_iter().filter(|event| matches!(event.text("membership"), Some("join" | "invite")));
        let members: BTreeSet<String> = there.filter_map(|event| event.state_key).collect();
        self.members.insert(room.to_owned(), members.clone());
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_says_when_its_key_changes_within_limits() {
        let of = |content: Value| {
            let Settings { rotation_ms, rotation_messages, .. } = Settings::of(&content);
            (rotation_ms, rotation_messages)
        };
        assert_eq!(of(json!({"algorithm": MEGOLM})), (604_800_000, 100));
        assert_eq!(of(json!({"rotation_period_ms": 5, "rotation_period_msgs": 3})), (5, 3));
        assert_eq!(of(json!({"rotation_period_ms": 0, "rotation_period_msgs": 1e9})), (604_800_000, 100));
        assert_eq!(
            of(json!({"rotation_period_ms": "x", "rotation_period_msgs": 4_000_000_000_u64})),
            (604_800_000, 10_000)
        );
    }
}
