//! Files from the bot to a person: the question as a part of a message, and the upload once they said yes ([`super::consent`]).

use claw_types::Media;

use super::consent::{self, Accepted};
use super::{Teams, activity, calls, is_group};
use crate::kit::plan::Text;
use crate::{ChannelError, Part};

/// What a person reads whose file did not come: the question still stands above.
pub(super) const LATER: &str = "The file could not be put into your OneDrive. Allow it once more; if that does not help, ask for it again.";

impl Teams {
    /// The question whether the person wants a file; where that can't be asked, a link.
    pub(super) async fn file(&self, part: &Part<'_>, media: &Media) -> Result<calls::Call, ChannelError> {
        // A question has no room for buttons.
        let may_ask = !is_group(part.recipient) && part.piece.buttons.is_empty();
        let Some(consents) = self.consents.as_ref().filter(|_| may_ask) else {
            return calls::linked(part, media);
        };
        let one = std::slice::from_ref(media);
        let held = self.uploads.fetch(one, part.accepted_at, consent::MAX_BYTES).await?;
        let [file] = held.files.as_slice() else {
            return Err(ChannelError::Retryable("the file was not fetched".to_owned()));
        };
        Ok(calls::attach(part, consents.question(part.recipient, media, file)?))
    }

    /// Does what a person said yes to in this activity; any other one is nothing to it.
    pub(super) async fn consented(&self, body: &[u8]) -> Result<(), ChannelError> {
        let Some(consents) = &self.consents else { return Ok(()) };
        let activity = activity::read(body).map_err(ChannelError::BadRequest)?;
        let Some(accepted) = consents.accepted(activity)? else { return Ok(()) };
        let given = self.give(&accepted).await;
        if given.is_err() {
            let text = Text { body: LATER.to_owned(), plain: LATER.to_owned(), formatted: false };
            self.api.call(&calls::notice(&accepted.recipient, &text)).await?;
        }
        given
    }

    /// Uploads what a person said yes to, and shows it where the question was.
    async fn give(&self, accepted: &Accepted) -> Result<(), ChannelError> {
        let Accepted { media, recipient, question, place } = accepted;
        let one = std::slice::from_ref(media);
        let held = self.uploads.fetch(one, self.deps.clock.now(), consent::MAX_BYTES).await?;
        for file in &held.files {
            self.api.upload(&place.upload_url, &file.bytes).await?;
        }
        if let Some(question) = question {
            match self.api.call(&calls::replace(recipient, question, place.shown())).await {
                // The question was deleted meanwhile.
                Err(ChannelError::Permanent(_)) => {}
                shown => return shown.map(drop),
            }
        }
        self.api.call(&calls::show(recipient, place.shown())).await.map(drop)
    }
}
