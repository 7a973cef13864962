//! Attachments for platforms that take them as uploads: fetched from where the caller keeps them, by [`fetch`]'s rules. Of those that a
//! platform fetches by itself, what it has to be told beside the address is read here, too.
//!
//! The attachments of a part are in memory together until the platform has them. So that this is bounded whatever people
//! send, a process holds those of [`AT_ONCE`] parts at most, each with as many bytes as its platform allows. A user, with however many
//! channels, gets [`OF_A_USER`] of these places, because whoever names slow hosts must not keep everybody else's attachments
//! waiting. Who has to wait stands in line: coming back later would mean to be overtaken again and again. Only after longer than
//! it takes a slow host to give up, they try again later.
//!
//! Must hold: waiting and fetching end within `PLACE_LIMIT` and `FETCH_LIMIT`, as the messages behind it wait; how long the
//! upload may take, [`super::transfer`] says; no address gets into an error, as its query may be a secret: the host must do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::Clock;
use claw_runtime::turns::{Cause, Turn};
use claw_types::{Media, MediaKind, UserId};
use tokio::time::{Instant, timeout};
use url::Url;

use super::answer::beginning;
use super::fetch::{FetchError, Fetched, Limits, Opened, fetch, open};
use super::http::Http;
use crate::{ChannelError, Deps};

/// Parts of a process whose attachments are in memory.
pub const AT_ONCE: usize = 4;
/// How many of them may be one user's.
pub const OF_A_USER: usize = AT_ONCE / 2;
/// How long to wait for a place among them.
const PLACE_LIMIT: Duration = Duration::from_secs(30);
/// How long all the attachments of a part may take.
const FETCH_LIMIT: Duration = Duration::from_secs(20);
/// Bytes by which it is to be known what something is.
pub const HEAD: usize = 512;
/// A host that does not answer is asked again for this long after the message was accepted; the messages behind it wait.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);

/// How errors say that there are too many bytes, those of [`fetch`], too.
const TOO_LARGE: &str = "bytes that are allowed";

/// Fetches the attachments of one channel.
pub struct Uploads {
    http: Http,
    clock: Arc<dyn Clock>,
    owner: Option<UserId>,
}

/// How an attachment begins, by what its server tells and by its first bytes.
pub struct Head {
    /// Its media type, where its server tells one.
    pub content_type: Option<String>,
    /// Its length in bytes, where its server tells it.
    pub length: Option<u64>,
    /// The first bytes, [`HEAD`] at least where there are as many.
    pub bytes: Bytes,
}

/// Attachments in memory; they have their place until this is dropped.
pub struct Held {
    /// In the order in which they were asked for.
    pub files: Vec<Fetched>,
    _place: Turn,
}

impl Uploads {
    /// For the channel of these.
    pub fn new(deps: &Deps) -> Self {
        Self { http: deps.http.clone(), clock: Arc::clone(&deps.clock), owner: deps.owner.clone() }
    }

    /// Fetches attachments that go together, of at most `max_bytes` together.
    ///
    /// # Errors
    /// [`ChannelError::Retryable`] when the same may work later, [`ChannelError::Permanent`] when it will not.
    pub async fn fetch(
        &self,
        media: &[Media],
        accepted_at: DateTime<Utc>,
        max_bytes: usize,
    ) -> Result<Held, ChannelError> {
        let place = self.place().await?;
        let until = Instant::now() + FETCH_LIMIT;
        let mut files = Vec::with_capacity(media.len());
        let mut left = max_bytes;
        for media in media {
            let limits = Limits {
                max_bytes: left,
                allowed: types(media.kind),
                timeout: until.saturating_duration_since(Instant::now()),
            };
            let fetched = fetch(&self.http, &media.url, limits).await;
            let fetched = fetched.map_err(|error| self.meaning(media, error, accepted_at, max_bytes))?;
            left = left.saturating_sub(fetched.bytes.len());
            files.push(fetched);
        }
        Ok(Held { files, _place: place })
    }

    /// Fetches the beginning of an attachment. It takes no place: there is next to nothing in memory.
    ///
    /// # Errors
    /// As [`Uploads::fetch`].
    pub async fn head(&self, media: &Media, accepted_at: DateTime<Utc>) -> Result<Head, ChannelError> {
        let limits = Limits { max_bytes: HEAD, allowed: types(media.kind), timeout: FETCH_LIMIT };
        let head = timeout(FETCH_LIMIT, async {
            let Opened { content_type, response, .. } = open(&self.http, &media.url, limits).await?;
            let length = response.content_length();
            Ok::<_, FetchError>(Head { content_type, length, bytes: beginning(response, HEAD).await })
        });
        let head = head.await.unwrap_or(Err(FetchError::TimedOut(FETCH_LIMIT)));
        head.map_err(|error| self.meaning(media, error, accepted_at, HEAD))
    }

    async fn place(&self) -> Result<Turn, ChannelError> {
        // That a job's time came gives no attachment a lower place: who waits for it is a person all the same.
        let place = self.http.places().take(self.owner.as_ref(), Cause::Now);
        let late = |_| ChannelError::Retryable("too many attachments are on their way already".to_owned());
        timeout(PLACE_LIMIT, place).await.map_err(late)
    }

    fn meaning(
        &self,
        media: &Media,
        error: FetchError,
        accepted_at: DateTime<Utc>,
        max_bytes: usize,
    ) -> ChannelError {
        let what = named(media);
        let passing = error.is_passing();
        let reason = match error {
            FetchError::TooLarge(left) if left < max_bytes => format!(
                "the attachments that are sent together, up to {what}, have more than the {max_bytes} {TOO_LARGE}; send them in \
                 several messages"
            ),
            // Of several, one gets what time the others left: that is not what its sender can change.
            FetchError::TimedOut(_) => format!("{what} {}", FetchError::TimedOut(FETCH_LIMIT)),
            error => format!("{what} {error}"),
        };
        let late = self.clock.now() - accepted_at > PATIENCE;
        if passing && !late { ChannelError::Retryable(reason) } else { ChannelError::Permanent(reason) }
    }
}

/// Whether attachments were not fetched because of their size.
pub fn is_too_large(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Permanent(why) if why.contains(TOO_LARGE))
}

/// What a page in place of a picture is told by.
fn types(kind: MediaKind) -> Option<&'static [&'static str]> {
    match kind {
        MediaKind::Image => Some(&["image/*"]),
        MediaKind::Video => Some(&["video/*", "image/gif", "application/mp4", "application/ogg"]),
        // Sound in a file for films is often told as a film.
        MediaKind::Audio | MediaKind::Voice => {
            Some(&["audio/*", "video/*", "application/mp4", "application/ogg"])
        }
        MediaKind::File => None,
    }
}

/// The attachment without its address.
fn named(media: &Media) -> String {
    let kind = match media.kind {
        MediaKind::Voice => "voice note",
        kind => kind.as_str(),
    };
    let url = Url::parse(&media.url).ok();
    match url.as_ref().and_then(Url::host_str) {
        Some(host) => format!("the {kind} at {host}"),
        None => format!("the address of the {kind}"),
    }
}

#[cfg(test)]
mod tests;
