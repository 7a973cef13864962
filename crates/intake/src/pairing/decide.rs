//! Deciding: by the API, or for an owner who writes to the bot.

use std::time::Duration;

use claw_store::{Actor, Change, Channel, Error, Pairing, PairingBook, PairingState, Person, Result};
use claw_types::Work;
use serde_json::json;

use super::{DENIED_FOR, INVITATIONS, code, letter, words};
use crate::Desk;

/// What there is none of when a code is wrong.
const REQUEST: &str = "request with this code in this channel: it may have expired";
const PAIRING: &str = "request, person or invitation with this code in this channel: it may have expired";

/// Lets in the person whose request has this code. Tells what is to be delivered now: their welcome, and what was held. Doing it
/// again changes nothing.
///
/// # Errors
/// [`Error::NotFound`] when no request has the code.
pub async fn approve(
    desk: Desk<'_>,
    channel: &Channel,
    typed: &str,
    actor: &Actor,
) -> Result<(Pairing, Vec<Work>)> {
    let mut book = desk.store.pairing_book(channel).await?;
    let found = find(&mut book, typed).await?.and_then(|found| Some((found.person.clone()?, found)));
    let (person, request) = found.ok_or(Error::NotFound(REQUEST))?;
    let committed = match request.state {
        PairingState::Approved => return Ok((request, Vec::new())),
        // Turned away by mistake: nothing is held of them any more.
        PairingState::Pending | PairingState::Denied => {
            admit(desk, channel, &mut book, &request, &person, actor).await?
        }
        PairingState::Invited => return Err(Error::NotFound(REQUEST)),
    };
    let approved = book.of_code(&request.code).await?.ok_or(Error::NotFound(REQUEST))?;
    book.commit().await?;
    Ok((approved, committed))
}

/// Turns away who waits, for a day; from everybody else, takes back what they have: an approval, an invitation, a denial.
/// Tells how it was.
///
/// # Errors
/// [`Error::NotFound`] when nothing has the code.
pub async fn deny(desk: Desk<'_>, channel: &Channel, typed: &str, actor: &Actor) -> Result<Pairing> {
    let mut book = desk.store.pairing_book(channel).await?;
    let pairing = find(&mut book, typed).await?.ok_or(Error::NotFound(PAIRING))?;
    refuse(channel, &mut book, &pairing, actor).await?;
    book.commit().await?;
    Ok(pairing)
}

/// Makes an invitation that is good for so long.
///
/// # Errors
/// [`Error::TooMany`] when [`INVITATIONS`] are open.
pub async fn invite(desk: Desk<'_>, channel: &Channel, good_for: Duration, actor: &Actor) -> Result<Pairing> {
    let mut book = desk.store.pairing_book(channel).await?;
    let open = book.in_state(PairingState::Invited).await?.len();
    if i64::try_from(open).is_ok_and(|open| open >= INVITATIONS) {
        return Err(Error::TooMany { what: "open invitations to this channel", limit: INVITATIONS });
    }
    let invitation = book.add(desk.ids.next(), &code::of_invitation(desk.ids), None, good_for).await?;
    note(&mut book, channel, "pairing.invited", &invitation, actor).await?;
    book.commit().await?;
    Ok(invitation)
}

async fn find(book: &mut PairingBook, typed: &str) -> Result<Option<Pairing>> {
    match code::read(typed) {
        Some(code) => book.of_code(&code).await,
        None => Ok(None),
    }
}

/// Lets in somebody who asked, with what was held of them.
pub(super) async fn admit(
    desk: Desk<'_>,
    channel: &Channel,
    book: &mut PairingBook,
    request: &Pairing,
    person: &Person,
    actor: &Actor,
) -> Result<Vec<Work>> {
    let released = book.release(request.id).await?;
    let mut committed = let_in(desk, channel, book, request, person, &actor.name, released.len()).await?;
    committed.extend(released);
    note(book, channel, "pairing.approved", request, actor).await?;
    Ok(committed)
}

/// Writes down that somebody is let in, and tells them.
pub(super) async fn let_in(
    desk: Desk<'_>,
    channel: &Channel,
    book: &mut PairingBook,
    pairing: &Pairing,
    person: &Person,
    by: &str,
    passed_on: usize,
) -> Result<Vec<Work>> {
    book.decide(pairing.id, PairingState::Approved, by, None).await?;
    let welcome = letter(channel, person, words::welcome(passed_on), desk.ids)?;
    let welcome = book.accept(&welcome).await?;
    book.tell("pairing.approved").await?;
    Ok(vec![welcome])
}

/// Turns somebody away, or takes back what they have.
pub(super) async fn refuse(
    channel: &Channel,
    book: &mut PairingBook,
    pairing: &Pairing,
    actor: &Actor,
) -> Result<()> {
    if pairing.state == PairingState::Pending {
        book.discard(pairing.id).await?;
        book.decide(pairing.id, PairingState::Denied, &actor.name, Some(DENIED_FOR)).await?;
    } else {
        book.remove(pairing.id).await?;
    }
    if matches!(pairing.state, PairingState::Pending | PairingState::Approved) {
        book.tell("pairing.denied").await?;
    }
    let action = match pairing.state {
        PairingState::Pending => "pairing.denied",
        PairingState::Invited | PairingState::Approved | PairingState::Denied => "pairing.revoked",
    };
    note(book, channel, action, pairing, actor).await
}

async fn note(
    book: &mut PairingBook,
    channel: &Channel,
    action: &'static str,
    pairing: &Pairing,
    actor: &Actor,
) -> Result<()> {
    let person = pairing.person.as_ref().map(|person| &person.id);
    let detail = json!({"pairing": pairing.id, "person": person, "before": pairing.state.as_str()});
    book.audit(actor, &Change { action, subject: channel.instance.as_str(), detail }).await
}
