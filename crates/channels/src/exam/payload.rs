//! What a platform sent, as examples; and why it never sends something.

use super::Outcome;

/// Something that the platform sent, and how the adapter reads it.
#[derive(Debug, Clone, Copy)]
pub struct Payload {
    /// Its name: that of its files, where it has files.
    pub name: &'static str,
    /// What was sent; in a folder's adapter `payloads/<name>.json`.
    pub sent: &'static str,
    /// What it is read as; in a folder's adapter `payloads/<name>.read.json`.
    pub read: &'static str,
}

/// A payload by its name, or why there can't be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// There is one.
    Payload(&'static str),
    /// The platform never sends such a thing.
    PlatformCant(&'static str),
    /// The platform has a way to send it, and nothing here takes that way.
    NotBuilt(&'static str),
}

impl Case {
    /// What becomes of a requirement for which there is no payload; `None` where there is one.
    pub(super) fn lacking(self) -> Option<(&'static str, Outcome)> {
        match self {
            Self::Payload(_) => None,
            Self::PlatformCant(why) => Some((why, Outcome::PlatformCant(why.to_owned()))),
            Self::NotBuilt(why) => Some((why, Outcome::NotBuilt(why.to_owned()))),
        }
    }
}

/// The payloads of these names, from the folder `payloads` beside the file in which this stands.
macro_rules! payloads {
    ($($name:literal),+ $(,)?) => {
        &[$($crate::exam::Payload {
            name: $name,
            sent: include_str!(concat!("payloads/", $name, ".json")),
            read: include_str!(concat!("payloads/", $name, ".read.json")),
        }),+]
    };
}
pub(crate) use payloads;
