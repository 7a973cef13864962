//! Sending a part and fetching what people attach.

use serde::Deserialize;

use super::PLATFORM;
use super::calls::{self, Attached};
use super::files::{self, Form};
use crate::kit::file::File;
use crate::kit::graph::api::{Api, Twice};
use crate::kit::plan::Content;
use crate::kit::upload::Uploads;
use crate::{ChannelError, MediaStream, Part, Receipt};

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    messages: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Kept {
    url: String,
}

/// Uploads the attachment, if any, and makes the call. Only the call is seen by people.
pub(super) async fn send(
    api: &Api,
    uploads: &Uploads,
    number: &str,
    part: &Part<'_>,
) -> Result<Receipt, ChannelError> {
    let body = match &part.piece.content {
        Content::Media { media, .. } => {
            let held = uploads.fetch(std::slice::from_ref(media), part.accepted_at, files::MAX_BYTES).await?;
            let nothing = || ChannelError::Retryable("nothing was fetched of the attachment".to_owned());
            let mut file = File::new(media, held.files.first().ok_or_else(nothing)?);
            let form = Form::of(media.kind, &file);
            let voice = files::is_voice(media.kind, &file);
            file.content_type = files::uploaded_as(&file.content_type).to_owned();
            let id = upload(api, number, &file).await?;
            calls::of_part(part, Some(&Attached { id: &id, form, name: &file.name, voice }))?
        }
        _ => calls::of_part(part, None)?,
    };
    let target = part.piece.content.target();
    let twice = if target.is_some() { Twice::Harmless } else { Twice::Seen };
    let sent: Sent = api.post(&[number, "messages"], &body, twice).await?;
    let id = target.map(str::to_owned).or_else(|| sent.messages.into_iter().next().map(|sent| sent.id));
    let unnamed = || ChannelError::Uncertain(format!("{}'s answer names no message", PLATFORM.name));
    Ok(Receipt { platform_message_id: id.ok_or_else(unnamed)? })
}

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media/>, "Upload media".
async fn upload(api: &Api, number: &str, file: &File) -> Result<String, ChannelError> {
    let texts = [("messaging_product", "whatsapp".to_owned()), ("type", file.content_type.clone())];
    let uploaded: Id = api.upload(&[number, "media"], &texts, "file", file).await?;
    Ok(uploaded.id)
}

/// Opens an attachment by its id: first Meta says where it is, for five minutes (the same page, "Get media URL").
pub(super) async fn open(api: &Api, number: &str, id: &str) -> Result<MediaStream, ChannelError> {
    let kept: Kept = api.get(&[id], &[("phone_number_id", number)]).await?;
    api.open(&kept.url).await
}
