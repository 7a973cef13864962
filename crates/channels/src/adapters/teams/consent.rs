//! Files that a bot gives to a person (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/bots-filesv4>).
//!
//! A bot first asks, with a card that says what it has. Who accepts has Teams make a place in their `OneDrive`, of which the bot is told; it
//! uploads the file there and puts a card that shows it in the place of the one that asked. Between the question and the answer there may be
//! days, other processes and other workers, so all that is needed is in the card itself and comes back with the answer: where the
//! file is fetched from, and a signature, because it comes back by way of the person's program.
//!
//! Must hold: nothing is fetched and nothing is uploaded of which the card was not made here, for this conversation.

use std::fmt;

use claw_secrets::signature::{hmac_sha256, sign, verify};
use claw_types::{Media, MediaKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::activity::Activity;
use crate::ChannelError;
use crate::kit::fetch::Fetched;

/// The card that asks.
pub(super) const ASKS: &str = "application/vnd.microsoft.teams.card.file.consent";
/// The card that shows what was uploaded.
pub(super) const SHOWS: &str = "application/vnd.microsoft.teams.card.file.info";
/// What an answer is called.
pub(super) const ANSWERED: &str = "fileConsent/invoke";
/// Most bytes of a file: all of it is in memory, and it is uploaded in one piece, of which `OneDrive` takes 60 MiB
/// (<https://learn.microsoft.com/en-us/onedrive/developer/rest-api/api/driveitem_createuploadsession#upload-bytes-to-the-upload-session>).
pub(super) const MAX_BYTES: usize = 50_000_000;
/// For what the key is that is derived from the client's secret.
const PURPOSE: &[u8] = b"file consent";

/// Makes the questions of one bot and knows them again.
pub(super) struct Consents {
    key: [u8; 32],
}

/// A question to which the answer was yes.
pub(super) struct Accepted {
    /// What was asked about.
    pub(super) media: Media,
    /// The conversation.
    pub(super) recipient: String,
    /// The message with the question.
    pub(super) question: Option<String>,
    pub(super) place: Place,
}

/// Where the person has the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    name: String,
    /// Takes the file without a token: the address is the permission.
    pub(super) upload_url: String,
    content_url: String,
    unique_id: String,
    file_type: String,
}

/// Without the address.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The value of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// `accept` or `decline`.
    action: String,
    #[serde(default)]
    context: Value,
    upload_info: Option<Value>,
}

/// What comes back with it.
#[derive(Deserialize)]
struct Context {
    /// The conversation and the attachment, as JSON.
    file: String,
    signature: String,
}

impl Consents {
    /// Of the bot with this secret. Who gets another one does not know the questions of before: they are asked again.
    pub(super) fn of(password: &str) -> Self {
        Self { key: hmac_sha256(password.as_bytes(), &[PURPOSE]) }
    }

    /// The attachment that asks a person.
    pub(super) fn question(
        &self,
        recipient: &str,
        media: &Media,
        file: &Fetched,
    ) -> Result<Value, ChannelError> {
        if file.bytes.is_empty() {
            return Err(ChannelError::Permanent(
                "the file is empty: OneDrive takes no such uploads".to_owned(),
            ));
        }
        let name = media.filename.as_deref().or(file.filename.as_deref()).unwrap_or(what(media.kind));
        let signed = json!([recipient, media]).to_string();
        let context = json!({"signature": sign(&self.key, signed.as_bytes()), "file": signed});
        Ok(json!({
            "contentType": ASKS, "name": name,
            "content": {"description": name, "sizeInBytes": file.bytes.len(), "acceptContext": context, "declineContext": {}},
        }))
    }

    /// The question that an activity says yes to; `None` where it says something else.
    ///
    /// # Errors
    /// [`ChannelError::BadRequest`] where it was not asked here, or the answer has no place for the file.
    pub(super) fn accepted(&self, activity: Activity) -> Result<Option<Accepted>, ChannelError> {
        let odd = |why: &str| ChannelError::BadRequest(format!("the consent to a file {why}"));
        if activity.name.as_deref() != Some(ANSWERED) {
            return Ok(None);
        }
        let Activity { value, conversation, reply_to_id: question, .. } = activity;
        let Answer { action, context, upload_info } =
            serde_json::from_value(value.unwrap_or_default()).map_err(|_| odd("has no action"))?;
        if action != "accept" {
            return Ok(None);
        }
        let Context { file, signature } =
            serde_json::from_value(context).map_err(|_| odd("is to none of this bot's"))?;
        if !verify(&self.key, file.as_bytes(), &signature) {
            return Err(odd(
                "is to none of this bot's, or the client secret was changed since it was asked for",
            ));
        }
        let (recipient, media): (String, Media) =
            serde_json::from_str(&file).map_err(|_| odd("is to a question of another version"))?;
        if conversation.is_none_or(|conversation| conversation.id != recipient) {
            return Err(odd("is to a question of another conversation"));
        }
        let place = upload_info.and_then(|info| serde_json::from_value(info).ok());
        let place = place.ok_or_else(|| odd("has no place to upload to"))?;
        Ok(Some(Accepted { media, recipient, question, place }))
    }
}

impl Place {
    /// The attachment that shows the file.
    pub(super) fn shown(&self) -> Value {
        json!({
            "contentType": SHOWS, "contentUrl": self.content_url, "name": self.name,
            "content": {"uniqueId": self.unique_id, "fileType": self.file_type},
        })
    }
}

/// What a file without a name is called.
pub(super) fn what(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Voice => "voice note",
        kind => kind.as_str(),
    }
}
