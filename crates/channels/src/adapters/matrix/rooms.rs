//! What is known of the rooms that the account is in: how many people there are, what they are called, which messages there are
//! ours.
//!
//! All of it is told by the homeserver: in one look at all rooms when receiving begins, and after that whenever it changes. So it is
//! kept in memory only, no message costs a call to find out who is there, and a worker that takes over knows the same.
//!
//! Must hold: however many people write, a room keeps so many names, messages and reactions only.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use super::sync::{Batch, Event, Joined};

/// Names of a room's people that are kept; all are forgotten when there are more, and told anew by and by.
const NAMES: usize = 500;
/// Messages in a room whose authors are known, and reactions that are known by what they were.
const KEPT: usize = 200;

/// All rooms by their ids.
#[derive(Default)]
pub(super) struct Rooms(HashMap<String, Room>);

/// One of them.
#[derive(Default)]
pub(super) struct Room {
    joined: u64,
    invited: u64,
    pub(super) name: Option<String>,
    /// Whether its people were told that what is encrypted can't be read.
    pub(super) is_told: bool,
    names: HashMap<String, String>,
    /// Who wrote the last messages, by their ids.
    authors: VecDeque<(String, String)>,
    /// The ids of our messages, and whether somebody was seen to read each.
    ours: VecDeque<(String, bool)>,
    reactions: VecDeque<KnownReaction>,
}

/// A reaction that is on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownReaction {
    pub(super) id: String,
    pub(super) to: String,
    pub(super) emoji: String,
}

impl Rooms {
    /// A room; one that nothing is known of yet is like one with nobody else in it.
    pub(super) fn of(&mut self, id: &str) -> &mut Room {
        self.0.entry(id.to_owned()).or_default()
    }

    /// Whether the account is known to be in it.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }
}

impl Room {
    /// Takes what an answer says of the room beside what was written there; `notice` is the note that its people were told.
    pub(super) fn note(&mut self, told: &Joined, notice: &str) {
        self.joined = told.summary.joined.unwrap_or(self.joined);
        self.invited = told.summary.invited.unwrap_or(self.invited);
        for event in Event::all(&told.state.events) {
            self.note_state(&event);
        }
        let Batch { events } = &told.account_data;
        self.is_told |= events.iter().any(|event| event["type"] == notice);
    }

    /// Takes a name, the room's or a person's.
    pub(super) fn note_state(&mut self, event: &Event) {
        match (event.r#type.as_str(), event.state_key.as_deref()) {
            ("m.room.name", Some("")) => {
                self.name = event.text("name").filter(|name| !name.is_empty()).map(str::to_owned);
            }
            ("m.room.member", Some(person)) => {
                if self.names.len() >= NAMES {
                    self.names.clear();
                }
                // Without one, it is the id that is shown.
                let name = event.text("displayname").filter(|name| !name.trim().is_empty());
                self.names.insert(person.to_owned(), name.unwrap_or(person).to_owned());
            }
            _ => {}
        }
    }

    /// Whether more people than one can be there with the bot. By their number and not by the account's list of direct chats: that
    /// list is written by people's programs, and a bot has none.
    pub(super) fn is_group(&self) -> bool {
        self.joined.saturating_add(self.invited) > 2
    }

    /// A person's name, as far as it is known.
    pub(super) fn name_of(&self, person: &str) -> Option<&str> {
        self.names.get(person).map(String::as_str)
    }

    /// Remembers a message.
    pub(super) fn add(&mut self, id: &str, author: &str, is_own: bool) {
        if is_own {
            keep(&mut self.ours, (id.to_owned(), false));
        }
        keep(&mut self.authors, (id.to_owned(), author.to_owned()));
    }

    /// Who wrote a message; `None` of those that are not known any more.
    pub(super) fn author_of(&self, id: &str) -> Option<&str> {
        self.authors.iter().rfind(|(known, _)| known == id).map(|(_, author)| author.as_str())
    }

    /// Our messages up to this one that nobody was seen to have read before
    /// (<https://spec.matrix.org/latest/client-server-api/#receipts>: a receipt is for all before it).
    pub(super) fn read_up_to(&mut self, id: &str) -> Vec<String> {
        let Some(last) = self.ours.iter().position(|(own, _)| own == id) else { return Vec::new() };
        let new = self.ours.iter_mut().take(last + 1).filter(|(_, read)| !read);
        new.map(|(own, read)| {
            *read = true;
            own.clone()
        })
        .collect()
    }

    /// Remembers a reaction, which can be told from a message only now: a redaction names no more than an id.
    pub(super) fn add_reaction(&mut self, reaction: KnownReaction) {
        keep(&mut self.reactions, reaction);
    }

    /// The reaction of this id, which is over.
    pub(super) fn take_reaction(&mut self, id: &str) -> Option<KnownReaction> {
        let at = self.reactions.iter().position(|reaction| reaction.id == id)?;
        self.reactions.remove(at)
    }
}

/// Puts one more in, and lets the oldest go.
fn keep<T>(into: &mut VecDeque<T>, one: T) {
    if into.len() >= KEPT {
        into.pop_front();
    }
    into.push_back(one);
}

/// Who read up to which message, out of receipts (<https://spec.matrix.org/latest/client-server-api/#mreceipt>).
pub(super) fn readers(ephemeral: &Batch) -> Vec<(String, String)> {
    let receipts = ephemeral.events.iter().filter(|event| event["type"] == "m.receipt");
    let messages = receipts.filter_map(|event| event["content"].as_object()).flatten();
    let read = messages.flat_map(|(message, kinds)| {
        let people: BTreeMap<&String, &Value> =
            kinds["m.read"].as_object().map(|people| people.iter().collect()).unwrap_or_default();
        people.into_keys().map(move |person| (message.clone(), person.clone()))
    });
    read.collect()
}
