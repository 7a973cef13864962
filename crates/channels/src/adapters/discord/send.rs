//! Sending a part: what it needs is fetched, its calls made, what to do when one is refused, and what the answer means.

use std::time::Duration;

use claw_types::Media;
use serde::Deserialize;
use serde_json::Value;

use super::api::{Api, Failure};
use super::calls::{self, Call};
use super::event::User;
use super::media::{self, Uploaded};
use super::{CAPS, Discord, posts, words};
use crate::kit::plan::{Content, Piece, Text};
use crate::kit::upload::is_too_large;
use crate::{ChannelError, Part, Receipt};

/// Discord's numbers for refusals (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>): there is no such
/// channel, message, emoji; the upload is too large; the channel has no messages; the message has its thread.
const UNKNOWN_CHANNEL: u64 = 10003;
const UNKNOWN_MESSAGE: u64 = 10008;
const UNKNOWN_EMOJI: u64 = 10014;
const TOO_LARGE: u64 = 40005;
const NO_TEXT_CHANNEL: u64 = 50008;
const HAS_THREAD: u64 = 160_004;
/// It can't be a voice message: there is something else in it, it is no single sound, something is not told of it, it may not be sent here,
/// or a permission is missing, which may be that for voice messages.
const NO_VOICE: [u64; 5] = [50_159, 50_160, 50_161, 50_173, 50_013];
/// Discord knows a nonce for "the past few minutes". Within this time of the message's acceptance every attempt at it was so
/// recent, and so is the next one, which comes within a minute; after that nobody knows what came of an earlier one.
const NONCE_HOLDS: Duration = Duration::from_secs(60);

/// Sends a part.
pub(super) async fn send(bot: &Discord, part: &Part<'_>) -> Result<Receipt, ChannelError> {
    let media = match &part.piece.content {
        Content::Media { media, .. } => std::slice::from_ref(media),
        Content::Album { media, .. } => media,
        _ => return hand_over(bot, part, &Uploaded::default()).await,
    };
    // Their place is theirs until Discord has answered.
    match bot.uploads.fetch(media, part.accepted_at, media::MAX_BYTES).await {
        Ok(held) => match upload(bot, part, Uploaded::new(part.piece, media, &held.files)).await {
            Err(error) if is_refused(&error, &[TOO_LARGE]) => linked(bot, part, media, error).await,
            other => other,
        },
        Err(error) if is_too_large(&error) => linked(bot, part, media, error).await,
        Err(error) => Err(error),
    }
}

/// With files; a voice message that Discord does not take as one goes as a file.
async fn upload(bot: &Discord, part: &Part<'_>, uploaded: Uploaded) -> Result<Receipt, ChannelError> {
    let sent = hand_over(bot, part, &uploaded).await;
    match sent {
        Err(error) if uploaded.spoken.is_some() && is_refused(&error, &NO_VOICE) => {
            hand_over(bot, part, &Uploaded { spoken: None, ..uploaded }).await
        }
        sent => sent,
    }
}

/// Whether it is a refusal for one of these reasons.
fn is_refused(error: &ChannelError, codes: &[u64]) -> bool {
    let ChannelError::Permanent(why) = error else { return false };
    codes.iter().any(|code| why.contains(&format!("({code})")))
}

/// What Discord does not take as an upload goes as a link; `error` where the links don't fit into the message.
async fn linked(
    bot: &Discord,
    part: &Part<'_>,
    media: &[Media],
    error: ChannelError,
) -> Result<Receipt, ChannelError> {
    let caption = match &part.piece.content {
        Content::Media { caption, .. } | Content::Album { caption, .. } => caption.as_ref(),
        _ => None,
    };
    let lines = |text: Option<&String>| {
        let links = media.iter().map(|media| media.url.clone());
        text.cloned().into_iter().chain(links).collect::<Vec<_>>().join("\n")
    };
    let text = Text {
        body: lines(caption.map(|text| &text.body)),
        formatted: true,
        plain: lines(caption.map(|text| &text.plain)),
    };
    if CAPS.unit.count(&text.body) > CAPS.max_text {
        return Err(error);
    }
    let piece = Piece { content: Content::Text(text), ..part.piece.clone() };
    hand_over(bot, &Part { piece: &piece, ..part.clone() }, &Uploaded::default()).await
}

/// Into the thread, if there is one; a thread that is to begin with this answer is made when it turns out to be missing.
async fn hand_over(bot: &Discord, part: &Part<'_>, files: &Uploaded) -> Result<Receipt, ChannelError> {
    let api = &bot.api;
    let Some(thread) = part.thread_id else {
        return Ok(in_channel(bot, part, files).await?);
    };
    match attempt(bot, part, thread, files).await {
        Err(Failure { code: UNKNOWN_CHANNEL, error }) if part.piece.content.target().is_none() => {
            let target =
                if begin_thread(api, part.recipient, thread, error).await? { thread } else { part.recipient };
            Ok(attempt(bot, part, target, files).await?)
        }
        // What was done before the thread was there was done in the channel.
        Err(Failure { code: UNKNOWN_CHANNEL, .. }) => Ok(attempt(bot, part, part.recipient, files).await?),
        other => Ok(other?),
    }
}

/// Into a channel; into a forum, which turns out to be one because it takes no messages, as a post.
async fn in_channel(bot: &Discord, part: &Part<'_>, files: &Uploaded) -> Result<Receipt, Failure> {
    if bot.places.is_forum(part.recipient) {
        return posts::send(bot, part, files).await;
    }
    match attempt(bot, part, part.recipient, files).await {
        Err(refused @ Failure { code: NO_TEXT_CHANNEL, .. }) => {
            let place = bot.places.channel(&bot.api, part.recipient, None).await?;
            if place.is_forum { posts::send(bot, part, files).await } else { Err(refused) }
        }
        other => other,
    }
}

/// Makes the thread that begins at a message. `Ok(false)` where it can't have one; `missing` when there is no such message either.
async fn begin_thread(
    api: &Api,
    chat: &str,
    message: &str,
    missing: ChannelError,
) -> Result<bool, ChannelError> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        content: String,
        #[serde(default)]
        mentions: Vec<User>,
    }
    let said: Said = match api.ask(&calls::message(chat, message)).await {
        Ok(said) => said,
        Err(Failure { error: ChannelError::Permanent(_), .. }) => return Err(missing),
        Err(Failure { error, .. }) => return Err(error),
    };
    let name = words::readable(&said.content, &said.mentions);
    match api.act(&calls::thread(chat, message, &name)).await {
        Ok(_) | Err(Failure { code: HAS_THREAD, .. }) => Ok(true),
        // No permission, or a channel without threads: an answer in the channel is better than none.
        Err(Failure { error: ChannelError::Permanent(_), .. }) => Ok(false),
        Err(Failure { error, .. }) => Err(error),
    }
}

/// Into the channel or thread `target`.
pub(super) async fn attempt(
    bot: &Discord,
    part: &Part<'_>,
    target: &str,
    files: &Uploaded,
) -> Result<Receipt, Failure> {
    let api = &bot.api;
    let content = &part.piece.content;
    let Some(mut call) = calls::of_part(part, target, files)? else {
        let Content::React { message_id, emoji } = content else {
            return Err(ChannelError::Permanent("this part is no call".to_owned()).into());
        };
        react(api, target, message_id, emoji.as_deref()).await?;
        return Ok(Receipt { platform_message_id: message_id.clone() });
    };
    if let Some(target) = content.target() {
        return match api.act(&call).await {
            // It is gone already.
            Err(Failure { code: UNKNOWN_MESSAGE, .. }) if matches!(content, Content::Delete { .. }) => {
                Ok(Receipt { platform_message_id: target.to_owned() })
            }
            other => other.map(|_| Receipt { platform_message_id: target.to_owned() }),
        };
    }
    let age = (api.deps().clock.now() - part.accepted_at).to_std().unwrap_or_default();
    call.again = age < NONCE_HOLDS;
    let sent: Sent = api.ask(&call).await?;
    Ok(Receipt { platform_message_id: sent.id })
}

#[derive(Deserialize)]
struct Sent {
    id: String,
}

/// Puts a reaction of ours on a message, or takes away what there is of ours.
async fn react(api: &Api, target: &str, message: &str, emoji: Option<&str>) -> Result<(), Failure> {
    let Some(emoji) = emoji else {
        let found: Value = api.ask(&calls::message(target, message)).await?;
        let reactions = found["reactions"].as_array().map(Vec::as_slice).unwrap_or_default();
        for reaction in reactions.iter().filter(|reaction| reaction["me"] == true) {
            if let Some(name) = written(&reaction["emoji"]) {
                api.act(&calls::reaction(target, message, &name, false)).await?;
            }
        }
        return Ok(());
    };
    let call = |emoji: &str| calls::reaction(target, message, emoji, true);
    match api.act(&call(emoji)).await {
        // Discord knows some only with the selector that asks for a coloured picture, others only without.
        Err(Failure { code: UNKNOWN_EMOJI, .. }) => api.act(&call(&other_form(emoji))).await.map(drop),
        other => other.map(drop),
    }
}

fn written(emoji: &Value) -> Option<String> {
    let name = emoji["name"].as_str()?;
    Some(emoji["id"].as_str().map_or_else(|| name.to_owned(), |id| format!("{name}:{id}")))
}

fn other_form(emoji: &str) -> String {
    const COLOURED: char = '\u{fe0f}';
    let bare = emoji.replace(COLOURED, "");
    if bare == emoji { format!("{emoji}{COLOURED}") } else { bare }
}

/// Shows that an answer is being written: in the channel as long as the thread is not there.
pub(super) async fn typing(api: &Api, recipient: &str, thread_id: Option<&str>) -> Result<(), ChannelError> {
    let at = |target: &str| -> Call { calls::typing(target) };
    match api.act(&at(thread_id.unwrap_or(recipient))).await {
        Err(Failure { code: UNKNOWN_CHANNEL, .. }) if thread_id.is_some() => {
            Ok(api.act(&at(recipient)).await.map(drop)?)
        }
        other => Ok(other.map(drop)?),
    }
}
