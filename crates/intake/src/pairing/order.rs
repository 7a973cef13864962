//! What an owner tells the bot to do: `/pair CODE`, `/pair deny CODE`, `/pair list`.

use claw_store::{Actor, Channel, NewMessage, PairingBook, PairingState, Result};
use claw_types::{Inbound, MessageId, Work};

use super::{code, decide, letter, person, words};
use crate::Desk;

/// An owner's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Let in who has this code.
    Approve(String),
    /// Turn away who has this code.
    Deny(String),
    /// Show who waits.
    List,
    /// Say what can be ordered.
    Help,
}

impl Order {
    /// The order in a message; `None` when it is for the backend.
    pub(crate) fn read(message: &Inbound) -> Option<Self> {
        let text = message.text.as_deref()?.trim();
        let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        // Telegram's own apps write the bot's name behind a command.
        if command.split_once('@').map_or(command, |(command, _)| command) != "/pair" {
            return None;
        }
        let rest = rest.trim();
        let (word, more) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Some(match word.to_ascii_lowercase().as_str() {
            "" | "help" => Self::Help,
            "list" => Self::List,
            "deny" => Self::Deny(more.trim().to_owned()),
            _ => Self::Approve(rest.to_owned()),
        })
    }
}

/// Does what an owner says and answers, in one transaction. The id stands for the message, and what else comes of it is to be
/// delivered; nothing when the platform sent it again.
///
/// # Errors
/// When the database fails: then nothing was done, and the platform must send the message again.
pub(crate) async fn obey(
    desk: Desk<'_>,
    channel: &Channel,
    message: Inbound,
    order: Order,
) -> Result<(MessageId, Vec<Work>)> {
    let owner = person(&message);
    let message = NewMessage::inbound(channel, message, desk.ids, desk.clock)?;
    let Some(owner) = owner else { return Ok((message.id, Vec::new())) };
    let mut book = desk.store.pairing_book(channel).await?;
    if !book.claim(&message).await? {
        return Ok((message.id, Vec::new()));
    }
    let actor = Actor::named(&format!("owner {}", owner.id));
    let (said, mut committed) = act(desk, channel, &mut book, order, &actor).await?;
    committed.push(book.accept(&letter(channel, &owner, said, desk.ids)?).await?);
    book.commit().await?;
    Ok((message.id, committed))
}

/// What the owner is told, and what else is to be delivered.
async fn act(
    desk: Desk<'_>,
    channel: &Channel,
    book: &mut PairingBook,
    order: Order,
    actor: &Actor,
) -> Result<(String, Vec<Work>)> {
    let typed = match &order {
        Order::Help => return Ok((words::help(), Vec::new())),
        Order::List => {
            let pending = book.in_state(PairingState::Pending).await?;
            return Ok((words::waiting(&pending, desk.clock.now()), Vec::new()));
        }
        Order::Approve(typed) | Order::Deny(typed) => typed,
    };
    let found = match code::read(typed) {
        Some(code) => book.of_code(&code).await?,
        None => None,
    };
    let found = found.and_then(|found| Some((found.person.clone()?, found)));
    Ok(match (order, found) {
        (Order::Approve(_), Some((person, request))) if request.state == PairingState::Pending => {
            let committed = decide::admit(desk, channel, book, &request, &person, actor).await?;
            (words::approved(&person), committed)
        }
        (Order::Approve(_), Some((person, before))) if before.state == PairingState::Approved => {
            (words::approved_before(&person), Vec::new())
        }
        (Order::Deny(_), Some((person, request))) if request.state == PairingState::Pending => {
            decide::refuse(channel, book, &request, actor).await?;
            (words::denied(&person), Vec::new())
        }
        (order, _) => match order {
            Order::Approve(typed) | Order::Deny(typed) => (words::no_such_code(&typed), Vec::new()),
            Order::List | Order::Help => (words::help(), Vec::new()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_people_type_them() {
        let read = |text: &str| Order::read(&Inbound { text: Some(text.to_owned()), ..Inbound::default() });
        assert_eq!(read("/pair abcd-2345"), Some(Order::Approve("abcd-2345".to_owned())));
        assert_eq!(read("  /pair@our_bot  ABCD 2345 "), Some(Order::Approve("ABCD 2345".to_owned())));
        assert_eq!(read("/pair deny ABCD2345"), Some(Order::Deny("ABCD2345".to_owned())));
        assert_eq!(read("/pair Deny"), Some(Order::Deny(String::new())));
        assert_eq!(read("/pair list"), Some(Order::List));
        assert_eq!(read("/pair"), Some(Order::Help));
        for other in ["/pairs", "pair ABCD2345", "please /pair ABCD2345", ""] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(Order::read(&Inbound::default()), None);
    }
}
