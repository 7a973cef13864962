//! A person's reaction (<https://docs.discord.com/developers/events/gateway-events#message-reaction-add>). Discord tells of these
//! only to bots whose intents ask for them.

use claw_types::limits::is_emoji;
use claw_types::{Deed, Inbound, Reaction};
use serde_json::json;

use super::event::{Change, Emoji, Reacted, User};
use super::incoming::{Spot, sender, session};

/// The reaction; `None` for one that can't be named.
pub(super) fn inbound(
    reacted: &Reacted,
    change: Change,
    spot: Spot<'_>,
    own: &str,
    key: &str,
) -> Option<Inbound> {
    let name = name(&reacted.emoji)?;
    let mut reaction = Reaction { to: reacted.message_id.clone(), ..Reaction::default() };
    match change {
        Change::Added => reaction.added.push(name),
        Change::Removed => reaction.removed.push(name),
    }
    let member = reacted.member.as_ref();
    // Who took a reaction away is known by the id alone.
    let known = member.and_then(|member| member.user.clone());
    let user = known.unwrap_or_else(|| User {
        id: reacted.user_id.clone(),
        username: reacted.user_id.clone(),
        global_name: None,
        bot: false,
    });
    let mut metadata = session(spot);
    if user.username != user.id {
        metadata.insert("username".to_owned(), json!(user.username));
    }
    Some(Inbound {
        deed: Deed::Reacted(reaction),
        // An event that is told again has the same place in the same session.
        dedup_key: Some(format!("reaction:{key}")),
        sender: Some(sender(&user, member)),
        sender_is_bot: user.bot,
        is_own: reacted.user_id == own,
        content_type: "reaction".to_owned(),
        is_group: spot.is_group,
        mentioned: Some(!spot.is_group),
        recipient: spot.chat.to_owned(),
        thread_id: spot.thread.map(str::to_owned),
        metadata,
        ..Inbound::default()
    })
}

/// A character; a picture of a server's own as `name:number`, by which a reaction of ours can be sent, too.
fn name(emoji: &Emoji) -> Option<String> {
    let name = emoji.name.as_deref().unwrap_or_default();
    let name = match &emoji.id {
        Some(id) => format!("{name}:{id}"),
        None => name.to_owned(),
    };
    Some(name).filter(|name| is_emoji(name))
}
