//! Channels' secret fields and hooks' secrets, sealed on the way in and opened on the way out.

use std::sync::Arc;

use claw_runtime::Random;
use claw_secrets::{MasterKey, Purpose, SealError, Sealed, signature};
use claw_types::ChannelId;
use serde_json::{Map, Value};

use crate::Result;

/// The master key at work. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    key: Arc<MasterKey>,
    random: Arc<dyn Random>,
}

impl Vault {
    /// Over this key; nonces come from `random`, which must be secure.
    pub fn new(key: Arc<MasterKey>, random: Arc<dyn Random>) -> Self {
        Self { key, random }
    }

    /// The master key.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    pub(crate) fn seal(&self, channel: ChannelId, secrets: &Map<String, Value>) -> Result<Sealed> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        Ok(Sealed::seal(&self.key, nonce, channel.0.as_bytes(), &serde_json::to_vec(secrets)?)?)
    }

    pub(crate) fn open(&self, channel: ChannelId, sealed: &Sealed) -> Result<Map<String, Value>> {
        Ok(serde_json::from_slice(&sealed.open(&self.key, channel.0.as_bytes())?)?)
    }

    /// Seals a text for one place, e.g. `hook/<id>`. No channel's id is as long as such a name.
    pub(crate) fn seal_text(&self, place: &str, text: &str) -> Result<Sealed> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        Ok(Sealed::seal(&self.key, nonce, place.as_bytes(), text.as_bytes())?)
    }

    pub(crate) fn open_text(&self, place: &str, sealed: &Sealed) -> Result<String> {
        let plain = sealed.open(&self.key, place.as_bytes())?;
        String::from_utf8(plain).map_err(|_| SealError::Damaged.into())
    }

    /// Recognises a credential without telling it.
    pub fn fingerprint(&self, channel_type: &str, credential: &str) -> [u8; 32] {
        let key = self.key.derive(Purpose::Fingerprint);
        signature::hmac_sha256(&key, &[channel_type.as_bytes(), b"\0", credential.as_bytes()])
    }
}
