//! Pressed buttons, what was chosen from menus, and commands (<https://docs.discord.com/developers/interactions/receiving-and-responding>), as messages of
//! the person.
//!
//! Discord shows the person that nothing came of it unless it is answered within three seconds. It is answered once it is committed
//! and not before: a press that might be lost is better shown as failed. What the backend has to say comes as a message like any
//! other: an answer that is promised to Discord ("thinking") must come within a quarter of an hour, and an agent's may take longer.

use std::time::Duration;

use claw_types::Inbound;
use serde_json::json;
use tokio::time::timeout;
use tracing::debug;

use super::calls::Call;
use super::event::Interaction;
use super::incoming::{Spot, sender, session};
use super::{Discord, components, invoked, media};

/// Types of interactions.
const COMMAND: u64 = 2;
const COMPONENT: u64 = 3;
/// Answers (<https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-interaction-callback-type>):
/// a message, and nothing to be seen.
const MESSAGE: u64 = 4;
const DEFERRED_UPDATE: u64 = 6;
/// Of a message that only the person sees (<https://docs.discord.com/developers/resources/message#message-object-message-flags>).
const EPHEMERAL: u64 = 1 << 6;
/// Discord waits for so long (<https://docs.discord.com/developers/interactions/receiving-and-responding#followup-messages>); other
/// people's messages are waiting, too.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Characters of what was typed that are shown again.
const MAX_SHOWN: usize = 1900;

/// Something that waits for an answer.
#[derive(Debug, Clone)]
pub(super) struct Press {
    id: String,
    token: String,
    /// What a command's answer shows, for without it nobody else would see what was asked.
    shows: Option<String>,
}

/// The message, and what is to be answered; `None` for what is neither a button nor a command.
pub(super) fn inbound(pressed: &Interaction, spot: Spot<'_>) -> Option<(Inbound, Press)> {
    let user = pressed.user.as_ref().or_else(|| pressed.member.as_ref()?.user.as_ref())?;
    let mut metadata = session(spot);
    metadata.insert("username".to_owned(), json!(user.username));
    let mut media = None;
    let (content_type, text, shows) = match pressed.r#type {
        COMMAND => {
            let (text, file) = invoked::read(&pressed.data)?;
            media = file.map(|file| media::reference(&pressed.channel_id, &pressed.id, &file));
            let kind = media.as_ref().map_or("text", |media| media.kind.as_str());
            (kind, text.clone(), Some(text))
        }
        COMPONENT => {
            let (data, label) = components::chosen(&pressed.data, &pressed.message["components"])?;
            metadata.insert("callback_data".to_owned(), json!(data));
            let optional =
                [("message_id", pressed.message["id"].as_str()), ("button_text", label.as_deref())];
            let told = optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?))));
            metadata.extend(told);
            ("button", data, None)
        }
        _ => return None,
    };
    let inbound = Inbound {
        platform_message_id: Some(pressed.id.clone()),
        dedup_key: Some(format!("interaction:{}", pressed.id)),
        sender: Some(sender(user, pressed.member.as_ref())),
        sender_is_bot: user.bot,
        content_type: content_type.to_owned(),
        text: Some(text),
        media,
        is_group: spot.is_group,
        // Both are the bot's own.
        mentioned: Some(true),
        recipient: spot.chat.to_owned(),
        thread_id: spot.thread.map(str::to_owned),
        metadata,
        ..Inbound::default()
    };
    Some((inbound, Press { id: pressed.id.clone(), token: pressed.token.clone(), shows }))
}

/// Tells Discord that something comes of it. Best effort: what was asked is safe.
pub(super) async fn answer(bot: &Discord, press: &Press) {
    let call = callback(press, bot.private_commands);
    match timeout(ANSWER_LIMIT, bot.api.act(&call)).await {
        Ok(Ok(_)) => {}
        Ok(Err(failure)) => {
            debug!(channel.id = %bot.deps.channel_id, "an interaction is shown as failed: {}", failure.error);
        }
        Err(_) => debug!(channel.id = %bot.deps.channel_id, "an interaction was not answered in time"),
    }
}

/// <https://docs.discord.com/developers/interactions/receiving-and-responding#create-interaction-response>
fn callback(press: &Press, is_private: bool) -> Call {
    let body = match &press.shows {
        Some(text) => {
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            let content = format!("> {}", shown.replace('\n', "\n> "));
            // Discord reads at most 2,000 characters: line breaks may have made more of them.
            let content: String = content.chars().take(2000).collect();
            let mut shown = json!({"content": content, "allowed_mentions": {"parse": []}});
            if is_private {
                shown["flags"] = json!(EPHEMERAL);
            }
            json!({"type": MESSAGE, "data": shown})
        }
        None => json!({"type": DEFERRED_UPDATE}),
    };
    Call::post("create_interaction_response", &["interactions", &press.id, &press.token, "callback"], body)
        .without_token()
}
