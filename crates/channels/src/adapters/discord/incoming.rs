//! What people wrote and did, out of the gateway's events.

use chrono::{DateTime, Utc};
use claw_types::{Answered, Deed, Inbound, Sender};
use serde_json::{Map, json};
use tracing::debug;

use super::event::{self, Deleted, Event, Member, Message, User};
use super::gateway::frame;
use super::gateway::session::Session;
use super::interaction::{self, Press};
use super::places::Place;
use super::{Discord, media, names, reaction, words};
use crate::ChannelError;

/// Kinds of messages that people write: by themselves, and as a reply. The others are Discord's own words
/// (<https://docs.discord.com/developers/resources/message#message-object-message-types>).
const WRITTEN: [u64; 2] = [0, 19];
/// A message that carries another one on (<https://docs.discord.com/developers/resources/message#message-reference-types>).
const FORWARDS: u64 = 1;

/// What an event comes to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) messages: Vec<Inbound>,
    /// To be answered once they are committed.
    pub(super) press: Option<Press>,
}

/// Where something happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    /// The server; none for a direct message.
    pub(super) guild: Option<&'a str>,
    /// Where an answer goes, for a thread its channel.
    pub(super) chat: &'a str,
    pub(super) thread: Option<&'a str>,
    /// Whether more than one person is there.
    pub(super) is_group: bool,
}

/// Several people without a server (<https://docs.discord.com/developers/resources/channel#channel-object-channel-types>), where a
/// bot can't be itself: only what people do by its commands is told.
const GROUP_DM: u64 = 3;

/// Reads an event. Discord is asked for what the event does not tell and what is not known yet.
pub(super) async fn take(
    bot: &Discord,
    session: &Session,
    raw: frame::Event<'_>,
) -> Result<Taken, ChannelError> {
    let Some(event) = Event::read(raw.name, raw.data) else {
        debug!(channel.id = %bot.deps.channel_id, "an event without anything to take: {}", raw.name);
        return Ok(Taken::default());
    };
    let (guild, channel) = event.place();
    if guild.is_some_and(|guild| !bot.guilds.is_empty() && !bot.guilds.iter().any(|one| one == guild)) {
        return Ok(Taken::default());
    }
    let place = match guild {
        Some(_) => bot.places.channel(&bot.api, channel, event.channel()).await?,
        None => Place::default(),
    };
    let spot = spot(&event, &place);
    let mut taken = understood(&event, spot, &session.bot, &format!("{}:{}", session.id, raw.seq));
    if let Event::Wrote(message) | Event::Changed(message) = &event {
        addressed_by_role(bot, session, message, &mut taken.messages).await?;
        if bot.auto_thread && place.takes_threads {
            for inbound in &mut taken.messages {
                in_thread(inbound, &message.id);
            }
        }
    }
    names::complete(bot, &event, spot, &mut taken.messages).await;
    Ok(taken)
}

fn spot<'a>(event: &'a Event, place: &'a Place) -> Spot<'a> {
    let (guild, channel) = event.place();
    let is_group = guild.is_some() || event.channel().is_some_and(|channel| channel.r#type == GROUP_DM);
    let (chat, thread) = match &place.parent {
        Some(parent) => (parent.as_str(), Some(channel)),
        None => (channel, None),
    };
    Spot { guild, chat, thread, is_group }
}

/// What an event means, without asking anybody. `key` is the event's own, which is the same when it comes again.
fn understood(event: &Event, spot: Spot<'_>, own: &str, key: &str) -> Taken {
    let messages = match event {
        Event::Wrote(message) => written(message, spot, own),
        Event::Changed(message) => edited(message, spot, own).into_iter().collect(),
        Event::Deleted(gone) => deleted(gone, spot),
        Event::Reacted(reacted, change) => {
            reaction::inbound(reacted, *change, spot, own, key).into_iter().collect()
        }
        Event::Pressed(pressed) => {
            let (message, press) = interaction::inbound(pressed, spot).unzip();
            return Taken { messages: message.into_iter().collect(), press };
        }
    };
    Taken { messages, press: None }
}

/// A role stands for all who have it; the one that Discord made for the bot is the bot alone.
async fn addressed_by_role(
    bot: &Discord,
    session: &Session,
    message: &Message,
    inbound: &mut [Inbound],
) -> Result<(), ChannelError> {
    let Some(guild) = &message.guild_id else { return Ok(()) };
    let open = inbound.iter().any(|inbound| inbound.mentioned == Some(false) && !inbound.is_own);
    if !open || message.mention_roles.is_empty() {
        return Ok(());
    }
    let addressed = bot.places.is_own(&bot.api, guild, &session.bot, &message.mention_roles).await?;
    for inbound in inbound {
        inbound.mentioned = addressed;
    }
    Ok(())
}

/// Puts a question into the thread that its answer will begin: a thread has the id of the message from which it was made
/// (<https://docs.discord.com/developers/resources/channel#start-thread-from-message>).
fn in_thread(inbound: &mut Inbound, message: &str) {
    if inbound.mentioned == Some(true) && !inbound.is_own && inbound.thread_id.is_none() {
        inbound.thread_id = Some(message.to_owned());
        inbound.metadata.insert("thread_id".to_owned(), json!(message));
    }
}

/// Session keys, and where it was. A thread's id is like no other's, so it is a key by itself.
pub(super) fn session(spot: Spot<'_>) -> Map<String, serde_json::Value> {
    let keys = [("chat_id", Some(spot.chat)), ("thread_id", spot.thread), ("guild_id", spot.guild)];
    keys.into_iter().filter_map(|(key, id)| Some((key.to_owned(), json!(id?)))).collect()
}

pub(super) fn sender(user: &User, member: Option<&Member>) -> Sender {
    Sender { platform_id: user.id.clone(), display_name: user.shown(member), internal_user: None }
}

/// A message: itself and, because each of ours has one attachment, one more for each further attachment.
fn written(message: &Message, spot: Spot<'_>, own: &str) -> Vec<Inbound> {
    if !WRITTEN.contains(&message.r#type) {
        return Vec::new();
    }
    let first = whole(message, spot, own);
    let further = media::of(message).skip(1).zip(1..);
    let further: Vec<_> = further
        .map(|((content_type, media, duration), n)| Inbound {
            dedup_key: Some(format!("{}:{n}", message.id)),
            content_type,
            text: None,
            media: Some(media),
            media_duration_seconds: duration,
            ..first.clone()
        })
        .collect();
    std::iter::once(first).chain(further).collect()
}

fn whole(message: &Message, spot: Spot<'_>, own: &str) -> Inbound {
    let author = message.author.as_ref();
    let mut metadata = session(spot);
    if let Some(user) = author {
        metadata.insert("username".to_owned(), json!(user.username));
    }
    let (content_type, media, duration) = match media::of(message).next() {
        Some((content_type, media, duration)) => (content_type, Some(media), duration),
        None => (words::kind(message).to_owned(), None, None),
    };
    let is_own = author.is_some_and(|user| user.id == own);
    Inbound {
        id: None,
        deed: Deed::Wrote,
        answers: answered(message, own),
        platform_message_id: Some(message.id.clone()),
        dedup_key: Some(message.id.clone()),
        album: None,
        sender: author.map(|user| sender(user, message.member.as_ref())),
        content_type,
        text: words::text(message),
        media,
        media_duration_seconds: duration,
        is_group: spot.is_group,
        mentioned: Some(!spot.is_group || addresses(message, own)),
        sender_is_bot: message.webhook_id.is_some() || author.is_some_and(|user| user.bot),
        is_own,
        recipient: spot.chat.to_owned(),
        thread_id: spot.thread.map(str::to_owned),
        timestamp: message.timestamp,
        metadata,
    }
}

/// By its name, or as a reply to it. Everybody is not the bot.
fn addresses(message: &Message, own: &str) -> bool {
    let is_named = message.mentions.iter().any(|user| user.id == own);
    is_named || answered(message, own).is_some_and(|answered| answered.is_own == Some(true))
}

fn answered(message: &Message, own: &str) -> Option<Answered> {
    let reference = message.reference.as_ref().filter(|reference| reference.r#type != FORWARDS)?;
    let author = message.answered.as_ref().and_then(|answered| answered.author.as_ref());
    Some(Answered { message_id: reference.message_id.clone()?, is_own: author.map(|user| user.id == own) })
}

/// Without the time of an edit nobody did it: Discord sends the same event when it has found the preview of a link.
fn edited(message: &Message, spot: Spot<'_>, own: &str) -> Option<Inbound> {
    let at: DateTime<Utc> = message.edited_timestamp?;
    if !WRITTEN.contains(&message.r#type) || message.author.is_none() {
        return None;
    }
    Some(Inbound {
        timestamp: Some(at),
        dedup_key: Some(format!("edit:{}:{}", message.id, at.timestamp_micros())),
        deed: Deed::Edited(message.id.clone()),
        ..whole(message, spot, own)
    })
}

/// Whose they were and who deleted them, Discord does not tell.
fn deleted(gone: &Deleted, spot: Spot<'_>) -> Vec<Inbound> {
    let ids = gone.id.iter().chain(&gone.ids);
    let one = |id: &String| Inbound {
        deed: Deed::Deleted(id.clone()),
        platform_message_id: Some(id.clone()),
        dedup_key: Some(format!("delete:{id}")),
        content_type: "text".to_owned(),
        is_group: spot.is_group,
        mentioned: Some(!spot.is_group),
        recipient: spot.chat.to_owned(),
        thread_id: spot.thread.map(str::to_owned),
        metadata: session(spot),
        ..Inbound::default()
    };
    ids.map(one).collect()
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let names =
        ["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_REACTION_ADD", "INTERACTION_CREATE"];
    // A payload is a whole frame; what the fuzzer makes of it may be an event's data, too.
    let raw = frame::Raw::read(text);
    let data = match raw.as_ref().map(frame::Raw::frame) {
        Some(frame::Frame::Event(event)) => event.data,
        _ => text,
    };
    for event in names.into_iter().filter_map(|name| Event::read(name, data)) {
        let place = event.channel().map_or_else(Place::default, |channel: event::Channel| Place {
            parent: channel.parent_id,
            takes_threads: true,
            is_forum: false,
        });
        for inbound in understood(&event, spot(&event, &place), "1", "session:1").messages {
            drop(inbound.conversation());
        }
    }
}
