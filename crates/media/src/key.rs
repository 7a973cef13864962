//! The name of an attachment in the store: a message's id below the day that the id carries.
//!
//! The day lets expiry look at old days only, however many objects there are. Nothing a user wrote is in a name.

use std::fmt;

use chrono::{DateTime, Datelike as _, Utc};
use object_store::path::Path;
use uuid::Uuid;

/// Which attachment: that of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaKey(Uuid);

/// Year, month, day.
pub(crate) type Day = [u32; 3];

impl MediaKey {
    /// The attachment of the message with this id.
    pub fn new(message: Uuid) -> Self {
        Self(message)
    }

    /// The day in the id; ids without a time are filed before all others.
    fn day(self) -> Day {
        let stamp = self.0.get_timestamp().map(|stamp| stamp.to_unix());
        let seconds = stamp.and_then(|(seconds, _)| i64::try_from(seconds).ok());
        seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map_or([0; 3], day_of)
    }

    pub(crate) fn path(self) -> Path {
        Path::from(self.to_string())
    }

    /// The key of an object, when it is one of ours.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let key = Self(Uuid::try_parse(path.filename()?).ok()?);
        (key.path() == *path).then_some(key)
    }
}

impl fmt::Display for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day] = self.day();
        write!(f, "{year:04}/{month:02}/{day:02}/{}", self.0)
    }
}

pub(crate) fn day_of(at: DateTime<Utc>) -> Day {
    [u32::try_from(at.year()).unwrap_or_default(), at.month(), at.day()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_lies_below_its_day() {
        let id = Uuid::try_parse("01941f29-7c00-7aaa-8aaa-aaaaaaaaaaaa").unwrap();
        assert_eq!(MediaKey::new(id).to_string(), format!("2025/01/01/{id}"));
        let undated = Uuid::nil();
        assert_eq!(MediaKey::new(undated).to_string(), format!("0000/00/00/{undated}"));
    }

    #[test]
    fn only_our_own_names_are_keys() {
        let id = Uuid::nil();
        for foreign in [format!("2025/01/01/{id}"), id.to_string(), "0000/00/00/report.pdf".to_owned()] {
            assert_eq!(MediaKey::at(&Path::from(foreign.as_str())), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn every_id_has_one_path(id: u128) {
            let key = MediaKey::new(Uuid::from_u128(id));
            prop_assert_eq!(MediaKey::at(&key.path()), Some(key));
        }
    }
}
