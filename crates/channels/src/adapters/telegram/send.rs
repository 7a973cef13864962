//! Sending a part: its call, what to do when the call is refused for its form, and what the answer means.

use serde_json::Value;

use super::api::Api;
use super::calls::{self, Call};
use crate::kit::plan::Content;
use crate::{ChannelError, Part, Receipt};

/// Sends a part. What the platform can't read as formatting is sent as plain text at once: an answer without its bold words
/// is better than none.
pub(super) async fn send(api: &Api, part: &Part<'_>) -> Result<Receipt, ChannelError> {
    let result = match attempt(api, part, calls::of_part(part, true)?).await {
        Err(error) if said(&error, "can't parse entities") => {
            attempt(api, part, calls::of_part(part, false)?).await
        }
        other => other,
    };
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
