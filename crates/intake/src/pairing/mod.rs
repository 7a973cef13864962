//! Letting strangers in: `dm_policy: pairing`.
//!
//! A stranger who writes is told a code, once, and what they write meanwhile is held, as they leave it: an edit changes it, a
//! deletion drops it. An owner approves the code by `/pair CODE` in a direct message, or somebody does by the API; then the person
//! is told, and what was held goes to the backend: nobody has to write again. An invitation is the other way round: a code that
//! is made first and lets in whoever sends it.
//!
//! Must hold, whatever strangers do: a channel has at most [`PENDING`] requests and [`HELD`] messages of each, and answers each
//! once; a code is good in its channel only, and only an owner or the API can use a request's; a message that its platform sends
//! again changes nothing. What answers is a row of the same transaction as what it tells of.

mod amend;
mod code;
mod decide;
mod knock;
mod order;
mod words;

use std::time::Duration;

use claw_runtime::Ids;
use claw_store::intake::indexable;
use claw_store::{Channel, NewMessage, Person, Result};
use claw_types::{Format, Inbound, Outbound};

pub(crate) use self::amend::{Amended, amend, take_back};
pub use self::decide::{approve, deny, invite};
pub(crate) use self::knock::{Knocked, knock};
pub(crate) use self::order::{Order, obey};

/// For how long somebody can approve a request, and what its person wrote is held.
pub const REQUEST_GOOD_FOR: Duration = Duration::from_hours(1);
/// Requests of a channel that wait at a time. Who comes when there are so many is not answered.
pub const PENDING: i64 = 3;
/// Messages that are held of each person who waits: the first ones.
pub const HELD: i64 = 10;
/// For how long somebody who was turned away is not answered.
pub const DENIED_FOR: Duration = Duration::from_hours(24);
/// Invitations of a channel that are open at a time.
pub const INVITATIONS: i64 = 100;
/// For how long an invitation is good unless somebody says otherwise.
pub const INVITATION_GOOD_FOR: Duration = Duration::from_hours(24);
/// The longest that it may be good.
pub const INVITATION_LONGEST: Duration = Duration::from_hours(30 * 24);

/// Longest name of a person that is kept, in characters.
const NAME_LIMIT: usize = 100;

/// The platform's id of who wrote a message, as it is kept.
pub(crate) fn person_id(message: &Inbound) -> Option<String> {
    message.sender.as_ref().map(|sender| indexable(&sender.platform_id).into_owned())
}

/// Who wrote a message, and where they are answered. `None` when nobody can be answered.
fn person(message: &Inbound) -> Option<Person> {
    let id = person_id(message)?;
    let sender = message.sender.as_ref()?;
    // No platform has such ids, and a text column can't hold them.
    let storable = |text: &str| !text.contains('\0');
    let (recipient, thread_id) = (message.recipient.clone(), message.thread_id.clone());
    let answerable = storable(&recipient) && thread_id.as_deref().is_none_or(storable);
    answerable.then(|| Person {
        id,
        name: words::shown(&sender.display_name, NAME_LIMIT),
        recipient,
        thread_id,
    })
}

/// A text for the chat of this person.
fn letter(channel: &Channel, person: &Person, text: String, ids: &Ids) -> Result<NewMessage> {
    let body = Outbound {
        recipient: person.recipient.clone(),
        thread_id: person.thread_id.clone(),
        text: Some(text),
        // There are names in it that strangers chose.
        format: Format::Plain,
        ..Outbound::default()
    };
    NewMessage::outbound(channel, &body, ids, None)
}
/// Any text by what reads an owner's orders and people's codes, for [`crate::fuzzing`].
pub(crate) fn fuzz(text: &str) {
    drop(Order::read(&Inbound { text: Some(text.to_owned()), ..Inbound::default() }));
    if let Some(code) = code::read(text) {
        assert_eq!(code::read(&code).as_ref(), Some(&code), "a code as it is kept is one");
    }
    drop(code::invitation(text));
}
