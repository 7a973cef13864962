//! The exam that every adapter sits: the same requirements for all of them, tried against the adapter itself.
//!
//! A requirement of the contract (`CONTRACT.md`) is a [`Requirement`]; what an adapter brings is an [`Examinee`]: fields, payloads
//! that its platform sent, and how its platform answers. The rest is here: a real server on this machine takes the platform's
//! place, answers, refuses, falls silent or cuts the connection, and what the adapter makes of it is judged. Two things run it,
//! so that both say the same: a test for each adapter and requirement (`conformance!`), and `ii-claw channels exam`.
//!
//! Must hold: what an adapter does not declare ([`crate::Caps`], [`Case::PlatformCant`], [`Case::NotBuilt`]) is never counted as
//! met, has a reason that says whether the platform can't or nobody built it, and is looked into: it must be refused or told of,
//! and read of nothing. Where there are two roads, both are tried, and the worse counts. The exam waits for what happens, not for
//! time to pass; only "no answer comes" has to wait, and has a client of little patience for it.
//!
//! Rejected: recorded HTTP in place of a server. It can't fall silent or cut a connection, and it knows what is asked only as
//! well as whoever recorded it.

pub mod bearer;
pub mod body;
mod configuration;
pub mod description;
pub mod doors;
mod failures;
mod features;
mod inbound;
mod memory;
mod page;
mod payload;
mod record;
mod reports;
mod requirement;
mod room;
mod secrets;
mod server;
mod talk;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
pub(crate) use self::tests::conformance;

use std::time::Duration;

use claw_types::{ChannelId, Inbound, MediaKind};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use uuid::Uuid;

use self::doors::Door;
pub use self::page::WRITTEN_BY_HAND;
pub(crate) use self::payload::payloads;
pub use self::payload::{Case, Payload};
pub use self::requirement::{Outcome, Requirement};
use self::room::Room;
use self::secrets::Notes;
pub use self::server::{Answer, Asked, FILES, Mood};
pub use self::talk::Talk;
use crate::{Entry, RawRequest};

/// The time at which the exam takes place, in seconds since 1970: signatures with a time in them are made for it.
pub const NOW: i64 = 1_700_000_000;
/// The channel that sits the exam: secrets that are made of its id are made for it.
pub const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(7));
/// Longer than anything may take that is not meant to.
const SOON: Duration = Duration::from_secs(20);

/// What an adapter brings to its exam.
pub trait Examinee: Sync {
    /// Example fields of a channel, whose platform is at `server`; a list is a text with commas, as the console sends it.
    fn fields(&self, server: &str) -> Value;

    /// Its page of the documentation, compiled in: `docs/channels/<type>.md`. Empty for a type that has none: the catalogue shows
    /// all of it, and a page is needed only for what is written by hand below.
    fn page(&self) -> &'static str {
        ""
    }

    /// How people's messages come in.
    fn road(&self) -> Road;

    /// Another way to set a channel up, where that changes how people's messages come in or what the platform is asked: its fields, all of
    /// them, and its road. What depends on it is tried both ways.
    fn other_road(&self, _server: &str) -> Option<(Value, Road)> {
        None
    }

    /// Why the platform's proof that a request is its own does not cover the body, where that is so.
    fn unsigned_body(&self) -> Option<&'static str> {
        None
    }

    /// What the platform sent, and how the adapter reads it.
    fn payloads(&self) -> &'static [Payload];

    /// What the channel's own account wrote, as the platform shows it.
    fn own(&self) -> Case {
        Case::Payload("own")
    }

    /// A message of a group that addresses the bot.
    fn addressed(&self) -> Case {
        Case::Payload("addressed")
    }

    /// One of a group that does not.
    fn unaddressed(&self) -> Case {
        Case::Payload("unaddressed")
    }

    /// A chat to send to, and a thread in it where the platform has threads.
    fn chat(&self) -> (&'static str, Option<&'static str>);

    /// The platform's id of a message of that chat.
    fn message_id(&self) -> &'static str;

    /// A reaction that can be put on that message, where not all can.
    fn reaction(&self) -> &'static str {
        "👍"
    }

    /// The texts in what was sent: in the body of a call or, where there is no platform, in a frame to the gateways.
    fn texts(&self, body: &[u8]) -> Vec<String>;

    /// The messages that are answered by what was sent, in the same bodies, as they are named there. An adapter that declares `reply_to`
    /// is not believed without it.
    fn answered(&self, _body: &[u8]) -> Vec<String> {
        Vec::new()
    }

    /// How [`Examinee::message_id`] is named where it is answered. A name that the platform gives for this alone is that of the answers
    /// of [`Platform::answer`]: a text is sent before, from which the channel can learn it.
    fn answered_as(&self) -> &'static str {
        self.message_id()
    }

    /// The commands in the body of a call that offers people some or, without a platform, in the welcome of [`Road::Gateway`]. An adapter
    /// that declares `commands` is not believed without it.
    fn offered(&self, _body: &[u8]) -> Vec<String> {
        Vec::new()
    }

    /// Where the platform is reached by something else than HTTP. Each is a port of the exam's server, which `fields` is told in the
    /// query of the server's address, by the door's name.
    fn doors(&self) -> &'static [Door] {
        &[]
    }

    /// The platform that the exam's server stands for; `None` where gateways serve people themselves.
    fn platform(&self) -> Option<&'static dyn Platform> {
        None
    }
}

/// A platform, as the exam's server plays it.
pub trait Platform: Sync {
    /// What it answers to a call that is right.
    fn answer(&self, asked: &Asked) -> Answer;

    /// How it refuses with this status. With 429 it asks to wait for [`Platform::wait`].
    fn refusal(&self, status: u16) -> Answer;

    /// For how long it asks to wait; where it does not say, what the adapter makes of that.
    fn wait(&self) -> Duration {
        Duration::from_secs(7)
    }

    /// Whether a call fits the platform's own description of it; the error says what does not.
    ///
    /// # Errors
    /// What does not fit.
    fn check(&self, asked: &Asked) -> Result<(), String>;

    /// Where the description is from; `None` when the platform has published none.
    fn described_by(&self) -> Option<&'static str>;

    /// Whether it takes a call that is made twice as one: then what may have happened is simply tried again.
    fn knows_repeated_calls(&self) -> bool;

    /// Where it is to fetch an attachment, for platforms that fetch by themselves and not from everywhere.
    fn media_url(&self, server: &str, kind: MediaKind) -> String {
        format!("{server}{FILES}{}", kind.as_str())
    }

    /// What it hands out for the secrets of a channel and takes in their place, such as access tokens: as secret as these.
    fn hands_out(&self) -> &'static [&'static str] {
        &[]
    }

    /// Why the secret of a channel with these fields is in the addresses that are called, where the platform's API leaves no choice.
    fn secret_in_addresses(&self, _fields: &Value) -> Option<&'static str> {
        None
    }
}

/// A request with a body, signed with a secret at a time in seconds since 1970.
pub type Sign = fn(secret: &str, body: &str, time: i64) -> RawRequest;

/// How people's messages come in.
#[derive(Clone, Copy)]
pub enum Road {
    /// The platform posts them to the channel's webhook address.
    Webhook {
        /// What it signs with: the value of a secret field of [`Examinee::fields`], or the name of a key that only the platform has.
        secret: &'static str,
        /// How it signs.
        sign: Sign,
    },
    /// The adapter asks for them.
    Poll {
        /// Whether it asks for them with this.
        is_poll: fn(&Asked) -> bool,
        /// The answer with a payload in it.
        answer: fn(payload: &str) -> Answer,
    },
    /// The adapter opens a WebSocket, by which the platform tells of them.
    Socket(Talk),
    /// People are connected to the gateway.
    Gateway {
        /// Reads what one of them sent.
        read: fn(&str) -> Result<Vec<Inbound>, String>,
        /// What one who comes is told of a channel with these fields.
        welcome: fn(&Map<String, Value>) -> String,
    },
}

/// What the exam found of one adapter, requirement by requirement.
#[derive(Debug, Clone)]
pub struct Report {
    /// The adapter.
    pub channel_type: &'static str,
    /// In the order of [`Requirement::ALL`].
    pub outcomes: Vec<(Requirement, Outcome)>,
}

impl Report {
    /// Whether nothing failed.
    pub fn is_passed(&self) -> bool {
        !self.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }
}

/// Examines an adapter.
pub async fn examine(entry: &'static Entry) -> Report {
    let notes = Notes::default();
    let mut outcomes = Vec::new();
    for requirement in Requirement::ALL.iter().copied() {
        let outcome = match requirement {
            // Of all that was said before, so it comes last.
            Requirement::Secrets => secrets::kept(entry, &notes),
            _ => notes.listen(sit(entry, requirement, &notes)).await,
        };
        outcomes.push((requirement, outcome));
    }
    Report { channel_type: entry.name, outcomes }
}

/// One requirement: by each road on which something depends.
async fn sit(entry: &'static Entry, requirement: Requirement, notes: &Notes) -> Outcome {
    let found = sit_on(entry, requirement, notes, false).await;
    if !requirement.is_of_the_road() || (entry.examinee)().other_road("").is_none() {
        return found;
    }
    let other = sit_on(entry, requirement, notes, true).await;
    requirement.together(found, other)
}

/// One requirement, in a room of its own.
async fn sit_on(entry: &'static Entry, requirement: Requirement, notes: &Notes, is_other: bool) -> Outcome {
    let found = async {
        let room =
            if is_other { Room::enter_other(entry, notes).await? } else { Room::enter(entry, notes).await? };
        judge(&room, requirement).await
    };
    match tokio::time::timeout(SOON, found).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(why)) => Outcome::Failed(why),
        Err(_) => Outcome::Failed(format!("it was not over after {} s", SOON.as_secs())),
    }
}

/// What was found; an error is what is not as it must be.
type Found = Result<Outcome, String>;

fn judge<'a>(room: &'a Room<'_>, requirement: Requirement) -> BoxFuture<'a, Found> {
    use Requirement as R;
    match requirement {
        R::Configuration => Box::pin(async { configuration::round_trips(room) }),
        R::Documentation => Box::pin(async { configuration::is_documented(room) }),
        R::Payloads => Box::pin(inbound::payloads_decode(room)),
        R::Forged => Box::pin(inbound::forged_is_refused(room)),
        R::Replayed => Box::pin(inbound::replayed_counts_once(room)),
        R::OwnMessages => Box::pin(inbound::own_is_marked(room)),
        R::Mention => Box::pin(inbound::mention_is_told(room)),
        R::SessionKey => Box::pin(inbound::session_is_stable(room)),
        R::Edits | R::Deletions | R::PeoplesReactions | R::Replies | R::Receipts => {
            Box::pin(reports::told(room, requirement))
        }
        R::Commands => Box::pin(reports::commands(room)),
        R::Probe => Box::pin(failures::probe_asks(room)),
        R::RateLimited => Box::pin(failures::rate_limit(room)),
        R::ServerError => Box::pin(failures::server_error(room)),
        R::TimeOut => Box::pin(failures::time_out(room)),
        R::CutConnection => Box::pin(failures::cut(room)),
        R::Unreachable => Box::pin(failures::unreachable(room)),
        R::RevokedToken => Box::pin(failures::revoked(room)),
        R::Stop => Box::pin(failures::stop(room)),
        R::LongText => Box::pin(features::long_text(room)),
        R::DescribedCalls => Box::pin(features::calls_are_described(room)),
        R::SecretFreeAddresses => Box::pin(secrets::not_in_addresses(room)),
        R::Secrets => Box::pin(std::future::ready(Err("is judged of all others together".to_owned()))),
        feature => Box::pin(features::works(room, feature)),
    }
}
