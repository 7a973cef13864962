//! A chat that a user names in their settings.

use claw_types::preferences::ChatRef;
use claw_types::{Ident, UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Problem;
use crate::wake::{self, Place};

/// A chat of one of the user's channels.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatBody {
    /// The `instance_name_id` of the channel; or its type, if the user has exactly one channel of that type.
    #[schema(min_length = 1, max_length = 64)]
    channel: String,
    /// The platform's id of the chat.
    recipient: Ident,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
}

impl ChatBody {
    /// The chat that is meant.
    ///
    /// # Errors
    /// As [`meant`].
    pub async fn checked(
        self,
        app: &App,
        user: &UserId,
        before: Option<&ChatRef>,
    ) -> Result<ChatRef, Problem> {
        let Self { channel, recipient, thread_id } = self;
        let place = Place { channel: Some(channel), recipient: Some(recipient), thread_id };
        let nowhere = || Problem::bad_request("\"alerts\" names no chat: give \"channel\" and \"recipient\"");
        meant(app, user, place, before).await?.ok_or_else(nowhere)
    }
}

/// The chat that is meant, by its channel's slug; none when none is. The one that was there before is not looked at again: whole
/// settings are written back, and its channel may be gone.
///
/// # Errors
/// 400 when it can't be found, 409 when its channel is switched off.
pub async fn meant(
    app: &App,
    user: &UserId,
    place: Place,
    before: Option<&ChatRef>,
) -> Result<Option<ChatRef>, Problem> {
    let kept = before.filter(|before| {
        place.channel.as_ref() == Some(&before.channel)
            && place.recipient.as_ref() == Some(&before.recipient)
            && place.thread_id == before.thread_id
    });
    if let Some(kept) = kept {
        return Ok(Some(kept.clone()));
    }
    Ok(wake::find(app, user, &place).await?.map(wake::Found::named))
}
