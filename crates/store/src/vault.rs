//! Channels' secret fields and hooks' secrets, sealed on the way in and opened on the way out.

use std::sync::Arc;

use claw_runtime::Random;
use claw_secrets::{KeyRing, MasterKey, Purpose, SealError, Sealed, signature};
use claw_types::ChannelId;
use serde_json::{Map, Value};

use crate::Result;

/// The master keys at work: what is there opens with whichever it names, everything new is sealed with the current one. Cheap to
/// clone.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<KeyRing>,
    random: Arc<dyn Random>,
}

impl Vault {
    /// Over these keys; nonces come from `random`, which must be secure.
    pub fn new(keys: Arc<KeyRing>, random: Arc<dyn Random>) -> Self {
        Self { keys, random }
    }

    /// The master keys.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    pub(crate) fn seal(&self, channel: ChannelId, secrets: &Map<String, Value>) -> Result<Sealed> {
        self.seal_bytes(channel.0.as_bytes(), &serde_json::to_vec(secrets)?)
    }

    pub(crate) fn open(&self, channel: ChannelId, sealed: &Sealed) -> Result<Map<String, Value>> {
        Ok(serde_json::from_slice(&self.open_bytes(channel.0.as_bytes(), sealed)?)?)
    }

    /// Seals a text for one place, e.g. `hook/<id>`. No channel's id is as long as such a name.
    pub(crate) fn seal_text(&self, place: &str, text: &str) -> Result<Sealed> {
        self.seal_bytes(place.as_bytes(), text.as_bytes())
    }

    pub(crate) fn open_text(&self, place: &str, sealed: &Sealed) -> Result<String> {
        String::from_utf8(self.open_bytes(place.as_bytes(), sealed)?).map_err(|_| SealError::Damaged.into())
    }

    pub(crate) fn seal_bytes(&self, place: &[u8], plain: &[u8]) -> Result<Sealed> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        Ok(Sealed::seal(self.keys.current(), nonce, place, plain)?)
    }

    pub(crate) fn open_bytes(&self, place: &[u8], sealed: &Sealed) -> Result<Vec<u8>> {
        Ok(self.keys.open(sealed, place)?)
    }

    /// Recognises a credential without telling it: its fingerprint under each key, the current one's first.
    pub fn fingerprints(&self, channel_type: &str, credential: &str) -> Vec<[u8; 32]> {
        self.keys.keys().map(|key| fingerprint(key, channel_type, credential)).collect()
    }
}

fn fingerprint(key: &MasterKey, channel_type: &str, credential: &str) -> [u8; 32] {
    let key = key.derive(Purpose::Fingerprint);
    signature::hmac_sha256(&key, &[channel_type.as_bytes(), b"\0", credential.as_bytes()])
}
