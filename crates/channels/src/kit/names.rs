//! What people are called on platforms that name them by ids only, and have to be asked.
//!
//! Asked once for each person and kept for some hours, for all channels of a process by the account that asks: a channel is made anew
//! whenever it is changed. One is asked for after the other, and nobody's message waits for long: who has no name in time keeps the id.
//!
//! Must hold: an account is told nothing that another one was; an account that is to wait, or may not ask, does not.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature::sha256;
use claw_types::{Inbound, Sender};
use tokio::time::timeout;
use tracing::debug;

use crate::Deps;

/// People who are remembered, at about 150 bytes.
const MOST_PEOPLE: usize = 50_000;
/// Accounts that are remembered.
const MOST_ACCOUNTS: usize = 10_000;
/// Seconds for which a name counts.
const KEPT: i64 = 6 * 3600;
/// Seconds before somebody is asked for again who has no name.
const AGAIN: i64 = 600;
/// How long messages wait for the names of who wrote them.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nobody is asked for after somebody was not told in that time, so that not every message waits.
const SLOW: Duration = Duration::from_secs(30);

/// An account by which people can be looked up.
#[async_trait]
pub trait Directory: Sync {
    /// Whether this is the id of somebody who has a name.
    fn has(&self, id: &str) -> bool;

    /// What the platform says.
    async fn ask(&self, id: &str) -> Asked;
}

/// What a platform says when it is asked for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The name; `None` for somebody who has none, or whom the account can't see.
    Name(Option<String>),
    /// Not now: nobody is to be asked for meanwhile.
    Later(Duration),
}

/// The names that a process knows.
#[derive(Debug, Default)]
pub struct Names(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    people: HashMap<[u8; 32], Person>,
    accounts: HashMap<[u8; 32], Arc<Account>>,
}

#[derive(Debug)]
struct Person {
    name: Option<String>,
    /// In seconds since 1970.
    until: i64,
}

#[derive(Debug, Default)]
struct Account {
    /// Until when nobody is asked for, in seconds since 1970.
    pause: AtomicI64,
    /// Held by who asks.
    asking: tokio::sync::Mutex<()>,
}

impl Account {
    fn is_to_wait(&self, now: i64) -> bool {
        now < self.pause.load(Ordering::Relaxed)
    }

    fn wait(&self, now: i64, wait: Duration) {
        let wait = i64::try_from(wait.as_secs()).unwrap_or(KEPT).max(1);
        self.pause.store(now.saturating_add(wait), Ordering::Relaxed);
    }
}

impl Names {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, id: [u8; 32], now: i64) -> Arc<Account> {
        let mut known = self.known();
        if known.accounts.len() >= MOST_ACCOUNTS && !known.accounts.contains_key(&id) {
            known.accounts.retain(|_, account| Arc::strong_count(account) > 1 || account.is_to_wait(now));
        }
        Arc::clone(known.accounts.entry(id).or_default())
    }
}

/// The people of one account.
pub struct People {
    account: [u8; 32],
    deps: Deps,
}

impl People {
    /// Of the account that `credential` names: all on which it depends who is seen.
    pub fn new(credential: &[&str], deps: Deps) -> Self {
        let parts: Vec<u8> = credential.iter().flat_map(|part| sha256(part.as_bytes())).collect();
        Self { account: sha256(&parts), deps }
    }

    /// Asks for those who wrote and whose names are not known, as far as there is time.
    pub async fn learn(&self, directory: &dyn Directory, messages: &[Inbound]) {
        let unknown: BTreeSet<&str> = {
            let now = self.now();
            let senders = messages
                .iter()
                .filter(|message| !message.is_own)
                .filter_map(|message| message.sender.as_ref());
            let ids = senders.filter(|sender| is_nameless(sender)).map(|sender| sender.platform_id.as_str());
            ids.filter(|id| directory.has(id) && self.is_due(id, now)).collect()
        };
        if unknown.is_empty() {
            return;
        }
        let account = self.deps.http.names().account(self.account, self.now());
        if account.is_to_wait(self.now()) {
            return;
        }
        let asked = timeout(PATIENCE, async {
            let _one_at_a_time = account.asking.lock().await;
            for id in unknown {
                self.ask(directory, &account, id).await;
            }
        });
        if asked.await.is_err() {
            debug!(channel = %self.deps.channel_id, "names are not told in time: ids stand in their place");
            account.wait(self.now(), SLOW);
        }
    }

    /// Puts the names that are known in the place of ids.
    pub fn fill(&self, messages: &mut [Inbound]) {
        let nameless = messages.iter_mut().filter_map(|message| message.sender.as_mut());
        for sender in nameless.filter(|sender| is_nameless(sender)) {
            let known = self.deps.http.names().known();
            if let Some(Person { name: Some(name), .. }) = known.people.get(&self.key(&sender.platform_id)) {
                sender.display_name.clone_from(name);
            }
        }
    }

    async fn ask(&self, directory: &dyn Directory, account: &Account, id: &str) {
        let now = self.now();
        // Whoever asked before may have been told, or refused.
        if account.is_to_wait(now) || !self.is_due(id, now) {
            return;
        }
        match directory.ask(id).await {
            Asked::Name(name) => {
                let until = now + if name.is_some() { KEPT } else { AGAIN };
                self.keep(id, Person { name, until }, now);
            }
            Asked::Later(wait) => account.wait(now, wait),
        }
    }

    fn keep(&self, id: &str, person: Person, now: i64) {
        let mut known = self.deps.http.names().known();
        if known.people.len() >= MOST_PEOPLE {
            known.people.retain(|_, person| now < person.until);
        }
        if known.people.len() >= MOST_PEOPLE {
            known.people.clear();
        }
        known.people.insert(self.key(id), person);
    }

    fn is_due(&self, id: &str, now: i64) -> bool {
        let known = self.deps.http.names().known();
        known.people.get(&self.key(id)).is_none_or(|person| now >= person.until)
    }

    fn key(&self, id: &str) -> [u8; 32] {
        sha256(&[&self.account, id.as_bytes()].concat())
    }

    fn now(&self) -> i64 {
        self.deps.clock.now().timestamp()
    }
}

/// Whether somebody is called by the id only.
fn is_nameless(sender: &Sender) -> bool {
    sender.display_name == sender.platform_id
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use chrono::{DateTime, TimeDelta};
    use claw_runtime::ManualClock;

    use super::*;
    use crate::adapters::webhook::testing::{NOW, Recorder, deps};

    /// Knows Ada, and counts how often it is asked.
    #[derive(Default)]
    struct Book {
        asked: AtomicUsize,
        is_busy: bool,
        is_silent: bool,
    }

    #[async_trait]
    impl Directory for Book {
        fn has(&self, id: &str) -> bool {
            id.starts_with('U')
        }

        async fn ask(&self, id: &str) -> Asked {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.is_silent {
                std::future::pending::<()>().await;
            }
            if self.is_busy {
                return Asked::Later(Duration::from_secs(30));
            }
            Asked::Name((id == "U1").then(|| "Ada".to_owned()))
        }
    }

    impl Book {
        fn asked(&self) -> usize {
            self.asked.swap(0, Ordering::SeqCst)
        }
    }

    fn set() -> (Arc<ManualClock>, Deps) {
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
        let deps = Deps { clock: clock.clone(), ..deps(Arc::new(Recorder::default())) };
        (clock, deps)
    }

    /// What those of these ids are called.
    async fn called(people: &People, book: &Book, ids: &[&str]) -> Vec<String> {
        let from = |id: &&str| Inbound {
            sender: Some(Sender {
                platform_id: (*id).to_owned(),
                display_name: (*id).to_owned(),
                internal_user: None,
            }),
            ..Inbound::default()
        };
        let mut messages: Vec<_> = ids.iter().map(from).collect();
        people.learn(book, &messages).await;
        people.fill(&mut messages);
        messages.into_iter().map(|message| message.sender.unwrap().display_name).collect()
    }

    #[tokio::test]
    async fn somebody_is_asked_for_once_by_whichever_channel_of_the_account() {
        let (clock, deps) = set();
        let book = Book::default();
        let of = |token: &str| People::new(&["https://example.org", token], deps.clone());
        assert_eq!(called(&of("a"), &book, &["U1", "U2", "B3", "U1"]).await, ["Ada", "U2", "B3", "Ada"]);
        assert_eq!(book.asked(), 2);
        assert_eq!(called(&of("a"), &book, &["U1", "U2"]).await, ["Ada", "U2"]);
        assert_eq!(book.asked(), 0, "who has no name is remembered, too");
        called(&of("another"), &book, &["U1"]).await;
        assert_eq!(book.asked(), 1);
        clock.advance(TimeDelta::seconds(AGAIN));
        called(&of("a"), &book, &["U1", "U2"]).await;
        assert_eq!(book.asked(), 1, "U2 may have a name now");
        clock.advance(TimeDelta::seconds(KEPT));
        called(&of("a"), &book, &["U1"]).await;
        assert_eq!(book.asked(), 1, "and U1 another one");
    }

    #[tokio::test]
    async fn an_account_that_is_to_wait_asks_for_nobody() {
        let (clock, deps) = set();
        let people = People::new(&["a"], deps);
        let busy = Book { is_busy: true, ..Book::default() };
        assert_eq!(called(&people, &busy, &["U1", "U2"]).await, ["U1", "U2"]);
        assert_eq!(busy.asked(), 1);
        let book = Book::default();
        clock.advance(TimeDelta::seconds(29));
        called(&people, &book, &["U1"]).await;
        assert_eq!(book.asked(), 0);
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(called(&people, &book, &["U1"]).await, ["Ada"]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobodys_message_waits_for_long() {
        let (clock, deps) = set();
        let people = People::new(&["a"], deps);
        let begun = tokio::time::Instant::now();
        let silent = Book { is_silent: true, ..Book::default() };
        assert_eq!(called(&people, &silent, &["U1", "U2"]).await, ["U1", "U2"]);
        assert_eq!(called(&people, &silent, &["U1"]).await, ["U1"]);
        assert_eq!(begun.elapsed(), PATIENCE, "the next one does not wait");
        clock.advance(TimeDelta::seconds(30));
        assert_eq!(called(&people, &Book::default(), &["U1"]).await, ["Ada"]);
    }
}
