//! The master key and the keys derived from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

use crate::signature;

/// Why a text is not a master key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not base64.
    #[error("is not valid base64; make one with `openssl rand -base64 32`")]
    Base64,
    /// Not 32 bytes.
    #[error("has {0} bytes instead of 32; make one with `openssl rand -base64 32`")]
    Length(usize),
}

/// What a derived key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sealing channel secrets.
    Seal,
    /// Recognising a credential that is already in use, without storing it.
    Fingerprint,
    /// Signing media URLs.
    MediaUrl,
    /// Calls between our own roles.
    Cluster,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Seal => b"ii-claw/seal/v1",
            Self::Fingerprint => b"ii-claw/fingerprint/v1",
            Self::MediaUrl => b"ii-claw/media-url/v1",
            Self::Cluster => b"ii-claw/cluster/v1",
        }
    }
}

/// 32 bytes from which every other key comes. Never printed.
#[derive(Debug)]
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    /// Reads standard base64 of exactly 32 bytes.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| KeyError::Base64)?;
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| KeyError::Length(bytes.len()))?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// From the API key, for installations that set no master key: whoever knows the API key can then unseal.
    pub fn from_api_key(api_key: &str) -> Self {
        let mut key = [0; 32];
        expand(api_key.as_bytes(), b"ii-claw/master-from-api-key/v1", &mut key);
        Self(SecretBox::new(Box::new(key)))
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: Purpose) -> [u8; 32] {
        let mut key = [0; 32];
        expand(self.0.expose_secret(), purpose.label(), &mut key);
        key
    }

    /// What the webhooks of a user's jobs are signed with, as Standard Webhooks writes a secret. It is this user's alone and signs
    /// nothing else; nothing is stored, so another master key means another secret for everybody.
    pub fn webhook_secret(&self, user: &str) -> String {
        let mut key = [0; 32];
        expand(self.0.expose_secret(), &[b"ii-claw/job-webhook/v1/", user.as_bytes()].concat(), &mut key);
        signature::standard_secret(&key)
    }

    /// Names the key without telling it: what was sealed says by which key.
    pub fn id(&self) -> String {
        let mut id = [0; 4];
        expand(self.0.expose_secret(), b"ii-claw/key-id/v1", &mut id);
        hex::encode(id)
    }

    /// The token by which our own roles know one another.
    pub fn cluster_token(&self) -> String {
        hex::encode(self.derive(Purpose::Cluster))
    }
}

fn expand(secret: &[u8], label: &[u8], out: &mut [u8]) {
    // Expansion fails only beyond 255 * 32 bytes; the longest output here is 32.
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(label, out);
    debug_assert!(expanded.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_purpose_and_master() {
        let a = MasterKey::from_api_key("a");
        let b = MasterKey::from_api_key("b");
        assert_ne!(a.derive(Purpose::Seal), a.derive(Purpose::Cluster));
        assert_ne!(a.derive(Purpose::Seal), b.derive(Purpose::Seal));
        assert_ne!(a.id(), b.id());
        assert_eq!(a.derive(Purpose::Seal), MasterKey::from_api_key("a").derive(Purpose::Seal));
    }

    #[test]
    fn users_have_secrets_of_their_own() {
        let (a, b) = (MasterKey::from_api_key("a"), MasterKey::from_api_key("b"));
        let ada = a.webhook_secret("ada");
        assert_eq!(ada, MasterKey::from_api_key("a").webhook_secret("ada"), "the same in every process");
        assert_ne!(ada, a.webhook_secret("bob"));
        assert_ne!(ada, b.webhook_secret("ada"));
        assert_eq!(signature::standard_key(&ada).len(), 32);
    }

    #[test]
    fn a_bad_key_says_what_is_wrong() {
        assert_eq!(MasterKey::from_base64("!").unwrap_err(), KeyError::Base64);
        assert_eq!(MasterKey::from_base64("AAAA").unwrap_err(), KeyError::Length(3));
        assert!(!format!("{:?}", MasterKey::from_api_key("a")).contains("[1"));
    }
}
