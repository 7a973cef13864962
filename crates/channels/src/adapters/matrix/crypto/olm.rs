//! Conversations of this device with another one, by which keys of rooms are handed over
//! (<https://spec.matrix.org/latest/client-server-api/#molmv1curve25519-aes-sha2>).
//!
//! Must hold: a conversation that moved on is remembered before its message goes out, and before the homeserver is let go of one
//! that came in.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::debug;
use vodozemac::Curve25519PublicKey;
use vodozemac::olm::{OlmMessage, Session, SessionConfig, SessionPickle};

use super::devices::{Device, Devices, Named, is_signed, row as devices_row};
use super::{OLM, State};
use crate::ChannelError;
use crate::adapters::matrix::api::Api;

/// Conversations with one device: two that begin one at the same time have two.
const KEPT: usize = 4;
/// After that a new one is begun.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
/// Devices in one call.
const AT_ONCE: usize = 200;

/// What came for this device.
#[derive(Deserialize)]
pub(super) struct ToDevice {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    sender: String,
    #[serde(default)]
    content: Value,
}

/// What it said, and who.
#[derive(Deserialize)]
pub(super) struct Said {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) sender: String,
    recipient: String,
    recipient_keys: Keys,
    pub(super) content: Value,
}

#[derive(Deserialize)]
struct Keys {
    ed25519: String,
}

fn row(curve: &str) -> String {
    format!("olm/{curve}")
}

impl State {
    /// Reads what came for this device; `None` for what is not for it or can't be read, which is noted to be mended.
    pub(super) async fn heard(&mut self, event: &Value) -> Result<Option<Said>, ChannelError> {
        let Ok(event) = ToDevice::deserialize(event) else { return Ok(None) };
        if event.r#type != "m.room.encrypted" || event.content["algorithm"] != OLM {
            return Ok(None);
        }
        let from = event.content["sender_key"].as_str().unwrap_or_default().to_owned();
        let Some((key, message)) = parsed(&event.content, &from, &self.curve) else { return Ok(None) };
        let Some(plain) = self.understood(&from, key, &message).await? else {
            debug!(account = event.sender, "what came for this device can't be read");
            self.broken.insert((event.sender, from));
            return Ok(None);
        };
        let said: Option<Said> = serde_json::from_slice(&plain).ok();
        Ok(said.filter(|said| {
            said.sender == event.sender
                && said.recipient == self.user
                && said.recipient_keys.ed25519 == self.ed
        }))
    }

    async fn understood(
        &mut self,
        from: &str,
        key: Curve25519PublicKey,
        message: &OlmMessage,
    ) -> Result<Option<Vec<u8>>, ChannelError> {
        let mut sessions = self.sessions(from).await?;
        for at in 0..sessions.len() {
            if let OlmMessage::PreKey(begins) = message
                && begins.session_id() != sessions[at].session_id()
            {
                continue;
            }
            if let Ok(plain) = sessions[at].decrypt(message) {
                // The one that the other side uses is used to answer.
                sessions[..=at].rotate_right(1);
                self.keep_sessions(from, &sessions).await?;
                return Ok(Some(plain));
            }
        }
        let OlmMessage::PreKey(begins) = message else { return Ok(None) };
        let mut account = self.account().await?;
        let Ok(made) = account.create_inbound_session(SessionConfig::version_1(), key, begins) else {
            return Ok(None);
        };
        self.keep(&account, true).await?;
        sessions.insert(0, made.session);
        self.keep_sessions(from, &sessions).await?;
        Ok(Some(made.plaintext))
    }

    /// Says something to devices, beginning conversations where there are none; those that could be told.
    pub(super) async fn tell(
        &mut self,
        api: &Api,
        devices: &Named,
        kind: &str,
        content: &Value,
    ) -> Result<Named, ChannelError> {
        self.rows.load(devices.values().map(|device| row(&device.curve))).await?;
        let mut silent = Named::new();
        for (name, device) in devices {
            if self.sessions(&device.curve).await?.is_empty() && self.is_due(&later(name)) {
                silent.insert(name.clone(), device.clone());
            }
        }
        if !silent.is_empty() {
            self.begin_with(api, &silent).await?;
        }
        let mut told = Named::new();
        let mut messages: Vec<(String, String, Value)> = Vec::new();
        for ((account, id), device) in devices {
            if let Some(message) = self.sealed_for(account, device, kind, content).await? {
                messages.push((account.clone(), id.clone(), message));
                told.insert((account.clone(), id.clone()), device.clone());
            }
        }
        self.rows.save().await?;
        for some in messages.chunks(AT_ONCE) {
            let mut by_account = Map::new();
            for (account, id, message) in some {
                by_account.entry(account).or_insert_with(|| json!({}))[id] = message.clone();
            }
            api.send_to_devices(&self.deps.ids.token(16), &Value::Object(by_account)).await?;
        }
        Ok(told)
    }

    /// Begins a new conversation with those from whom came what can't be read, so that the next can be
    /// (<https://spec.matrix.org/latest/client-server-api/#recovering-from-undecryptable-messages>). Once in a while: anybody can send what
    /// can't be read.
    pub(super) async fn mend(&mut self, api: &Api) -> Result<(), ChannelError> {
        let mut known = Named::new();
        for (account, curve) in std::mem::take(&mut self.broken) {
            let devices: Devices = self.rows.get(&devices_row(&account)).await?.unwrap_or_default();
            let device = devices.by_id.into_iter().find(|(_, device)| device.curve == curve);
            if let Some((id, device)) = device
                && self.is_due(&later(&(account.clone(), id.clone())))
            {
                known.insert((account, id), device);
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        self.begin_with(api, &known).await?;
        for name in known.keys() {
            self.try_later(&later(name));
        }
        self.tell(api, &known, "m.dummy", &json!({})).await.map(drop)
    }

    /// Begins conversations, each with a key that the device left for that. One that left none is tried again later.
    async fn begin_with(&mut self, api: &Api, devices: &Named) -> Result<(), ChannelError> {
        let mut wanted = Map::new();
        for (account, id) in devices.keys() {
            wanted.entry(account).or_insert_with(|| json!({}))[id] = json!("signed_curve25519");
        }
        let told = api.claim_keys(&Value::Object(wanted)).await?;
        let account = self.account().await?;
        for (name, device) in devices {
            let keys = told["one_time_keys"][&name.0][&name.1].as_object();
            let key = keys.and_then(|keys| keys.values().next());
            let key = key.filter(|key| is_signed(key, &name.0, &name.1, &device.ed));
            let key = key.and_then(|key| Curve25519PublicKey::from_base64(key["key"].as_str()?).ok());
            let begun =
                key.zip(Curve25519PublicKey::from_base64(&device.curve).ok()).and_then(|(key, identity)| {
                    account.create_outbound_session(SessionConfig::version_1(), identity, key).ok()
                });
            let Some(session) = begun else {
                debug!(
                    account = name.0,
                    device = name.1,
                    "a device left no key to begin a conversation with"
                );
                self.try_later(&later(name));
                continue;
            };
            let mut sessions = self.sessions(&device.curve).await?;
            sessions.insert(0, session);
            self.keep_sessions(&device.curve, &sessions).await?;
        }
        self.rows.save().await
    }

    async fn sealed_for(
        &mut self,
        account: &str,
        device: &Device,
        kind: &str,
        content: &Value,
    ) -> Result<Option<Value>, ChannelError> {
        let mut sessions = self.sessions(&device.curve).await?;
        let Some(session) = sessions.first_mut() else { return Ok(None) };
        let said = json!({
            "type": kind, "content": content, "sender": self.user, "sender_device": self.device,
            "keys": {"ed25519": self.ed}, "recipient": account, "recipient_keys": {"ed25519": device.ed},
        });
        let Ok(message) = session.encrypt(said.to_string()) else { return Ok(None) };
        let (kind, body) = message.to_parts();
        self.keep_sessions(&device.curve, &sessions).await?;
        let sealed = json!({"type": kind, "body": vodozemac::base64_encode(body)});
        Ok(Some(json!({"algorithm": OLM, "sender_key": self.curve, "ciphertext": {&device.curve: sealed}})))
    }

    /// Those with a device, the one to use first.
    async fn sessions(&mut self, curve: &str) -> Result<Vec<Session>, ChannelError> {
        let kept: Vec<SessionPickle> = self.rows.get(&row(curve)).await?.unwrap_or_default();
        Ok(kept.into_iter().map(Session::from_pickle).collect())
    }

    async fn keep_sessions(&mut self, curve: &str, sessions: &[Session]) -> Result<(), ChannelError> {
        let kept: Vec<SessionPickle> = sessions.iter().take(KEPT).map(Session::pickle).collect();
        self.rows.put(&row(curve), &kept, Some(KEEP)).await
    }
}

fn later((account, device): &(String, String)) -> String {
    format!("{account}/{device}")
}

/// Who sends what to this device.
fn parsed(content: &Value, from: &str, to: &str) -> Option<(Curve25519PublicKey, OlmMessage)> {
    let key = Curve25519PublicKey::from_base64(from).ok()?;
    let sealed = &content["ciphertext"][to];
    let kind = usize::try_from(sealed["type"].as_u64()?).ok()?;
    let body = vodozemac::base64_decode(sealed["body"].as_str()?).ok()?;
    Some((key, OlmMessage::from_parts(kind, &body).ok()?))
}
