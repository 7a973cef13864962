//! The heartbeat of a user's agent: the times at which it is told what could wait.
//!
//! A user's heartbeats lie at the multiples of the interval, since 1970, plus an offset of the user's own: everybody's
//! at once would be a burst every half hour. They follow from the user and the interval alone, so nothing needs to
//! remember the last one. The offset is computed anew for each wake-up, so a changed hash would only shift the beat.

use chrono::{DateTime, TimeDelta, Utc};
use xxhash_rust::xxh3::xxh3_64;

use crate::UserId;

/// Seconds between a user's heartbeats unless the user has set something else.
pub const DEFAULT_SECS: u32 = 1_800;
/// The shortest interval.
pub const MIN_SECS: u32 = 60;
/// The longest interval.
pub const MAX_SECS: u32 = 86_400;

/// The user's first heartbeat after `now`.
pub fn next(user: &UserId, every_secs: u32, now: DateTime<Utc>) -> DateTime<Utc> {
    let every = i64::from(every_secs.clamp(MIN_SECS, MAX_SECS));
    // Within 0..every, so it fits.
    let offset = i64::try_from(xxh3_64(user.as_str().as_bytes()) % every.unsigned_abs()).unwrap_or_default();
    let since = (now.timestamp() - offset).rem_euclid(every);
    let second = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now);
    second + TimeDelta::seconds(every - since)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    #[test]
    fn users_do_not_beat_at_once() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let times: HashSet<_> =
            (0..100).map(|n| next(&user(&format!("user-{n}")), DEFAULT_SECS, now)).collect();
        assert!(times.len() > 80, "{} different seconds", times.len());
    }

    proptest! {
        #[test]
        fn the_next_heartbeat_is_within_one_interval_and_stays_until_it_has_come(
            millis in 0..4_000_000_000_000_i64, every in MIN_SECS..=MAX_SECS, name in "[a-z]{1,8}",
        ) {
            let (user, now) = (user(&name), DateTime::from_timestamp_millis(millis).unwrap());
            let beat = next(&user, every, now);
            prop_assert!(beat > now && beat - now <= TimeDelta::seconds(every.into()));
            prop_assert_eq!(next(&user, every, beat - TimeDelta::milliseconds(1)), beat);
            prop_assert_eq!(next(&user, every, beat), beat + TimeDelta::seconds(every.into()));
        }
    }
}
