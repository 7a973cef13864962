//! Secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key derived from the master key.
//!
//! Layout: 12 bytes nonce, then ciphertext and tag. The additional data binds a sealed value to its place (the
//! channel's id), so that a row copied to another channel does not open.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};

use crate::{MasterKey, Purpose};

const NONCE: usize = 12;

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Sealed under a master key that is not among those of this process.
    #[error(
        "sealed under master key {sealed}, but this process knows {known} only: add the key it was sealed with to \
         II_CLAW_OTHER_MASTER_KEYS, or set II_CLAW_MASTER_KEY to it if it was not to be replaced"
    )]
    UnknownKey {
        /// The id of the key it was sealed with.
        sealed: String,
        /// The ids of the keys we have.
        known: String,
    },
    /// Damaged, or moved from another place.
    #[error("the sealed value is damaged or belongs elsewhere")]
    Damaged,
}

/// A sealed value as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which master key.
    pub key_id: String,
    /// Nonce, ciphertext, tag.
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// Seals `plain` for `place`. `nonce` must never repeat: draw it from the secure randomness.
    ///
    /// # Errors
    /// Only for values beyond the cipher's 64 GiB.
    pub fn seal(key: &MasterKey, nonce: [u8; NONCE], place: &[u8], plain: &[u8]) -> Result<Self, SealError> {
        let payload = Payload { msg: plain, aad: place };
        let sealed = cipher(key).encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Damaged)?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(Self { key_id: key.id(), bytes })
    }

    /// What was sealed for `place` under `key`; [`crate::KeyRing::open`] finds the key.
    ///
    /// # Errors
    /// When it was sealed under another key, for another place, or was changed.
    pub(crate) fn open(&self, key: &MasterKey, place: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = self.bytes.split_first_chunk::<NONCE>().ok_or(SealError::Damaged)?;
        let payload = Payload { msg: sealed, aad: place };
        cipher(key).decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Damaged)
    }
}

fn cipher(key: &MasterKey) -> Aes256Gcm {
    Aes256Gcm::new(&key.derive(Purpose::Seal).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_its_key_and_in_its_place() {
        let key = MasterKey::from_api_key("k");
        let sealed = Sealed::seal(&key, [7; NONCE], b"channel-1", b"123:token").unwrap();
        assert!(!sealed.bytes.windows(5).any(|w| w == b"token"));
        assert_eq!(sealed.open(&key, b"channel-1").unwrap(), b"123:token");
        assert_eq!(sealed.open(&key, b"channel-2"), Err(SealError::Damaged));
        assert_eq!(sealed.open(&MasterKey::from_api_key("other"), b"channel-1"), Err(SealError::Damaged));
        let mut changed = sealed.clone();
        changed.bytes[20] ^= 1;
        assert_eq!(changed.open(&key, b"channel-1"), Err(SealError::Damaged));
    }
}
