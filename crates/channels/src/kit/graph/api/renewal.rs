//! A token that ends and is renewed: calls are made with the one that the channel was given, until there is a newer one that came of it.
//!
//! The newer one is in [`crate::Memory`], sealed, because it has to outlive its process, and because gateways, which try channels and ask for
//! people's names, call with it, too. It is read with the first call, and once for as long as the channel is made.
//!
//! Must hold: a newer token is remembered before it is used, and by the channel's owner alone; it counts for the token and the server that
//! the channel has, so that who gives the channel another token gets that one used, and who gives it another server (for which the API
//! asks for the token again) gets nothing sent there that he did not give.
//!
//! Rejected: the newer token in the channel's own secrets, in the place of the given one. A save by its user would race with it, and
//! whoever reads the audit of changes would look for who made it.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use claw_secrets::signature::sha256;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;

use super::{Api, Twice};
use crate::kit::bearer::below;
use crate::{Change, ChannelError, Memory, SinkError};

/// Its name in the channel's memory.
const ROW: &str = "access_token";
/// Bytes of the longest token that is taken: Meta's have some two hundred, and a server may refuse longer headers.
const LONGEST_TOKEN: usize = 4096;

/// Of one channel.
pub(super) struct Renewal {
    memory: Arc<dyn Memory>,
    /// Which token the channel was given, and for which server.
    of: String,
    /// `None` until it is read.
    row: Mutex<Option<Row>>,
}

/// What is remembered, if anything is of use, and the version of the row.
#[derive(Default)]
struct Row {
    kept: Option<Kept>,
    version: i64,
}

/// As it is remembered. Not to be printed.
#[derive(Serialize, Deserialize)]
struct Kept {
    of: String,
    since: DateTime<Utc>,
    newer: Option<Newer>,
}

#[derive(Serialize, Deserialize)]
struct Newer {
    token: String,
    until: DateTime<Utc>,
}

/// How long the token lasts with which calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// When it was first used here or, of a newer one, when the platform gave it.
    pub since: DateTime<Utc>,
    /// When it ends; `None` for the one that the channel was given, of which that is not known.
    pub until: Option<DateTime<Utc>>,
}

/// Why a token was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    /// The platform gave none.
    #[error(transparent)]
    Refused(#[from] ChannelError),
    /// It could not be read or remembered.
    #[error(transparent)]
    Forgotten(#[from] SinkError),
}

/// The platform's answer (<https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>).
#[derive(Deserialize)]
struct Given {
    access_token: String,
    /// Seconds.
    expires_in: u32,
}

impl Api {
    /// The newest token.
    pub(super) async fn token(&self) -> Result<Cow<'_, str>, ChannelError> {
        let given = Cow::Borrowed(self.token.as_str());
        let Some(renewal) = &self.renewal else { return Ok(given) };
        // Nothing was sent yet, so it can be tried again.
        let newest = renewal.newest().await.map_err(|error| ChannelError::Retryable(error.to_string()))?;
        Ok(newest.map_or(given, Cow::Owned))
    }

    /// How long the present token lasts; that it is used here for the first time is remembered. `None` where tokens do not end.
    ///
    /// # Errors
    /// When it can't be read or remembered.
    pub async fn term(&self) -> Result<Option<Term>, SinkError> {
        let Some(renewal) = &self.renewal else { return Ok(None) };
        renewal.term(self.deps.clock.now()).await.map(Some)
    }

    /// Asks for a newer token by this call, which stands beside the versions of the API and has the present one in its address. Once it is
    /// remembered it is called with.
    ///
    /// # Errors
    /// Why there is none; the present one is used on.
    pub async fn renew(&self, path: &str, grant_type: &str) -> Result<(), NotRenewed> {
        let Some(renewal) = &self.renewal else { return Ok(()) };
        let token = self.token().await?;
        let mut url = beside_version(&self.base, path)?;
        url.query_pairs_mut().append_pair("grant_type", grant_type).append_pair("access_token", &token);
        let request = self.deps.http.calls().get(url);
        let answer = self.answered(request, &token, Twice::Harmless).await?;
        let Given { access_token: token, expires_in } = self.read(&answer, Twice::Harmless)?;
        if !is_token(&token) {
            let name = self.platform.name;
            return Err(ChannelError::Retryable(format!("{name}'s answer has no access token")).into());
        }
        let since = self.deps.clock.now();
        let until = since + TimeDelta::seconds(expires_in.into());
        renewal.keep(since, Some(Newer { token, until })).await?;
        Ok(())
    }
}

impl Renewal {
    pub(super) fn new(memory: &Arc<dyn Memory>, server: &Url, token: &str) -> Self {
        // Not the path: another version of the API is the same server.
        let place = format!("{} {token}", server.origin().ascii_serialization());
        Self { memory: Arc::clone(memory), of: hex::encode(sha256(place.as_bytes())), row: Mutex::new(None) }
    }

    async fn newest(&self) -> Result<Option<String>, SinkError> {
        let mut row = self.row.lock().await;
        let kept = self.known(&mut row).await?.kept.as_ref();
        Ok(kept.and_then(|kept| kept.newer.as_ref()).map(|newer| newer.token.clone()))
    }

    async fn term(&self, now: DateTime<Utc>) -> Result<Term, SinkError> {
        let mut row = self.row.lock().await;
        let known = self.known(&mut row).await?.kept.as_ref().map(Kept::term);
        drop(row);
        if let Some(known) = known {
            return Ok(known);
        }
        self.keep(now, None).await?;
        Ok(Term { since: now, until: None })
    }

    async fn keep(&self, since: DateTime<Utc>, newer: Option<Newer>) -> Result<(), SinkError> {
        let mut row = self.row.lock().await;
        let version = self.known(&mut row).await?.version;
        // What is there if this fails is not known.
        *row = None;
        let kept = Kept { of: self.of.clone(), since, newer };
        let text = serde_json::to_string(&kept);
        let text = text.map_err(|_| SinkError::NotCommitted("the token can't be written".to_owned()))?;
        let change = Change { name: ROW.to_owned(), text: Some(text), version, keep: None };
        self.memory.save(vec![change]).await?;
        *row = Some(Row { kept: Some(kept), version: version + 1 });
        Ok(())
    }

    async fn known<'a>(&self, row: &'a mut Option<Row>) -> Result<&'a Row, SinkError> {
        let known = match row.take() {
            Some(known) => known,
            None => self.load().await?,
        };
        Ok(row.insert(known))
    }

    /// What is of another token, or can't be read, is of no use and will be written over.
    async fn load(&self) -> Result<Row, SinkError> {
        let found = self.memory.load(&[ROW.to_owned()]).await?.remove(ROW);
        let Some(found) = found else { return Ok(Row::default()) };
        let kept: Option<Kept> = serde_json::from_str(&found.text).ok();
        Ok(Row { kept: kept.filter(|kept| kept.of == self.of), version: found.version })
    }
}

impl Kept {
    fn term(&self) -> Term {
        Term { since: self.since, until: self.newer.as_ref().map(|newer| newer.until) }
    }
}

/// Whether it can be a token: one that no header takes would end every call.
fn is_token(text: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An address beside the version of the API, where the server's has one.
fn beside_version(server: &Url, path: &str) -> Result<Url, ChannelError> {
    let mut above = server.clone();
    let last = server.path_segments().and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
    let is_version = |last: &str| {
        last.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if last.is_some_and(is_version)
        && let Ok(mut segments) = above.path_segments_mut()
    {
        segments.pop_if_empty().pop();
    }
    below(&above, [path])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_that_renews_stands_beside_the_versions() {
        for (server, expected) in [
            ("https://graph.instagram.com/v25.0", "https://graph.instagram.com/refresh"),
            ("https://graph.instagram.com/v25.0/", "https://graph.instagram.com/refresh"),
            ("https://graph.instagram.com", "https://graph.instagram.com/refresh"),
            ("https://proxy.example/meta/v9", "https://proxy.example/meta/refresh"),
            ("https://proxy.example/venice", "https://proxy.example/venice/refresh"),
        ] {
            let url = beside_version(&Url::parse(server).unwrap(), "refresh").unwrap();
            assert_eq!(url.as_str(), expected, "{server}");
        }
    }

    #[test]
    fn what_no_header_takes_is_no_token() {
        assert!(is_token("IGAAexam-Token_0123.456"));
        for none in ["", "a b", "a\nb", "é", &"a".repeat(LONGEST_TOKEN + 1)] {
            assert!(!is_token(none), "{none:?}");
        }
    }
}
