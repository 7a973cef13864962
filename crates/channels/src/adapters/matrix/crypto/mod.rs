//! Encrypted rooms (<https://spec.matrix.org/latest/client-server-api/#end-to-end-encryption>): the ratchets are `vodozemac`'s, all around
//! them is here, why, says `docs/adr/0019-own-matrix-encryption.md`.
//!
//! A channel is one device. Its keys and ratchets are in [`crate::Memory`], because a worker that takes over goes on with them. One lock
//! is held from reading them until they are saved, across calls to the homeserver, too: what is received and what is sent change the
//! same rows.
//!
//! Must hold: what is said in [`outbound`], [`olm`] and [`inbound`] of what is saved before what.

mod account;
mod devices;
pub(super) mod file;
mod inbound;
mod olm;
mod outbound;
mod rows;
mod waiting;

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tracing::debug;

use self::inbound::Opened;
use self::rows::Rows;
pub(super) use self::waiting::Late;
use super::api::Api;
use super::sync::{Event, Sync};
use crate::{ChannelError, Deps};

/// How devices talk to each other (<https://spec.matrix.org/latest/client-server-api/#molmv1curve25519-aes-sha2>).
const OLM: &str = "m.olm.v1.curve25519-aes-sha2";
/// How rooms are encrypted (<https://spec.matrix.org/latest/client-server-api/#mmegolmv1aes-sha2>).
const MEGOLM: &str = "m.megolm.v1.aes-sha2";
/// What is said of a token without a device, such as those of bridges have.
pub(super) const NO_SESSION: &str =
    "access_token_env is of no session: encryption needs one, made by signing in";
/// How long a device or a server that did not answer is left alone.
const PAUSE_MS: i64 = 10 * 60 * 1000;

/// The device of a channel.
pub(super) struct Crypto {
    user: String,
    deps: Deps,
    state: Mutex<Option<State>>,
}

/// What is known of it, and what is kept.
struct State {
    user: String,
    device: String,
    /// Its public keys.
    curve: String,
    ed: String,
    rows: Rows,
    /// Who is in a room, until somebody comes or goes.
    members: HashMap<String, BTreeSet<String>>,
    /// Rooms that are not encrypted.
    in_the_clear: HashSet<String>,
    /// Who is left alone until when.
    later: HashMap<String, i64>,
    /// Accounts and keys from whom came what can't be read.
    broken: BTreeSet<(String, String)>,
    deps: Deps,
}

/// Events of a room, read as far as they can be.
pub(super) struct Read {
    pub(super) events: Vec<Event>,
    /// The ids of those that can't be read, now or later.
    pub(super) lost: Vec<String>,
}

impl Crypto {
    #[expect(clippy::unnecessary_wraps, reason = "a build without encrypted rooms has an error for it")]
    pub(super) fn new(user: &str, deps: &Deps) -> Result<Self, ChannelError> {
        Ok(Self { user: user.to_owned(), deps: deps.clone(), state: Mutex::new(None) })
    }

    /// Takes what an answer tells of devices, keys and rooms. What it brought for this device is saved when it returns.
    pub(super) async fn receive(&self, api: &Api, sync: &Sync) -> Result<(), ChannelError> {
        let mut state = self.state(api).await?;
        for event in &sync.to_device.events {
            let Some(said) = state.heard(event).await? else { continue };
            match said.kind.as_str() {
                "m.room_key" => state.take_key(said).await?,
                kind => debug!(channel.id = %self.deps.channel_id, kind, "nothing to take for this device"),
            }
        }
        state.note_lists(&sync.device_lists).await?;
        for (room, joined) in &sync.rooms.join {
            if joined.timeline.limited {
                state.members.remove(room);
            }
            state.note_state(room, &Event::all(&joined.state.events)).await?;
            state.note_state(room, &Event::all(&joined.timeline.events)).await?;
        }
        state.rows.save().await?;
        state.publish(api, sync).await?;
        state.mend(api).await
    }

    /// What is told of a room by its state alone.
    pub(super) async fn note(&self, api: &Api, room: &str, state: &[Event]) -> Result<(), ChannelError> {
        let mut known = self.state(api).await?;
        known.note_state(room, state).await?;
        known.rows.save().await
    }

    /// Reads a room's events. One whose key has not come waits for it.
    pub(super) async fn read(&self, api: &Api, room: &str, events: &[Event]) -> Result<Read, ChannelError> {
        let mut read = Read { events: Vec::with_capacity(events.len()), lost: Vec::new() };
        let mut state = None;
        for event in events {
            if event.r#type != "m.room.encrypted" {
                read.events.push(event.clone());
                continue;
            }
            let state = match &mut state {
                Some(state) => state,
                none => none.insert(self.state(api).await?),
            };
            match state.open(room, event).await? {
                Opened::Said(said) => read.events.push(*said),
                Opened::NoKey => state.wait(room, event).await?,
                Opened::Lost => read.lost.push(event.id.clone()),
                Opened::Nothing => {}
            }
        }
        if let Some(state) = &mut state {
            state.rows.save().await?;
        }
        Ok(read)
    }

    /// Messages that waited for their key and do no longer; known until [`Crypto::settle`].
    pub(super) async fn late(&self, api: &Api) -> Result<Vec<Late>, ChannelError> {
        let mut state = self.state(api).await?;
        let late = state.late().await?;
        state.rows.save().await?;
        Ok(late)
    }

    /// They are committed, or told of.
    pub(super) async fn settle(&self, api: &Api, late: &[Late]) -> Result<(), ChannelError> {
        let mut state = self.state(api).await?;
        state.settle(late).await?;
        state.rows.save().await
    }

    /// Whether a room is encrypted.
    pub(super) async fn is_encrypted(&self, api: &Api, room: &str) -> Result<bool, ChannelError> {
        Ok(self.state(api).await?.settings(api, room).await?.is_some())
    }

    /// What to put into a room in place of this event; `None` where it goes as it is. Reactions do in any room, for homeservers count
    /// them (<https://spec.matrix.org/latest/client-server-api/#event-annotations-and-reactions>).
    pub(super) async fn write(
        &self,
        api: &Api,
        room: &str,
        kind: &str,
        content: &Value,
    ) -> Result<Option<Value>, ChannelError> {
        if kind == "m.reaction" {
            return Ok(None);
        }
        let mut state = self.state(api).await?;
        let Some(settings) = state.settings(api, room).await? else { return Ok(None) };
        state.write(api, room, &settings, (kind, content)).await.map(Some)
    }

    /// The device, made and made known if it is not yet.
    async fn state(&self, api: &Api) -> Result<MappedMutexGuard<'_, State>, ChannelError> {
        let mut guard = self.state.lock().await;
        match &mut *guard {
            Some(state) => state.rows.tidy(),
            none => *none = Some(State::begin(&self.user, &self.deps, api).await?),
        }
        MutexGuard::try_map(guard, Option::as_mut)
            .map_err(|_| ChannelError::Retryable("the device is not there".to_owned()))
    }
}

impl State {
    async fn begin(user: &str, deps: &Deps, api: &Api) -> Result<Self, ChannelError> {
        let device = api.whoami().await?.device_id.filter(|id| !id.is_empty());
        let device = device.ok_or_else(|| ChannelError::Config(NO_SESSION.to_owned()))?;
        let mut state = Self {
            user: user.to_owned(),
            rows: Rows::new(deps.memory.clone(), user, &device),
            device,
            curve: String::new(),
            ed: String::new(),
            members: HashMap::new(),
            in_the_clear: HashSet::new(),
            later: HashMap::new(),
            broken: BTreeSet::new(),
            deps: deps.clone(),
        };
        state.introduce(api).await?;
        Ok(state)
    }

    fn now_ms(&self) -> i64 {
        self.deps.clock.now().timestamp_millis()
    }

    fn is_due(&self, name: &str) -> bool {
        self.later.get(name).is_none_or(|until| *until <= self.now_ms())
    }

    fn try_later(&mut self, name: &str) {
        let now = self.now_ms();
        self.later.retain(|_, until| *until > now);
        self.later.insert(name.to_owned(), now + PAUSE_MS);
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(vodozemac::megolm::MegolmMessage::from_base64(text));
    drop(vodozemac::megolm::SessionKey::from_base64(text));
    drop(vodozemac::olm::OlmMessage::from_parts(0, data));
    if let Ok(value) = serde_json::from_str(text) {
        drop(file::handle(&value));
        drop(devices::canonical(&value));
    }
}
