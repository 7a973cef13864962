//! What is said by the gateway's WebSocket (<https://docs.discord.com/developers/events/gateway-events#payload-structure>).

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::session::{self, Session};

/// Something that the gateway says.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// The connection stands; a heartbeat is wanted this often.
    Hello(Duration),
    /// A heartbeat is wanted now.
    Beat,
    /// A heartbeat arrived.
    Ack,
    /// Connect anew and resume.
    Reconnect,
    /// The session does not exist (any more); whether it may be tried once more.
    Invalid { resumable: bool },
    /// Something happened.
    Event(Event<'a>),
    /// Nothing that is known here.
    Other,
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    /// Its place in the session.
    pub(crate) seq: u64,
    /// What it is, like `MESSAGE_CREATE`.
    pub(crate) name: &'a str,
    /// The rest, as JSON.
    pub(crate) data: &'a str,
}

/// One of a bot's connections, each of which is told what happens in its part of the servers. Direct messages come to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Which, from 0 on.
    pub(crate) number: usize,
    /// How many there are.
    pub(crate) of: usize,
}

/// A frame's keys.
#[derive(Deserialize)]
pub(crate) struct Raw<'a> {
    op: u64,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
    #[serde(default)]
    s: Option<u64>,
    #[serde(borrow, default)]
    t: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval: u64,
}

/// Heartbeats are sent this often at least and at most, whatever is asked for.
const BEATS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_mins(5));

impl<'a> Raw<'a> {
    /// `None` for what is no frame.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What it means (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-opcodes>).
    pub(crate) fn frame(&'a self) -> Frame<'a> {
        let data = self.d.map_or("null", RawValue::get);
        match self.op {
            0 => match (self.s, &self.t) {
                (Some(seq), Some(name)) => Frame::Event(Event { seq, name, data }),
                _ => Frame::Other,
            },
            1 => Frame::Beat,
            7 => Frame::Reconnect,
            9 => Frame::Invalid { resumable: data == "true" },
            10 => serde_json::from_str::<Hello>(data).map_or(Frame::Other, |hello| {
                Frame::Hello(Duration::from_millis(hello.heartbeat_interval).clamp(BEATS.0, BEATS.1))
            }),
            11 => Frame::Ack,
            _ => Frame::Other,
        }
    }
}

/// Begins a session (<https://docs.discord.com/developers/events/gateway-events#identify>), of several that of one shard
/// (<https://docs.discord.com/developers/events/gateway#sharding>).
pub(crate) fn identify(token: &str, intents: u64, shard: Shard) -> Value {
    let properties = json!({"os": std::env::consts::OS, "browser": "ii-claw", "device": "ii-claw"});
    let mut data = json!({"token": token, "intents": intents, "properties": properties});
    if shard.of > 1 {
        data["shard"] = json!([shard.number, shard.of]);
    }
    json!({"op": 2, "d": data})
}

/// Goes on with one (<https://docs.discord.com/developers/events/gateway-events#resume>).
pub(crate) fn resume(token: &str, session: &Session) -> Value {
    json!({"op": 6, "d": {"token": token, "session_id": session.id, "seq": session.seq}})
}

/// Shows that we are there, and what we have (<https://docs.discord.com/developers/events/gateway-events#heartbeat>).
pub(crate) fn heartbeat(seq: Option<u64>) -> Value {
    json!({"op": 1, "d": seq})
}

/// For [`crate::Channel::fuzz`].
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(session::read(Some(text), "a key"));
    if let Some(raw) = Raw::read(text)
        && let Frame::Event(event) = raw.frame()
    {
        drop(Session::begun(event, "a key"));
    }
}
