//! Sending a part: what it needs is fetched, its calls are made, and what the answers mean.

use claw_types::Media;
use serde::Deserialize;

use super::api::{Api, Call, said};
use super::calls::{self, Place};
use super::files;
use crate::kit::plan::{Content, Text};
use crate::kit::upload::Uploads;
use crate::{ChannelError, Part, Receipt};

#[derive(Deserialize)]
struct Posted {
    ts: String,
}

/// The reactions of a message (<https://docs.slack.dev/reference/methods/reactions.get>).
#[derive(Deserialize)]
struct Reacted {
    message: Reactions,
}

#[derive(Deserialize)]
struct Reactions {
    #[serde(default)]
    reactions: Vec<Reaction>,
}

#[derive(Deserialize)]
struct Reaction {
    name: String,
    users: Vec<String>,
}

/// Sends a part.
pub(super) async fn send(api: &Api, uploads: &Uploads, part: &Part<'_>) -> Result<Receipt, ChannelError> {
    let channel = api.conversation(part.recipient).await?;
    let place = || Place::of(part, &channel);
    let buttons = &part.piece.buttons;
    let platform_message_id = match &part.piece.content {
        Content::Text(text) => post(api, &calls::post(place()?, Some(text), buttons)).await?,
        Content::Media { media, caption } => {
            share(api, uploads, part, place()?, std::slice::from_ref(media), caption.as_ref()).await?
        }
        Content::Album { media, caption } => {
            share(api, uploads, part, place()?, media, caption.as_ref()).await?
        }
        Content::Edit { message_id, text: Some(text) } => {
            api.act(&calls::update(&channel, message_id, text, buttons)?).await?;
            message_id.clone()
        }
        Content::Edit { text: None, .. } => {
            return Err(ChannelError::Permanent(
                "Slack changes buttons only together with the text: send the text, too".to_owned(),
            ));
        }
        Content::Delete { message_id } => delete(api, &channel, message_id).await?,
        Content::React { message_id, emoji: Some(emoji) } => {
            done(api.act(&calls::react(&channel, message_id, emoji)?).await, &["already_reacted"])?;
            message_id.clone()
        }
        Content::React { message_id, emoji: None } => unreact(api, &channel, message_id).await?,
        Content::Location(_) | Content::Poll(_) => {
            return Err(ChannelError::Unsupported(
                "Slack has neither places nor polls; both are sent as texts",
            ));
        }
    };
    Ok(Receipt { platform_message_id })
}

async fn post(api: &Api, call: &Call) -> Result<String, ChannelError> {
    Ok(api.call::<Posted>(call).await?.ts)
}

/// Attachments as one message. Slack shows no buttons below a file, so these, and the text to which they belong, are a message
/// of their own: the files are there already when it fails, so the part must not be sent again.
async fn share(
    api: &Api,
    uploads: &Uploads,
    part: &Part<'_>,
    place: Place<'_>,
    media: &[Media],
    caption: Option<&Text>,
) -> Result<String, ChannelError> {
    // Their place is theirs until the platform has answered.
    let held = uploads.fetch(media, part.accepted_at, files::MAX_BYTES).await?;
    let buttons = &part.piece.buttons;
    let files = files::upload(api, media, &held.files).await?;
    let below = caption.filter(|_| buttons.is_empty());
    files::complete(api, place, &files, below).await?;
    drop(held);
    if buttons.is_empty() {
        return Ok(files::ids(api, place.channel, &files).await);
    }
    let posted = post(api, &calls::post(place, caption, buttons)).await.map_err(|error| {
        ChannelError::Uncertain(format!(
            "the attachment was sent, the buttons that belong to it perhaps not: {error}"
        ))
    })?;
    let ids = files::ids(api, place.channel, &files).await;
    Ok(format!("{ids},{posted}"))
}

/// Of several files that were shared as one message, all, and what stays of that message.
async fn delete(api: &Api, channel: &str, message_id: &str) -> Result<String, ChannelError> {
    for id in message_id.split(',') {
        done(
            api.act(&calls::delete(channel, id)?).await,
            &["message_not_found", "file_not_found", "file_deleted"],
        )?;
    }
    Ok(message_id.to_owned())
}

/// Takes our reactions off a message: Slack wants to hear which, so it is asked first.
async fn unreact(api: &Api, channel: &str, message_id: &str) -> Result<String, ChannelError> {
    let asked: Reacted = api.call(&calls::reactions(channel, message_id)?).await?;
    let own = api.identity().await?.user_id;
    for reaction in asked.message.reactions.iter().filter(|reaction| reaction.users.contains(&own)) {
        done(api.act(&calls::unreact(channel, message_id, &reaction.name)?).await, &["no_reaction"])?;
    }
    Ok(message_id.to_owned())
}

/// What is the case already counts as done.
fn done(result: Result<(), ChannelError>, already: &[&str]) -> Result<(), ChannelError> {
    result.or_else(|error| if already.iter().any(|code| said(&error, code)) { Ok(()) } else { Err(error) })
}
