//! The guard against two programs that answer each other for ever.
//!
//! Where a platform tells which messages programs wrote, it is these that are counted, in a channel that listens to programs at
//! all. Where it does not tell, any direct message may be a program's: all of them are counted, with room for whatever a person writes.
//! But not files: a person shares a hundred photos in one go, which some platforms bring as so many messages, and what answers
//! programs on and on does it with texts.
//!
//! Counted in the process, not in the database: a channel that polls is in one process, and of several gateways that
//! share one channel's requests each lets so many pass, which still ends a loop. It comes before the commit, so a message that could not be
//! stored comes again: the same one counts once, or a person would lose some for a fault of ours.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claw_types::Inbound;
use tokio::time::Instant;

/// Messages of programs that pass in one conversation within [`WINDOW`].
pub(crate) const PACE: usize = 20;
/// Direct messages without a file that pass in one conversation within [`WINDOW`] where nobody tells whether a program wrote them.
pub(crate) const UNTOLD_PACE: usize = 60;
/// The time in which messages are counted.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Conversations that are remembered at most.
const REMEMBERED: usize = 1000;
/// Conversations that are remembered before it is worth looking which ones are quiet.
const FEW: usize = 16;

/// What was written lately in one channel. It is shared by whatever is made of the channel while it is loaded anew, or each time would
/// begin at zero.
#[derive(Debug)]
pub struct Pace {
    programs: Guard,
    /// Of direct messages without a file, where nobody tells which are programs'.
    untold: Option<Guard>,
}

impl Pace {
    /// Of a channel whose platform tells which messages programs wrote, or does not.
    pub fn new(tells_programs: bool) -> Self {
        // Who is not remembered is refused if it is a program, and let pass if it may be a person.
        let untold = (!tells_programs).then(|| Guard::new(UNTOLD_PACE, true));
        Self { programs: Guard::new(PACE, false), untold }
    }

    /// Whether another message may pass now.
    pub(crate) fn admits(&self, message: &Inbound, now: Instant) -> bool {
        let untold = self.untold.as_ref().filter(|_| !message.is_group && message.media.is_none());
        let guard = if message.sender_is_bot { Some(&self.programs) } else { untold };
        let key = message.dedup_key.as_deref().or(message.platform_message_id.as_deref());
        guard.is_none_or(|guard| guard.admits(&message.conversation(), key.map(hashed), now))
    }
}

fn hashed(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// When a message was written, and what tells it from others, if anything does.
type Written = (Instant, Option<u64>);

/// When messages were written last, by conversation.
#[derive(Debug)]
struct Guard {
    pace: usize,
    /// What becomes of conversations for which there is no room.
    admits_others: bool,
    seen: Mutex<Seen>,
}

/// The conversations that are remembered.
#[derive(Debug, Default)]
struct Seen {
    times: HashMap<String, VecDeque<Written>>,
    /// With so many conversations it is worth looking which ones are quiet.
    look_through: usize,
}

impl Guard {
    fn new(pace: usize, admits_others: bool) -> Self {
        Self { pace, admits_others, seen: Mutex::default() }
    }

    fn admits(&self, conversation: &str, key: Option<u64>, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.times.contains_key(conversation) {
            seen.forget_quiet(now);
            if seen.times.len() >= REMEMBERED {
                return self.admits_others;
            }
        }
        let times = seen.times.entry(conversation.to_owned()).or_default();
        while times.front().is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            times.pop_front();
        }
        if key.is_some() && times.iter().any(|(_, before)| *before == key) {
            return true;
        }
        let admitted = times.len() < self.pace;
        if admitted {
            times.push_back((now, key));
        }
        admitted
    }
}

impl Seen {
    fn forget_quiet(&mut self, now: Instant) {
        if self.times.len() < self.look_through.clamp(FEW, REMEMBERED) {
            return;
        }
        self.times.retain(|_, times| times.back().is_some_and(|(at, _)| now.duration_since(*at) < WINDOW));
        // As many again may come before it is worth looking.
        self.look_through = 2 * self.times.len();
    }
}

#[cfg(test)]
mod tests {
    use claw_types::{MediaKind, MediaRef};

    use super::*;

    #[test]
    fn it_remembers_no_more_than_it_may() {
        for admits_others in [false, true] {
            let (guard, now) = (Guard::new(2, admits_others), Instant::now());
            for n in 0..REMEMBERED {
                assert!(guard.admits(&n.to_string(), None, now));
            }
            assert_eq!(guard.admits("one more", None, now), admits_others);
            assert!(guard.admits("0", None, now), "those that are known go on");
            assert!(!guard.admits("0", None, now), "at their pace");
            assert!(guard.admits("one more", None, now + WINDOW), "the quiet ones are forgotten");
        }
    }

    #[test]
    fn what_comes_again_because_it_was_not_stored_counts_once() {
        let (pace, now) = (Pace::new(false), Instant::now());
        let said = |id: usize| Inbound {
            recipient: "ada".to_owned(),
            platform_message_id: Some(id.to_string()),
            ..Inbound::default()
        };
        for _ in 0..3 {
            for id in 0..UNTOLD_PACE {
                assert!(pace.admits(&said(id), now), "{id}");
            }
        }
        assert!(!pace.admits(&said(UNTOLD_PACE), now), "another one");
        assert!(!pace.admits(&Inbound { platform_message_id: None, ..said(0) }, now), "which may be any");
        assert!(pace.admits(&said(UNTOLD_PACE), now + WINDOW));
    }

    #[test]
    fn who_shares_many_photos_loses_none_and_a_loop_ends_by_its_texts() {
        let (pace, now) = (Pace::new(false), Instant::now());
        let said = Inbound { recipient: "ada".to_owned(), ..Inbound::default() };
        let media = MediaRef { kind: MediaKind::Image, handle: "1".to_owned(), filename: None, mime: None };
        let photo = Inbound { media: Some(media), ..said.clone() };
        let share = || (0..3 * UNTOLD_PACE).all(|_| pace.admits(&photo, now));
        assert!(share());
        for n in 0..UNTOLD_PACE {
            assert!(pace.admits(&said, now), "{n}: photos took the turn of texts");
        }
        assert!(!pace.admits(&said, now), "another text");
        assert!(share(), "behind it, too");
        let programs = Inbound { sender_is_bot: true, ..photo.clone() };
        for n in 0..PACE {
            assert!(pace.admits(&programs, now), "{n}");
        }
        assert!(!pace.admits(&programs, now), "where a platform tells that a program wrote, its files count");
    }

    #[test]
    fn quiet_conversations_are_forgotten_long_before_there_is_no_room() {
        let (guard, start) = (Guard::new(2, false), Instant::now());
        let known = || guard.seen.lock().unwrap().times.len();
        // Two new ones in each second: as many as there are in a window are busy.
        let busy = 2 * usize::try_from(WINDOW.as_secs()).unwrap();
        for n in 0..20 * busy {
            let now = start + Duration::from_millis(500) * u32::try_from(n).unwrap();
            assert!(guard.admits(&n.to_string(), None, now));
            assert!(known() <= 2 * busy + 1, "{} after {n}", known());
        }
        assert!(known() >= busy, "those that are busy are remembered");
        let later = start + WINDOW * 30;
        for n in 0..2 * busy {
            guard.admits(&format!("later {n}"), None, later);
        }
        assert!(known() <= 2 * busy + 1, "the others are forgotten");
    }
}
