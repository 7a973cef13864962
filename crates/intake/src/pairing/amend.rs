//! What a stranger who waits does to what is held of them: edits it, or takes it back.

use claw_store::pairing::Known;
use claw_store::{Channel, NewMessage, PairingState, Result};
use claw_types::{Deed, Inbound, MessageId};

use super::person_id;
use crate::Desk;

/// What became of it.
#[derive(Debug)]
pub(crate) enum Amended {
    /// Its sender was let in a moment ago.
    Passes(Box<Inbound>),
    /// It was done to what is held under this id.
    Handled(MessageId),
    /// It is ignored.
    Refused,
}

/// Does to what is held of a stranger what they did to their message. `known` is what was known of the batch's people when it came: nothing is
/// held of those who do not wait, so a flood of strangers costs nothing here.
///
/// # Errors
/// When the database fails: the platform must send it again.
pub(crate) async fn amend(
    desk: Desk<'_>,
    channel: &Channel,
    known: &Known,
    mut message: Inbound,
) -> Result<Amended> {
    let Some(person) = person_id(&message) else { return Ok(Amended::Refused) };
    if !matches!(known.people.get(&person), Some((PairingState::Pending, _))) {
        return Ok(Amended::Refused);
    }
    let (Deed::Edited(key) | Deed::Deleted(key)) = &message.deed else { return Ok(Amended::Refused) };
    let mut book = desk.store.pairing_book(channel).await?;
    let pairing = match book.of_person(&person).await? {
        Some(pairing) if pairing.state == PairingState::Approved => {
            return Ok(Amended::Passes(Box::new(message)));
        }
        Some(pairing) if pairing.state == PairingState::Pending => pairing,
        Some(_) | None => return Ok(Amended::Refused),
    };
    let Some(held) = book.held_as(pairing.id, key).await? else { return Ok(Amended::Refused) };
    if matches!(std::mem::take(&mut message.deed), Deed::Deleted(_)) {
        book.held_remove(pairing.id, held).await?;
    } else {
        // Without a key of its own it can't be told that it is the same edit again, and does no harm.
        let is_known = message.dedup_key.is_some();
        let now = NewMessage::inbound(channel, message, desk.ids, desk.clock)?;
        let now = NewMessage { id: held, ..now };
        if !is_known || book.claim(&now).await? {
            book.held_change(held, &now).await?;
        }
    }
    book.commit().await?;
    Ok(Amended::Handled(held))
}

/// Drops what is held of a stranger and was deleted by somebody whom the platform does not name; tells under which id it was. By the key
/// alone, which finds only what we hold ourselves. `None`: it is not held, or not any more, so it is a deletion as any other.
///
/// # Errors
/// When the database fails: the platform must send it again.
pub(crate) async fn take_back(desk: Desk<'_>, channel: &Channel, key: &str) -> Result<Option<MessageId>> {
    // Nobody waits for one another over what is not held.
    let Some((pairing, held)) = desk.store.held_under(channel.id, key).await? else { return Ok(None) };
    let mut book = desk.store.pairing_book(channel).await?;
    if !book.held_remove(pairing, held).await? {
        // Its author was let in a moment ago, or turned away.
        return Ok(None);
    }
    book.commit().await?;
    Ok(Some(held))
}
