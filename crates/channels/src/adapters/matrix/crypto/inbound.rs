//! Reading what is written in encrypted rooms (<https://spec.matrix.org/latest/client-server-api/#mmegolmv1aes-sha2>).
//!
//! Must hold: a message is its sender's: the one from whom its key came; the same ciphertext in another event is no second message
//! (<https://spec.matrix.org/latest/client-server-api/#mmegolmv1aes-sha2>, replays); what another one wrote beside it in the clear
//! is believed as far as how it stands to others only.

use std::collections::BTreeMap;
use std::time::Duration;

use claw_secrets::signature;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vodozemac::megolm::{
    InboundGroupSession, InboundGroupSessionPickle, MegolmMessage, SessionConfig, SessionKey,
};

use super::olm::Said;
use super::{MEGOLM, State};
use crate::ChannelError;
use crate::adapters::matrix::sync::Event;

/// How long a key is kept after its last message.
const KEEP: Duration = Duration::from_secs(60 * 24 * 3600);
/// Messages by one key that are known to have been seen; an older one than these is not read any more.
const SEEN: usize = 128;
/// What can be said in secret; anything else is written in the clear, or is no message.
const KINDS: [&str; 3] = ["m.room.message", "m.sticker", "m.reaction"];

/// A key, whose it is, and what was read by it: which place in its order each event has.
#[derive(Serialize, Deserialize)]
struct Kept {
    pickle: InboundGroupSessionPickle,
    sender: String,
    seen: BTreeMap<u32, String>,
}

#[derive(Deserialize)]
struct RoomKey {
    algorithm: String,
    room_id: String,
    session_id: String,
    session_key: String,
}

/// What became of an encrypted event.
pub(super) enum Opened {
    /// It says this.
    Said(Box<Event>),
    /// Its key may still come.
    NoKey,
    /// It can't be read, now or later.
    Lost,
    /// It is nothing to tell anybody of: said before, or no message.
    Nothing,
}

fn row(room: &str, session: &str) -> String {
    format!("in/{room}/{session}")
}

impl State {
    /// Takes a room's key that somebody handed over.
    pub(super) async fn take_key(&mut self, said: Said) -> Result<(), ChannelError> {
        let Ok(told) = RoomKey::deserialize(&said.content) else { return Ok(()) };
        let Ok(key) = SessionKey::from_base64(&told.session_key) else { return Ok(()) };
        let session = InboundGroupSession::new(&key, SessionConfig::version_1());
        if told.algorithm != MEGOLM || session.session_id() != told.session_id {
            return Ok(());
        }
        self.keep_key(&told.room_id, &said.sender, session).await
    }

    /// Keeps a key, ours among them. One that was there before stays, unless the new one reads more.
    pub(super) async fn keep_key(
        &mut self,
        room: &str,
        sender: &str,
        mut session: InboundGroupSession,
    ) -> Result<(), ChannelError> {
        let name = row(room, &session.session_id());
        let before: Option<Kept> = self.rows.get(&name).await?;
        let mut seen = BTreeMap::new();
        if let Some(before) = before {
            let mut known = InboundGroupSession::from_pickle(before.pickle);
            // Somebody else can't take over a key by its name.
            let both = if before.sender == sender { known.merge(&mut session) } else { None };
            let Some(both) = both else { return Ok(()) };
            (session, seen) = (both, before.seen);
        }
        let kept = Kept { pickle: session.pickle(), sender: sender.to_owned(), seen };
        self.rows.put(&name, &kept, Some(KEEP)).await
    }

    /// Reads an encrypted event of a room.
    pub(super) async fn open(&mut self, room: &str, event: &Event) -> Result<Opened, ChannelError> {
        let (Some(session_id), Some(text)) = (event.text("session_id"), event.text("ciphertext")) else {
            // What was taken back has nothing in it any more.
            let is_gone = event.content.as_object().is_none_or(serde_json::Map::is_empty);
            return Ok(if is_gone { Opened::Nothing } else { Opened::Lost });
        };
        let Ok(message) = MegolmMessage::from_base64(text) else { return Ok(Opened::Lost) };
        if event.content["algorithm"] != MEGOLM {
            return Ok(Opened::Lost);
        }
        let name = row(room, session_id);
        let Some(mut kept) = self.rows.get::<Kept>(&name).await? else { return Ok(Opened::NoKey) };
        if kept.sender != event.sender {
            return Ok(Opened::Lost);
        }
        let mut session = InboundGroupSession::from_pickle(kept.pickle);
        if message.message_index() < session.first_known_index() {
            return Ok(Opened::NoKey);
        }
        let Ok(read) = session.decrypt(&message) else { return Ok(Opened::Lost) };
        if !is_new(&mut kept.seen, read.message_index, &event.id) {
            return Ok(Opened::Nothing);
        }
        kept.pickle = session.pickle();
        self.rows.put(&name, &kept, Some(KEEP)).await?;
        Ok(said(room, event, &read.plaintext))
    }
}

/// Whether an event is the first one by its place; it is known afterwards.
fn is_new(seen: &mut BTreeMap<u32, String>, index: u32, event: &str) -> bool {
    let mark = hex::encode(&signature::sha256(event.as_bytes())[..8]);
    if let Some(before) = seen.get(&index) {
        // The homeserver may tell of the same one again.
        return *before == mark;
    }
    if seen.len() >= SEEN && seen.first_key_value().is_some_and(|(oldest, _)| index < *oldest) {
        return false;
    }
    seen.insert(index, mark);
    if seen.len() > SEEN {
        seen.pop_first();
    }
    true
}

/// The event as it would be in the clear. How it stands to others is written outside, for homeservers to see
/// (<https://spec.matrix.org/latest/client-server-api/#mroomencrypted>).
fn said(room: &str, event: &Event, plain: &[u8]) -> Opened {
    let Ok(mut inside) = serde_json::from_slice::<Value>(plain) else { return Opened::Lost };
    let kind = inside["type"].as_str().unwrap_or_default().to_owned();
    if inside["room_id"] != room {
        return Opened::Lost;
    }
    if !KINDS.contains(&kind.as_str()) {
        return Opened::Nothing;
    }
    let mut content = inside["content"].take();
    if let (Some(content), Some(relation)) = (content.as_object_mut(), event.content.get("m.relates_to")) {
        content.entry("m.relates_to").or_insert_with(|| relation.clone());
    }
    Opened::Said(Box::new(Event { r#type: kind, content, ..event.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_events() {
        let mut seen = BTreeMap::new();
        assert!(is_new(&mut seen, 7, "$one"));
        assert!(is_new(&mut seen, 7, "$one"), "told again");
        assert!(!is_new(&mut seen, 7, "$two"), "the same in another event");
        for index in 8..300 {
            assert!(is_new(&mut seen, index, "$more"));
        }
        assert_eq!(seen.len(), SEEN);
        assert!(!is_new(&mut seen, 6, "$old"), "whether it was seen is not known any more");
    }
}
