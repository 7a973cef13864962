//! A platform: answers as Telegram's Bot API (<https://core.telegram.org/bots/api>) does, for thousands of bots in the
//! process of the test, and remembers who polled when.
//!
//! In this process because what is measured is when polls begin and end, on one clock; the emulator of
//! `tests/peers/telegram` is the judge of what the calls must look like.
//!
//! What must hold: a poll has ended when its client is gone, answered or not, so the handler's own drop tells; and of two
//! polls of one bot the older ends with a 409, as at Telegram, and is counted.

mod calls;
mod record;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use claw_runtime::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

pub use record::{Conflict, End, Faults, Gap, Poll, Reacted, Sent, Typing};

use record::Record;
use socket::{Accept, Peer};

/// What follows a bot's number in its token.
const SECRET: &str = "stand-in-for-a-bots-secret";
/// Connections that may wait to be accepted: all bots of a worker come at the same time.
const BACKLOG: u32 = 8192;

/// The running platform.
pub struct Platform {
    record: Arc<Record>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Platform {
    /// Listens on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Listens on this address.
    ///
    /// # Panics
    /// When it is taken.
    #[expect(clippy::unused_async, reason = "must be called within the runtime that serves it")]
    pub async fn start_on(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an address that was in use");
        socket.bind(address).expect("a free port");
        let listener = socket.listen(BACKLOG).expect("the platform can listen");
        let address = listener.local_addr().expect("a bound address");
        let record = Arc::new(Record::default());
        let app = Router::new().route("/{bot}/{method}", post(calls::call)).with_state(Arc::clone(&record));
        let service = app.into_make_service_with_connect_info::<Peer>();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let task = tokio::spawn(async move {
            axum::serve(Accept(listener), service).await.expect("the platform serves");
        });
        Self { record, address, task }
    }

    /// What a channel's `api_url` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token of bot `n`; every number is a bot.
    pub fn bot(&self, n: u32) -> String {
        format!("{n}:{SECRET}")
    }

    /// A person writes to bot `n` in a private chat; handed out until the bot confirms it. Tells the message's id.
    pub fn inject(&self, n: u32, chat: i64, text: &str) -> i64 {
        self.record.inject(n, chat, text)
    }

    /// The person changes a message (<https://core.telegram.org/bots/api#update>).
    pub fn edit(&self, n: u32, chat: i64, message: i64, text: &str) {
        let mut edited = record::message(chat, message, text);
        edited["edit_date"] = edited["date"].clone();
        self.record.update(n, "edited_message", |_| edited);
    }

    /// The person's reactions to a message were these and are those
    /// (<https://core.telegram.org/bots/api#messagereactionupdated>).
    pub fn react(&self, n: u32, chat: i64, message: i64, old: &[&str], new: &[&str]) {
        let emoji = |all: &[&str]| -> Value {
            all.iter().map(|emoji| json!({"type": "emoji", "emoji": emoji})).collect()
        };
        let changed = json!({
            "chat": record::private(chat), "message_id": message, "user": record::person(chat),
            "date": SystemClock.now().timestamp(), "old_reaction": emoji(old), "new_reaction": emoji(new),
        });
        self.record.update(n, "message_reaction", |_| changed);
    }

    /// The person writes a reply to what the bot sent. Tells the reply's id.
    pub fn reply(&self, n: u32, chat: i64, to: &Sent, text: &str) -> i64 {
        let mut answered = record::message(chat, to.id, &to.text);
        answered["from"] = json!({"id": n, "is_bot": true, "first_name": "Bot"});
        self.record.update(n, "message", |id| {
            let mut reply = record::message(chat, id, text);
            reply["reply_to_message"] = answered;
            reply
        })
    }

    /// How many bots have an open poll.
    pub fn polling(&self) -> usize {
        *self.record.polling.borrow()
    }

    /// Waits until exactly `count` bots have an open poll; `false` when it takes longer than `limit`.
    pub async fn wait_for_polling(&self, count: usize, limit: Duration) -> bool {
        let mut polling = self.record.polling.subscribe();
        let reached = polling.wait_for(|open| *open == count);
        tokio::time::timeout(limit, reached).await.is_ok()
    }

    /// The polls of bot `n`, in the order of their arrival.
    pub fn polls(&self, n: u32) -> Vec<Poll> {
        self.record.with(n, |bot| bot.polls.clone())
    }

    /// The times that bot `n` had no open poll between two polls.
    pub fn gaps(&self, n: u32) -> Vec<Gap> {
        record::gaps(&self.polls(n))
    }

    /// Each time that a poll arrived while another one of the same bot was open.
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.record.conflicts().clone()
    }

    /// From now on, each bot's messages fail like this.
    pub fn misbehave(&self, faults: Faults) {
        self.record.misbehave(faults);
    }

    /// A person deletes a message of bot `n`.
    pub fn delete(&self, n: u32, id: i64) {
        self.record.sent().retain(|sent| sent.bot != n || sent.id != id);
    }

    /// Each time that a bot showed that it is writing, in order.
    pub fn typing(&self) -> Vec<Typing> {
        self.record.typing().clone()
    }

    /// Each reaction of a bot, in order.
    pub fn reacted(&self) -> Vec<Reacted> {
        self.record.reacted().clone()
    }

    /// What bots sent and did not take back, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.record.sent().clone()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}
