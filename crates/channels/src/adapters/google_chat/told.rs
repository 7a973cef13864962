//! What a subscription tells of a space (`push`), as far as it means something to an agent.
//!
//! The webhook tells of what addresses the app, too, and with more about it, so the subscription's word counts for the rest alone: messages that
//! address no program. Which program one addresses is not asked: if it is this one, the webhook tells, and if not, another one answers.
//!
//! Must hold: what the app writes itself is never taken for a person's. Nothing in an event says which program wrote a message, so all of them
//! count as the app; a message has the key that the webhook gives it, so whichever tells of it twice, it counts once.

use claw_types::limits::is_emoji;
use claw_types::{Deed, Inbound, Reaction};

use super::event::{Message, Space};
use super::incoming::{self, base, is_program, time};
use super::push::{self, Event, What};

/// What an event means; nothing where it means nothing to an agent.
pub(super) fn understood(event: Event) -> Vec<Inbound> {
    match event.what {
        What::Written(messages) => messages.into_iter().flat_map(written).collect(),
        What::Edited(messages) => messages.into_iter().filter_map(edited).collect(),
        What::Deleted(messages) => messages.into_iter().filter_map(deleted).collect(),
        What::Reacted(reactions) => {
            reactions.iter().filter_map(|one| reacted(one, true, &event.id, &event.time)).collect()
        }
        What::Unreacted(reactions) => {
            reactions.iter().filter_map(|one| reacted(one, false, &event.id, &event.time)).collect()
        }
        What::Other => Vec::new(),
    }
}

fn written(message: Message) -> Vec<Inbound> {
    let Some((base, message)) = begun(message) else { return Vec::new() };
    let mut messages = incoming::written(base, message);
    messages.retain(|message| message.is_own || message.mentioned == Some(false));
    messages
}

/// Without the time of an edit nobody did it: Google tells the same of a message to which it has found the preview of a link.
fn edited(message: Message) -> Option<Inbound> {
    let at = message.last_update_time.clone()?;
    let of = message.name.clone();
    let (base, message) = begun(message)?;
    // Whom an edit addresses for the first time nobody else tells of, but it may be another program.
    let mentioned = base.mentioned;
    let now = incoming::written(base, message).into_iter().next()?;
    Some(Inbound {
        dedup_key: Some(format!("edit:{of}:{at}")),
        deed: Deed::Edited(of),
        timestamp: time(&at),
        mentioned,
        ..now
    })
}

/// Whose it was Google does not tell.
fn deleted(mut message: Message) -> Option<Inbound> {
    let space = message.space.take().or_else(|| space_of(&message.name))?;
    let base = base(&space, None, Some(&message), message.delete_time.as_deref());
    Some(Inbound {
        dedup_key: Some(format!("delete:{}", message.name)),
        platform_message_id: Some(message.name.clone()),
        deed: Deed::Deleted(message.name),
        ..base
    })
}

/// A reaction that was put on a message, or taken off it; only people react. The same person may do it again, so the event goes into the
/// key.
fn reacted(reaction: &push::Reaction, is_added: bool, event: &str, at: &str) -> Option<Inbound> {
    let (to, _) = reaction.name.split_once("/reactions/")?;
    let emoji = emoji(reaction)?;
    let mut change = Reaction { to: to.to_owned(), ..Reaction::default() };
    if is_added {
        change.added.push(emoji);
    } else {
        change.removed.push(emoji);
    }
    let base = base(&space_of(to)?, Some(reaction.user.as_ref()?), None, Some(at));
    Some(Inbound {
        dedup_key: Some(format!("reaction:{}:{event}", reaction.name)),
        deed: Deed::Reacted(change),
        content_type: "reaction".to_owned(),
        ..base
    })
}

/// A character, or the name of a picture.
fn emoji(reaction: &push::Reaction) -> Option<String> {
    let emoji = reaction.emoji.as_ref()?;
    let custom = || {
        let custom = emoji.custom_emoji.as_ref()?;
        custom.emoji_name.clone().or_else(|| custom.uid.clone())
    };
    emoji.unicode.clone().or_else(custom).filter(|name| is_emoji(name))
}

/// Who wrote a message where.
fn begun(mut message: Message) -> Option<(Inbound, Message)> {
    let space = message.space.take().or_else(|| space_of(&message.name))?;
    let sender = message.sender.take()?;
    let base = base(&space, Some(&sender), Some(&message), message.create_time.as_deref());
    Some((Inbound { is_own: is_program(&sender), ..base }, message))
}

/// The space in which a message of this name is. Subscriptions are of named spaces only, where messages are in threads.
fn space_of(message: &str) -> Option<Space> {
    let (space, _) = message.split_once("/messages/")?;
    Some(Space { name: space.to_owned(), ..Space::default() })
}
