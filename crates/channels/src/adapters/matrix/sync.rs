//! What the homeserver tells of rooms, as far as it is read here, and what it is asked to leave out
//! (<https://spec.matrix.org/latest/client-server-api/#syncing>).
//!
//! Events are kept as JSON until each is looked at by itself: one that can't be read must not hide the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Events of one room in one answer; of more, the rest is asked for ([`super::listen`]).
pub(super) const TIMELINE: usize = 50;
/// The account's note on a room that its people were told that the bot can't read what is encrypted
/// (<https://spec.matrix.org/latest/client-server-api/#client-config>: names are those of Java packages).
pub(super) const TOLD: &str = "org.ii-claw.told_of_encryption";
/// The same, that a message was written whose key never came.
pub(super) const TOLD_OF_LOSS: &str = "org.ii-claw.told_of_lost_key";

/// What of a room's timeline is read.
const EVENTS: [&str; 9] = [
    "m.room.message",
    "m.room.encrypted",
    "m.room.encryption",
    "m.sticker",
    "m.reaction",
    "m.room.redaction",
    "m.room.member",
    "m.room.name",
    "m.room.tombstone",
];

/// An answer of `/sync`.
#[derive(Default, Deserialize)]
#[cfg_attr(not(feature = "matrix-encryption"), allow(dead_code, reason = "read where encrypted rooms are"))]
pub(super) struct Sync {
    pub(super) next_batch: String,
    #[serde(default)]
    pub(super) rooms: Rooms,
    /// For this device alone
    /// (<https://spec.matrix.org/latest/client-server-api/#extensions-to-sync-1>), as all that follows.
    #[serde(default)]
    pub(super) to_device: Batch,
    #[serde(default)]
    pub(super) device_lists: DeviceLists,
    #[serde(default)]
    pub(super) device_one_time_keys_count: BTreeMap<String, u64>,
    /// `None` of homeservers that know no fallback keys.
    pub(super) device_unused_fallback_key_types: Option<Vec<String>>,
}

/// Whose devices are others than before, and of whom no more will be told.
#[derive(Default, Deserialize)]
#[cfg_attr(not(feature = "matrix-encryption"), allow(dead_code, reason = "read where encrypted rooms are"))]
#[serde(default)]
pub(super) struct DeviceLists {
    pub(super) changed: Vec<String>,
    pub(super) left: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Rooms {
    pub(super) join: BTreeMap<String, Joined>,
    pub(super) invite: BTreeMap<String, Value>,
    pub(super) leave: BTreeMap<String, Value>,
}

/// What is new in a room that the account is in.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Joined {
    pub(super) summary: Summary,
    pub(super) state: Batch,
    pub(super) timeline: Timeline,
    pub(super) ephemeral: Batch,
    pub(super) account_data: Batch,
}

/// How many are in a room; told when it changes.
#[derive(Default, Deserialize)]
pub(super) struct Summary {
    #[serde(rename = "m.joined_member_count")]
    pub(super) joined: Option<u64>,
    #[serde(rename = "m.invited_member_count")]
    pub(super) invited: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Batch {
    pub(super) events: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Timeline {
    pub(super) events: Vec<Value>,
    /// Whether there were more than these since the last time.
    pub(super) limited: bool,
    pub(super) prev_batch: Option<String>,
}

/// A page of a room's history (<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3roomsroomidmessages>).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    pub(super) chunk: Vec<Value>,
    pub(super) state: Vec<Value>,
    pub(super) end: Option<String>,
}

/// An event (<https://spec.matrix.org/latest/client-server-api/#room-event-format>).
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Event {
    pub(super) r#type: String,
    #[serde(rename = "event_id")]
    pub(super) id: String,
    pub(super) sender: String,
    pub(super) origin_server_ts: i64,
    pub(super) state_key: Option<String>,
    pub(super) content: Value,
    /// What a redaction takes back, in rooms before version 11; since then it is in the content.
    pub(super) redacts: Option<String>,
    pub(super) unsigned: Unsigned,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Unsigned {
    pub(super) prev_content: Value,
}

impl Event {
    /// Those of `events` that can be read.
    pub(super) fn all(events: &[Value]) -> Vec<Self> {
        events.iter().filter_map(|event| Self::deserialize(event).ok()).collect()
    }

    /// A text of the content.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.content.get(key)?.as_str()
    }

    /// Whether it says that this account comes into the room, and not only that its name is another one now.
    pub(super) fn is_entry_of(&self, account: &str) -> bool {
        self.is_membership_of(account, "join")
            && self.unsigned.prev_content.get("membership").and_then(Value::as_str) != Some("join")
    }

    /// Whether it says that this account is in the room as this.
    pub(super) fn is_membership_of(&self, account: &str, membership: &str) -> bool {
        self.r#type == "m.room.member"
            && self.state_key.as_deref() == Some(account)
            && self.text("membership") == Some(membership)
    }
}

/// What is wanted of each room's timeline; members of the senders come along.
pub(super) fn timeline_filter(limit: usize) -> Value {
    json!({"limit": limit, "types": EVENTS, "lazy_load_members": true})
}

/// What is wanted of a `/sync`: of these rooms, or of all. A look at the rooms as they are is without what people wrote. In full with
/// each request, because a filter that the homeserver keeps would have to be made, and known again by every worker
/// (<https://spec.matrix.org/latest/client-server-api/#filtering>).
pub(super) fn filter(rooms: &[String], with_history: bool) -> Value {
    let nothing = json!({"not_types": ["*"]});
    let mut room = json!({
        "state": {"types": ["m.room.member", "m.room.name", "m.room.encryption"], "lazy_load_members": true},
        "account_data": {"types": [TOLD, TOLD_OF_LOSS]},
        "timeline": {"limit": 1, "types": [], "lazy_load_members": true},
        "ephemeral": nothing,
    });
    if with_history {
        room["timeline"] = timeline_filter(TIMELINE);
        room["ephemeral"] = json!({"types": ["m.receipt"]});
    }
    if !rooms.is_empty() {
        room["rooms"] = json!(rooms);
    }
    json!({"presence": nothing, "account_data": nothing, "room": room})
}
