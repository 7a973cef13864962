//! Sending a part: what it needs is fetched, its call made, what to do when the call is refused for its form, and what the
//! answer means.

use serde_json::Value;

use super::api::Api;
use super::calls::{self, Call};
use super::files::{self, File, Form};
use crate::kit::plan::Content;
use crate::kit::upload::Uploads;
use crate::{ChannelError, Part, Receipt};

/// Sends a part.
pub(super) async fn send(api: &Api, uploads: &Uploads, part: &Part<'_>) -> Result<Receipt, ChannelError> {
    let media = match &part.piece.content {
        Content::Media { media, .. } => std::slice::from_ref(media),
        Content::Album { media, .. } => media,
        _ => return receipt(part, hand_over(api, part, Vec::new()).await),
    };
    // Their place is theirs until the platform has answered.
    let held = uploads.fetch(media, part.accepted_at, files::MAX_BYTES).await?;
    receipt(part, hand_over(api, part, files::of(media, &held.files)).await)
}

/// Makes the call, and once more in a plainer way when the platform can't read it: an answer without its bold words, or a
/// picture as a file, is better than none.
async fn hand_over(api: &Api, part: &Part<'_>, mut files: Vec<File>) -> Result<Value, ChannelError> {
    let mut formatted = true;
    loop {
        match attempt(api, part, calls::of_part(part, &files, formatted)?).await {
            Err(error) if formatted && said(&error, "can't parse entities") => formatted = false,
            // Too long and thin, for instance, or broken. Of an album, some may have been sent.
            Err(error) if is_photo(&files) && NO_PHOTO.iter().any(|words| said(&error, words)) => {
                files::as_documents(&mut files);
            }
            other => return other,
        }
    }
}

/// How Telegram says that a picture can't be a photo.
const NO_PHOTO: [&str; 3] = ["PHOTO_INVALID_DIMENSIONS", "PHOTO_SAVE_FILE_INVALID", "IMAGE_PROCESS_FAILED"];

fn is_photo(files: &[File]) -> bool {
    matches!(files, [file] if file.form == Form::Photo)
}

fn receipt(part: &Part<'_>, result: Result<Value, ChannelError>) -> Result<Receipt, ChannelError> {
    let content = &part.piece.content;
    let platform_message_id = match (content.target(), result) {
        (Some(target), Ok(_)) => target.to_owned(),
        (Some(target), Err(error)) if is_so_already(content, &error) => target.to_owned(),
        // What may have happened is just done again: a second time makes no difference.
        (Some(_), Err(ChannelError::Uncertain(reason))) => return Err(ChannelError::Retryable(reason)),
        (_, Err(error)) => return Err(error),
        (None, Ok(answer)) => ids(&answer)
            .ok_or_else(|| ChannelError::Uncertain("the platform's answer names no message".to_owned()))?,
    };
    Ok(Receipt { platform_message_id })
}

/// The number of the message that was sent; of an album, of each of its messages.
fn ids(answer: &Value) -> Option<String> {
    let id = |message: &Value| message["message_id"].as_i64().map(|id| id.to_string());
    match answer {
        Value::Array(messages) if !messages.is_empty() => {
            messages.iter().map(id).collect::<Option<Vec<_>>>().map(|ids| ids.join(","))
        }
        message => id(message),
    }
}

async fn attempt(api: &Api, part: &Part<'_>, call: Call) -> Result<Value, ChannelError> {
    match api.send(&call).await {
        // Only the platform knows whether the message is a text or an attachment.
        Err(error)
            if matches!(part.piece.content, Content::Edit { .. })
                && said(&error, "there is no text in the message to edit") =>
        {
            api.send(&calls::caption_edit(call)).await
        }
        other => other,
    }
}

/// Whether what was refused is the case anyway: the edit that was made before, the message that is gone.
fn is_so_already(content: &Content, error: &ChannelError) -> bool {
    match content {
        Content::Edit { .. } => said(error, "message is not modified"),
        Content::Delete { .. } => said(error, "message to delete not found"),
        _ => false,
    }
}

fn said(error: &ChannelError, words: &str) -> bool {
    matches!(error, ChannelError::Permanent(reason) if reason.contains(words))
}
