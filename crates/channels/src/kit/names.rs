//! Names that a platform tells only when it is asked: of people and of groups.
//!
//! They are asked for between reading a message and storing it, while the platform waits for its answer. So they are remembered for
//! a day, and what takes longer than a moment is done without: a person is then called by their id, as before their name was known.
//!
//! Must hold: nobody is asked for more often than once an hour when the platform refuses, and once a minute when it is away, however much
//! they write.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_types::{Deed, Inbound};
use futures::future::join_all;
use tokio::time::timeout;
use tracing::debug;

use super::newest::Newest;
use crate::ChannelError;

/// For how long the platform's answer is waited for: it wants its own within a second.
const MOMENT: Duration = Duration::from_millis(250);
/// Names that are remembered, of one channel.
const MOST: usize = 1000;
/// How long a name is good for.
const LIFE: TimeDelta = TimeDelta::days(1);
/// After what time somebody is asked for again whose name the platform does not tell.
const UNTOLD: TimeDelta = TimeDelta::hours(1);
/// The same when it was not the platform's decision.
const AWAY: TimeDelta = TimeDelta::minutes(1);

/// Those of one channel.
pub struct Names(Mutex<Newest<Known>>);

struct Known {
    name: Option<String>,
    until: DateTime<Utc>,
}

impl Default for Names {
    fn default() -> Self {
        Self(Mutex::new(Newest::of(MOST)))
    }
}

impl Names {
    fn known(&self) -> MutexGuard<'_, Newest<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name, if it is known.
    pub fn of(&self, id: &str) -> Option<String> {
        self.known().get(id)?.name.clone()
    }

    /// Remembers a name that the platform told without being asked. The same again changes nothing, so that who is told of often does not
    /// push others out.
    pub fn told(&self, id: &str, name: &str, now: DateTime<Utc>) {
        let mut all = self.known();
        let is_known =
            all.get(id).is_some_and(|known| known.name.as_deref() == Some(name) && known.until > now);
        if !is_known {
            all.insert(id.to_owned(), Known { name: Some(name.to_owned()), until: now + LIFE });
        }
    }

    /// Asks for the names of those that are not known (any more), all at once; each is asked for once, however often it is given.
    pub async fn learn<F>(&self, ids: Vec<String>, now: DateTime<Utc>, ask: impl Fn(String) -> F)
    where
        F: Future<Output = Result<Option<String>, ChannelError>>,
    {
        let mut unknown = ids;
        unknown.sort();
        unknown.dedup();
        {
            let mut known = self.known();
            unknown.retain(|id| known.get(id).is_none_or(|known| known.until <= now));
            // Others that ask meanwhile do without, so that a burst is one call.
            for id in &unknown {
                let name = known.remove(id).and_then(|known| known.name);
                known.insert(id.clone(), Known { name, until: now + AWAY });
            }
        }
        let asked = unknown.into_iter().map(|id| {
            let told = timeout(MOMENT, ask(id.clone()));
            async move { (id, told.await) }
        });
        for (id, told) in join_all(asked).await {
            let (name, lasts) = match told {
                Ok(Ok(Some(name))) => (Some(name), LIFE),
                Ok(Ok(None) | Err(ChannelError::Permanent(_) | ChannelError::BadCredentials(_))) => {
                    (None, UNTOLD)
                }
                Ok(Err(error)) => {
                    debug!("a name is not told: {error}");
                    continue;
                }
                Err(_) => continue,
            };
            self.known().insert(id, Known { name, until: now + lasts });
        }
    }

    /// Calls the senders of messages by their names, as far as these are known; `key` is by what they are asked for.
    pub fn call(&self, messages: &mut [Inbound], key: impl Fn(&Inbound) -> Option<String>) {
        for message in messages {
            let name = key(message).and_then(|key| self.of(&key));
            if let (Some(name), Some(sender)) = (name, message.sender.as_mut()) {
                sender.display_name = name;
            }
        }
    }
}

/// Whether it matters who it was: of what the account itself wrote, and of receipts, nobody asks.
pub fn matters(message: &Inbound) -> bool {
    !message.is_own && !matches!(message.deed, Deed::Received(_))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use claw_types::Sender;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    /// How often the platform is asked, if it answers so.
    async fn asked(
        names: &Names,
        of: &[&str],
        minute: i64,
        answer: Result<Option<String>, ChannelError>,
    ) -> usize {
        let count = AtomicUsize::new(0);
        let ask = |_| {
            count.fetch_add(1, Ordering::Relaxed);
            ready(answer.clone())
        };
        names.learn(ids(of), at(minute), ask).await;
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_a_day() {
        let (names, ada) = (Names::default(), Ok(Some("Ada".to_owned())));
        assert_eq!(asked(&names, &["1", "2", "1"], 0, ada.clone()).await, 2);
        assert_eq!(asked(&names, &["1", "2"], 24 * 60 - 1, ada.clone()).await, 0);
        assert_eq!(names.of("1").as_deref(), Some("Ada"));
        assert_eq!(asked(&names, &["1"], 24 * 60, Err(ChannelError::Retryable("later".to_owned()))).await, 1);
        assert_eq!(names.of("1").as_deref(), Some("Ada"), "the old name is better than none");
    }

    #[tokio::test]
    async fn who_is_not_told_is_asked_for_seldom() {
        let refused = || Err(ChannelError::Permanent("no profile".to_owned()));
        let names = Names::default();
        assert_eq!(asked(&names, &["1"], 0, refused()).await, 1);
        assert_eq!(asked(&names, &["1"], 59, refused()).await, 0);
        assert_eq!(asked(&names, &["1"], 60, Ok(None)).await, 1);
        assert_eq!(asked(&names, &["1"], 119, Ok(None)).await, 0);
        let away = || Err(ChannelError::Retryable("away".to_owned()));
        assert_eq!(asked(&names, &["2"], 0, away()).await, 1);
        assert_eq!((asked(&names, &["2"], 0, away()).await, asked(&names, &["2"], 1, away()).await), (0, 1));
    }

    #[tokio::test]
    async fn who_was_told_of_is_not_asked_for() {
        let names = Names::default();
        names.told("1", "Ada", at(0));
        assert_eq!(asked(&names, &["1"], 24 * 60 - 1, Ok(None)).await, 0);
        names.told("1", "Ada", at(24 * 60));
        assert_eq!(asked(&names, &["1"], 24 * 60, Ok(None)).await, 0, "it is good for another day");
        names.told("1", "Ada L", at(24 * 60));
        assert_eq!(names.of("1").as_deref(), Some("Ada L"));
        for _ in 0..=MOST {
            names.told("2", "Bo", at(24 * 60));
        }
        assert_eq!(names.of("1").as_deref(), Some("Ada L"), "the same again pushes nobody out");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_a_moment_only() {
        let (names, began) = (Names::default(), tokio::time::Instant::now());
        names.learn(ids(&["1", "2"]), at(0), |_| pending()).await;
        assert_eq!(began.elapsed(), MOMENT);
        assert_eq!(names.of("1"), None);
    }

    #[tokio::test]
    async fn senders_are_called_by_their_names() {
        let names = Names::default();
        names.learn(ids(&["1"]), at(0), |_| ready(Ok(Some("Ada".to_owned())))).await;
        let from = |id: &str| {
            let id = id.to_owned();
            let sender = Sender { display_name: id.clone(), platform_id: id, internal_user: None };
            Inbound { sender: Some(sender), ..Inbound::default() }
        };
        let mut messages = [from("1"), from("2"), Inbound::default()];
        names.call(&mut messages, |message| Some(message.sender.as_ref()?.platform_id.clone()));
        let called: Vec<_> = messages
            .iter()
            .map(|one| one.sender.as_ref().map(|sender| sender.display_name.as_str()))
            .collect();
        assert_eq!(called, [Some("Ada"), Some("2"), None]);
        assert!(matters(&messages[0]) && !matters(&Inbound { is_own: true, ..from("1") }));
    }
}
