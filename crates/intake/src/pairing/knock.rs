//! A stranger's message: asked about, held, an invitation, or ignored.

use claw_store::pairing::Known;
use claw_store::{Channel, NewMessage, PairingBook, PairingState, Person, Result};
use claw_types::{Inbound, MessageId, Work};

use super::{HELD, PENDING, REQUEST_GOOD_FOR, code, decide, letter, person, words};
use crate::Desk;

/// What became of it.
#[derive(Debug)]
pub(crate) enum Knocked {
    /// Its sender was let in a moment ago.
    Passes(Box<NewMessage>),
    /// It was dealt with under this id, and this is to be delivered.
    Handled(MessageId, Vec<Work>),
    /// It is ignored.
    Refused,
}

/// Answers a stranger. `known` is what was known of the batch's people when it came: what it rules out costs no transaction, so a
/// flood of strangers costs one statement for each batch.
///
/// # Errors
/// When the database fails: the platform must send the message again.
pub(crate) async fn knock(
    desk: Desk<'_>,
    channel: &Channel,
    known: &Known,
    message: Inbound,
) -> Result<Knocked> {
    let Some(person) = person(&message) else { return Ok(Knocked::Refused) };
    let text = message.text.as_deref().unwrap_or_default();
    let invitation = if known.invited > 0 { code::invitation(text) } else { None };
    let futile = match known.people.get(&person.id) {
        Some((PairingState::Denied, _)) => true,
        Some((_, held)) => *held >= HELD,
        None => known.pending >= PENDING,
    };
    if futile && invitation.is_none() {
        return Ok(Knocked::Refused);
    }
    let message = NewMessage::inbound(channel, message, desk.ids, desk.clock)?;
    let mut knocking =
        Knocking { desk, channel, person, message, book: desk.store.pairing_book(channel).await? };
    if let Some(code) = invitation
        && let Some(committed) = knocking.redeem(&code).await?
    {
        return knocking.handled(committed).await;
    }
    let standing = knocking.book.of_person(&knocking.person.id).await?;
    let committed = match standing {
        Some(pairing) if pairing.state == PairingState::Approved => {
            return Ok(Knocked::Passes(Box::new(knocking.message)));
        }
        Some(pairing) if pairing.state == PairingState::Pending => {
            let claimed = knocking.book.claim(&knocking.message).await?;
            if claimed && !knocking.book.hold(pairing.id, &knocking.message, HELD).await? {
                return Ok(Knocked::Refused);
            }
            Vec::new()
        }
        None => match knocking.ask().await? {
            Some(committed) => committed,
            None => return Ok(Knocked::Refused),
        },
        Some(_) => return Ok(Knocked::Refused),
    };
    knocking.handled(committed).await
}

struct Knocking<'a> {
    desk: Desk<'a>,
    channel: &'a Channel,
    person: Person,
    message: NewMessage,
    book: PairingBook,
}

impl Knocking<'_> {
    async fn handled(self, committed: Vec<Work>) -> Result<Knocked> {
        self.book.commit().await?;
        Ok(Knocked::Handled(self.message.id, committed))
    }

    /// Makes a request of a stranger's first message, and tells them its code; `None` when too many wait.
    async fn ask(&mut self) -> Result<Option<Vec<Work>>> {
        let waiting = self.book.in_state(PairingState::Pending).await?.len();
        if i64::try_from(waiting).is_ok_and(|waiting| waiting >= PENDING) {
            return Ok(None);
        }
        if !self.book.claim(&self.message).await? {
            return Ok(Some(Vec::new()));
        }
        let (ids, code) = (self.desk.ids, code::of_request(self.desk.ids));
        let pairing = self.book.add(ids.next(), &code, Some(&self.person), REQUEST_GOOD_FOR).await?;
        self.book.hold(pairing.id, &self.message, HELD).await?;
        let reply = letter(self.channel, &self.person, words::asked(&code), ids)?;
        let reply = self.book.accept(&reply).await?;
        self.book.tell("pairing.requested").await?;
        Ok(Some(vec![reply]))
    }

    /// Lets somebody in who has an invitation; `None` when the code is none. The message is not passed on: it is a code.
    async fn redeem(&mut self, code: &str) -> Result<Option<Vec<Work>>> {
        let found = self.book.of_code(code).await?;
        let Some(invitation) = found.filter(|found| found.state == PairingState::Invited) else {
            return Ok(None);
        };
        if !self.book.claim(&self.message).await? {
            return Ok(Some(Vec::new()));
        }
        let mut released = Vec::new();
        if let Some(request) = self.book.of_person(&self.person.id).await? {
            released = self.book.release(request.id).await?;
            self.book.remove(request.id).await?;
        }
        self.book.give(invitation.id, &self.person).await?;
        let mut committed = decide::let_in(
            self.desk,
            self.channel,
            &mut self.book,
            &invitation,
            &self.person,
            "invitation",
            released.len(),
        )
        .await?;
        committed.extend(released);
        Ok(Some(committed))
    }
}
