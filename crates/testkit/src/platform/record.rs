//! What happened at the platform: polls, conflicts, messages.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_runtime::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::socket::Peer;

/// One call of `getUpdates`, from its arrival to its end.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// When it arrived.
    pub began: Instant,
    /// When it ended and how; `None` while it is open.
    pub ended: Option<(Instant, End)>,
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was answered, with updates or without.
    Answered,
    /// A newer poll of the same bot arrived.
    Conflict,
    /// The client is gone.
    Closed,
}

/// A time without an open poll.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// When the poll before it ended.
    pub began: Instant,
    /// Why that ended.
    pub end: End,
    /// Until the next poll arrived.
    pub lasted: Duration,
}

/// Two polls of one bot at a time.
#[derive(Debug, Clone, Copy)]
pub struct Conflict {
    /// Whose.
    pub bot: u32,
    /// When the older poll arrived, and from where.
    pub older: (Instant, SocketAddr),
    /// When the newer one did.
    pub newer: (Instant, SocketAddr),
}

/// A message that a bot sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// Which bot.
    pub bot: u32,
    /// The platform's id of it in its chat.
    pub id: i64,
    /// To whom.
    pub chat: String,
    /// What; the newest text if it was changed.
    pub text: String,
    /// Whether it was changed.
    pub edited: bool,
    /// The texts that it had before, the first one first.
    pub former: Vec<String>,
    /// The rows of buttons below it (<https://core.telegram.org/bots/api#inlinekeyboardmarkup>); null for none.
    pub buttons: Value,
}

/// Somebody was shown that the bot is writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// When.
    pub at: Instant,
    /// Which bot.
    pub bot: u32,
    /// To whom.
    pub chat: String,
}

/// A bot put a reaction on a message, or took its own away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reacted {
    /// Which bot.
    pub bot: u32,
    /// In which chat.
    pub chat: String,
    /// To which message.
    pub message: i64,
    /// With what; none takes it away.
    pub emoji: Option<String>,
}

/// How the platform fails. Counted for each bot by the calls that would send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every so manieth call is answered 429, and nothing is sent; 0 for none.
    pub refused: u32,
    /// How many seconds a 429 asks to wait; 0 for one.
    pub wait: u32,
    /// After every so many messages that were taken, the connection is closed instead of an answer; 0 for none.
    pub dropped: u32,
    /// Every so manieth call is refused for good, because the person blocked the bot; 0 for none.
    pub forbidden: u32,
    /// What was taken is answered so much later.
    pub slow: Duration,
}

/// What becomes of a call that would send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    Refused,
    Forbidden,
    Dropped,
}

/// Every time between two polls in which none was open.
pub(super) fn gaps(polls: &[Poll]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut last: Option<(Instant, End)> = None;
    for poll in polls {
        if let Some((began, end)) = last
            && poll.began > began
        {
            gaps.push(Gap { began, end, lasted: poll.began - began });
        }
        let Some(ended) = poll.ended else { break };
        if last.is_none_or(|(when, _)| ended.0 > when) {
            last = Some(ended);
        }
    }
    gaps
}

pub(super) struct Bot {
    pub(super) polls: Vec<Poll>,
    /// The places in `polls` of those that are open.
    open: Vec<(usize, Peer)>,
    pub(super) updates: VecDeque<(i64, Value)>,
    last_id: i64,
    /// Calls that would send a message, and those of them that did.
    calls: u32,
    taken: u32,
    /// Counts what an open poll has to look at: updates, newer polls.
    news: watch::Sender<u64>,
}

impl Bot {
    fn new() -> Self {
        let news = watch::Sender::new(0);
        Self {
            polls: Vec::new(),
            open: Vec::new(),
            updates: VecDeque::new(),
            last_id: 0,
            calls: 0,
            taken: 0,
            news,
        }
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Counts a call that would send a message: what becomes of it.
    pub(super) fn fate(&mut self, faults: Faults) -> Fate {
        let each = |n: u32, of: u32| of > 0 && n.is_multiple_of(of);
        self.calls += 1;
        if each(self.calls, faults.refused) {
            return Fate::Refused;
        }
        if each(self.calls, faults.forbidden) {
            return Fate::Forbidden;
        }
        self.taken += 1;
        if each(self.taken, faults.dropped) { Fate::Dropped } else { Fate::Answered }
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Notes the end of a poll; the first word on it stands.
    fn end(&mut self, place: usize, end: End) {
        self.polls[place].ended.get_or_insert((Instant::now(), end));
    }
}

/// Everything that happened.
#[derive(Default)]
pub(super) struct Record {
    bots: Mutex<BTreeMap<u32, Bot>>,
    conflicts: Mutex<Vec<Conflict>>,
    sent: Mutex<Vec<Sent>>,
    typing: Mutex<Vec<Typing>>,
    reacted: Mutex<Vec<Reacted>>,
    faults: Mutex<Faults>,
    /// How many bots have an open poll.
    pub(super) polling: watch::Sender<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    pub(super) fn with<T>(&self, n: u32, use_bot: impl FnOnce(&mut Bot) -> T) -> T {
        use_bot(lock(&self.bots).entry(n).or_insert_with(Bot::new))
    }

    pub(super) fn conflicts(&self) -> MutexGuard<'_, Vec<Conflict>> {
        lock(&self.conflicts)
    }

    pub(super) fn sent(&self) -> MutexGuard<'_, Vec<Sent>> {
        lock(&self.sent)
    }

    pub(super) fn typing(&self) -> MutexGuard<'_, Vec<Typing>> {
        lock(&self.typing)
    }

    pub(super) fn reacted(&self) -> MutexGuard<'_, Vec<Reacted>> {
        lock(&self.reacted)
    }

    pub(super) fn misbehave(&self, faults: Faults) {
        *lock(&self.faults) = faults;
    }

    pub(super) fn faults(&self) -> Faults {
        *lock(&self.faults)
    }

    /// A person's message; tells its id.
    pub(super) fn inject(&self, n: u32, chat: i64, text: &str) -> i64 {
        self.update(n, "message", |id| message(chat, id, text))
    }

    /// Something that happens; tells the id that it has, or a message that it makes.
    pub(super) fn update(&self, n: u32, kind: &str, update: impl FnOnce(i64) -> Value) -> i64 {
        self.with(n, |bot| {
            let id = bot.next_id();
            bot.updates.push_back((id, json!({"update_id": id, kind: update(id)})));
            bot.tell();
            id
        })
    }
}

/// The person of a private chat.
pub(super) fn person(chat: i64) -> Value {
    json!({"id": chat, "is_bot": false, "first_name": "Ada"})
}

/// What the person of a private chat wrote.
pub(super) fn message(chat: i64, id: i64, text: &str) -> Value {
    json!({
        "message_id": id, "date": SystemClock.now().timestamp(), "text": text, "chat": private(chat), "from": person(chat),
    })
}

/// A private chat.
pub(super) fn private(chat: i64) -> Value {
    json!({"id": chat, "type": "private", "first_name": "Ada"})
}

/// An open poll. Dropped with the handler, which the server drops when the client is gone.
pub(super) struct Open<'a> {
    record: &'a Record,
    bot: u32,
    place: usize,
    end: End,
}

impl<'a> Open<'a> {
    /// Notes that a poll arrived. The receiver tells of what it has to look at.
    pub(super) fn begin(record: &'a Record, n: u32, peer: Peer) -> (Self, watch::Receiver<u64>) {
        record.with(n, |bot| {
            let poll = Poll { peer: peer.address, began: Instant::now(), ended: None };
            for index in 0..bot.open.len() {
                let (place, older) = &bot.open[index];
                let place = *place;
                if older.is_gone() {
                    bot.end(place, End::Closed);
                } else if bot.polls[place].ended.is_none() {
                    let older = (bot.polls[place].began, bot.polls[place].peer);
                    let newer = (poll.began, poll.peer);
                    record.conflicts().push(Conflict { bot: n, older, newer });
                    bot.end(place, End::Conflict);
                }
            }
            let place = bot.polls.len();
            bot.polls.push(poll);
            bot.open.push((place, peer));
            bot.tell();
            if bot.open.len() == 1 {
                record.polling.send_modify(|count| *count += 1);
            }
            let mut news = bot.news.subscribe();
            news.mark_unchanged();
            (Self { record, bot: n, place, end: End::Closed }, news)
        })
    }

    /// Whether a newer poll arrived.
    pub(super) fn is_older(&self, bot: &Bot) -> bool {
        self.place + 1 < bot.polls.len()
    }

    /// It ends with an answer.
    pub(super) fn close(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Self { record, bot, place, end } = *self;
        record.with(bot, |bot| {
            bot.end(place, end);
            bot.open.retain(|(other, _)| *other != place);
            if bot.open.is_empty() {
                record.polling.send_modify(|count| *count -= 1);
            }
        });
    }
}
