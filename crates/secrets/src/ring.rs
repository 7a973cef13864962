//! The master keys that a process knows: the current one, which makes everything new, and others.
//!
//! Others are there while the key is replaced: before the switch the one to come, after it the one of before. What they
//! made is good; nothing new is made with them. So processes of one cluster may have different current keys, as long as each
//! knows the others'.

use std::fmt;

use crate::{MasterKey, Purpose, SealError, Sealed};

/// Master keys by their ids, the current one first; none twice.
#[derive(Debug)]
pub struct KeyRing {
    current: Known,
    others: Vec<Known>,
}

/// A key with its id, which is derived: not computed anew for each sealed value.
#[derive(Debug)]
struct Known {
    id: String,
    key: MasterKey,
}

/// Secrets of one user's job webhooks; receivers may check by any of them.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// Of the current key.
    pub current: String,
    /// Of the others.
    pub others: Vec<String>,
}

impl From<MasterKey> for Known {
    fn from(key: MasterKey) -> Self {
        Self { id: key.id(), key }
    }
}

impl From<MasterKey> for KeyRing {
    fn from(key: MasterKey) -> Self {
        Self::new(key, [])
    }
}

impl KeyRing {
    /// Of these keys. The current one may be among the others, too: so all roles can be given the same list before and after
    /// the switch.
    pub fn new(current: MasterKey, others: impl IntoIterator<Item = MasterKey>) -> Self {
        let mut ring = Self { current: current.into(), others: Vec::new() };
        for key in others.into_iter().map(Known::from) {
            if !ring.knows(&key.id) {
                ring.others.push(key);
            }
        }
        ring
    }

    /// The key that everything new is made with.
    pub fn current(&self) -> &MasterKey {
        &self.current.key
    }

    /// The current key's id.
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// All keys, the current one first.
    pub fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.each().map(|known| &known.key)
    }

    /// The ids of all keys, the current one's first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.each().map(|known| known.id.as_str())
    }

    /// Whether the key of this id is one of them.
    pub fn knows(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// What each key gives for a purpose, the current one's first.
    pub fn derive(&self, purpose: Purpose) -> Vec<[u8; 32]> {
        self.keys().map(|key| key.derive(purpose)).collect()
    }

    /// What the webhooks of a user's jobs are signed with.
    pub fn webhook_secrets(&self, user: &str) -> WebhookSecrets {
        WebhookSecrets {
            current: self.current().webhook_secret(user),
            others: self.others.iter().map(|known| known.key.webhook_secret(user)).collect(),
        }
    }

    /// What was sealed for `place`, by the key that the value names.
    ///
    /// # Errors
    /// When that key is not one of these, or the value was sealed for another place or changed.
    pub fn open(&self, sealed: &Sealed, place: &[u8]) -> Result<Vec<u8>, SealError> {
        let known = self.each().find(|known| known.id == sealed.key_id);
        let unknown = || SealError::UnknownKey { sealed: sealed.key_id.clone(), known: self.to_string() };
        sealed.open(&known.ok_or_else(unknown)?.key, place)
    }

    fn each(&self) -> impl Iterator<Item = &Known> {
        std::iter::once(&self.current).chain(&self.others)
    }
}

/// The ids, the current one's first; never a key.
impl fmt::Display for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ids().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(of: &str) -> MasterKey {
        MasterKey::from_api_key(of)
    }

    fn sealed(by: &str) -> Sealed {
        Sealed::seal(&key(by), [7; 12], b"place", b"secret").unwrap()
    }

    #[test]
    fn each_value_opens_with_the_key_that_it_names() {
        let ring = KeyRing::new(key("new"), [key("old"), key("older")]);
        for by in ["new", "old", "older"] {
            assert_eq!(ring.open(&sealed(by), b"place").unwrap(), b"secret", "{by}");
            assert_eq!(ring.open(&sealed(by), b"elsewhere"), Err(SealError::Damaged), "{by}");
        }
        // The right id does not help the wrong key.
        let renamed = Sealed { key_id: key("old").id(), ..sealed("new") };
        assert_eq!(ring.open(&renamed, b"place"), Err(SealError::Damaged));
    }

    #[test]
    fn a_value_of_an_unknown_key_says_which_and_what_to_set() {
        let ring = KeyRing::new(key("new"), [key("old")]);
        let error = ring.open(&sealed("lost"), b"place").unwrap_err().to_string();
        for part in [&key("lost").id(), ring.current_id(), &key("old").id(), "II_CLAW_OTHER_MASTER_KEYS"] {
            assert!(error.contains(part), "no {part} in {error}");
        }
    }

    #[test]
    fn no_key_is_there_twice_and_the_current_one_is_first() {
        let ring = KeyRing::new(key("a"), [key("b"), key("a"), key("b")]);
        assert_eq!(ring.ids().collect::<Vec<_>>(), [key("a").id(), key("b").id()]);
        assert_eq!(ring.derive(Purpose::MediaUrl)[0], key("a").derive(Purpose::MediaUrl));
        assert_eq!(ring.derive(Purpose::MediaUrl).len(), 2);
        let secrets = ring.webhook_secrets("ada");
        assert_eq!(secrets.current, key("a").webhook_secret("ada"));
        assert_eq!(secrets.others, [key("b").webhook_secret("ada")]);
        assert!(!format!("{ring:?}").contains("[1"));
    }
}
