//! What the channel posts: the request, and what its answer means.

use chrono::{DateTime, SubsecRound as _, Utc};
use claw_types::{Button, Format, Location, Media, Poll};
use reqwest::Response;
use serde::{Deserialize, Serialize};

use super::{Webhook, is_id};
use crate::kit::answer::{beginning, excerpt, server_retry_after};
use crate::kit::http::repeatable;
use crate::kit::plan::{Content, Text};
use crate::kit::signed_post::sign;
use crate::{ChannelError, Part};

/// All that is read of a callback's answer.
const MAX_ANSWER: usize = 64 * 1024;

impl Webhook {
    /// Posts something to the callback under `id`; the id that the other side gave it, if any.
    pub(super) async fn post(
        &self,
        callback: &str,
        id: &str,
        outgoing: &impl Serialize,
    ) -> Result<Option<String>, ChannelError> {
        let url = self.deps.http.check(callback);
        let url = url.map_err(|e| ChannelError::Permanent(format!("callback_url {e}")))?;
        let body = serde_json::to_vec(outgoing).map_err(|e| ChannelError::Permanent(e.to_string()))?;
        // The time of this attempt: by the time of acceptance, receivers would take a late retry for a replay.
        let now = self.deps.clock.now().timestamp();
        let request =
            sign(self.deps.http.calls().post(url), self.secret.as_str().into(), id, now, body.into());
        // Receivers know a repeated message by its id.
        let response = request.send().await.map_err(|e| repeatable(&e))?;
        answered(response, now).await
    }

    /// Posts what is no message.
    pub(super) async fn notify(
        &self,
        callback: &str,
        act: &'static str,
        recipient: Option<&str>,
        thread_id: Option<&str>,
    ) -> Result<(), ChannelError> {
        let id = self.deps.ids.next().to_string();
        let outgoing = Outgoing {
            recipient,
            thread_id,
            ..Outgoing::bare(&id, act, self.deps.clock.now().trunc_subsecs(3))
        };
        self.post(callback, &id, &outgoing).await.map(drop)
    }
}

/// What is posted to the callback: everything as data, so that the other side does with it what it can.
#[derive(Serialize)]
pub(super) struct Outgoing<'a> {
    id: &'a str,
    act: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// How the text is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a Media>,
    /// Several together, in a channel with `post_albums`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    album: &'a [Media],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    buttons: &'a [Vec<Button>],
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<&'a Poll>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    timestamp: DateTime<Utc>,
}

impl<'a> Outgoing<'a> {
    fn bare(id: &'a str, act: &'static str, timestamp: DateTime<Utc>) -> Self {
        Self {
            id,
            act,
            recipient: None,
            message_id: None,
            text: None,
            format: None,
            thread_id: None,
            media: None,
            album: &[],
            reply_to: None,
            buttons: &[],
            poll: None,
            location: None,
            emoji: None,
            timestamp,
        }
    }

    pub(super) fn of(part: &Part<'a>, id: &'a str) -> Self {
        let piece = part.piece;
        let base = Self {
            recipient: Some(part.recipient),
            thread_id: part.thread_id,
            reply_to: piece.reply_to.as_deref(),
            buttons: &piece.buttons,
            message_id: piece.content.target(),
            ..Self::bare(id, "post", part.accepted_at)
        };
        match &piece.content {
            Content::Text(text) => base.with_text(Some(text)),
            Content::Media { media, caption } => {
                Self { media: Some(media), ..base }.with_text(caption.as_ref())
            }
            Content::Album { media, caption } => Self { album: media, ..base }.with_text(caption.as_ref()),
            Content::Location(place) => Self { location: Some(place), ..base },
            Content::Poll(poll) => Self { poll: Some(poll), ..base },
            Content::Edit { text, .. } => Self { act: "edit", ..base }.with_text(text.as_ref()),
            Content::Delete { .. } => Self { act: "delete", ..base },
            Content::React { emoji, .. } => Self { act: "react", emoji: emoji.as_deref(), ..base },
        }
    }

    fn with_text(self, text: Option<&'a Text>) -> Self {
        let format = |text: &Text| if text.formatted { Format::Markdown } else { Format::Plain };
        Self { text: text.map(|text| text.body.as_str()), format: text.map(format), ..self }
    }
}

/// What the callback's answer means.
async fn answered(response: Response, now: i64) -> Result<Option<String>, ChannelError> {
    let (status, wait) = (response.status(), server_retry_after(response.headers(), now));
    // Where it breaks off does not matter: the status said it all.
    let body = beginning(response, MAX_ANSWER).await;
    let refused = format!("the callback answered {status}");
    match status.as_u16() {
        200..=299 => Ok(answered_id(&body)),
        401 | 403 => Err(ChannelError::BadCredentials(format!(
            "{refused}; check that it verifies with this channel's secret_env"
        ))),
        408 | 425 | 429 | 500..=599 => {
            Err(wait.map_or(ChannelError::Retryable(refused), ChannelError::RateLimited))
        }
        _ => {
            let said = excerpt(&String::from_utf8_lossy(&body), 200);
            Err(ChannelError::Permanent(format!("{refused}: {said}")))
        }
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(body: &[u8]) {
    drop(answered_id(body));
}

fn answered_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        id: String,
    }
    serde_json::from_slice::<Answer>(body).ok().map(|answer| answer.id).filter(|id| is_id(id))
}

#[cfg(test)]
mod tests;
