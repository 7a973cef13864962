//! Access tokens that platforms hand out for an hour or so in exchange for a credential (RFC 6749, sections 4.4, 4.5, 5 and 6).
//!
//! Kept in memory until shortly before they expire, for all channels of a process, by what they were given for: a channel is made
//! anew whenever it is changed, and must not ask for a token each time. A token that the platform does not take any more is
//! forgotten, and the call made once more with a new one: refused calls did nothing.
//!
//! Must hold: who has another secret never gets a token that this one was given; several who need a token at the same time ask once;
//! who gives up while it asks leaves the others to ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use claw_secrets::signature::sha256;
use http::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::{beginning, excerpt, retry_after};
use super::http::repeatable;
use crate::{ChannelError, Deps};

/// Seconds before its end from which a token is not used any more: the longest call still begins with one that counts.
const MARGIN: i64 = 120;
/// Seconds for which a token counts when its server does not say.
const USUAL: i64 = 600;
/// All that is read of an answer.
const MAX_ANSWER: usize = 64 * 1024;
/// Characters of what the server says that are quoted.
const MAX_QUOTE: usize = 300;
/// Tokens that are remembered, at about 2 KiB.
const CAPACITY: usize = 10_000;

/// What is sent for a token: the fields of a form.
pub type Form = Vec<(&'static str, String)>;

/// The tokens of a process.
#[derive(Debug, Default)]
pub struct AccessTokens(Mutex<HashMap<[u8; 32], Arc<Slot>>>);

/// One token; held by who asks for it.
type Slot = tokio::sync::Mutex<Option<Token>>;

#[derive(Clone)]
struct Token {
    text: String,
    /// In seconds since 1970.
    until: i64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

impl AccessTokens {
    fn slot(&self, id: [u8; 32], now: i64) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= CAPACITY && !slots.contains_key(&id) {
            let counts = |slot: &Arc<Slot>| {
                slot.try_lock().map_or(true, |token| token.as_ref().is_some_and(|token| now < token.until))
            };
            slots.retain(|_, slot| counts(slot));
        }
        Arc::clone(slots.entry(id).or_default())
    }
}

/// What one channel gets its tokens for.
pub struct Grant {
    platform: &'static str,
    endpoint: Url,
    id: [u8; 32],
    form: Box<dyn Fn() -> Result<Form, ChannelError> + Send + Sync>,
    deps: Deps,
}

impl Grant {
    /// Tokens of `endpoint` for what `credential` names: all that a token depends on, secrets included. `form` is made anew each time.
    pub fn new(
        platform: &'static str,
        endpoint: Url,
        credential: &[&str],
        form: impl Fn() -> Result<Form, ChannelError> + Send + Sync + 'static,
        deps: Deps,
    ) -> Self {
        let mut named = Vec::new();
        for part in [endpoint.as_str()].iter().chain(credential) {
            named.extend_from_slice(&sha256(part.as_bytes()));
        }
        Self { platform, endpoint, id: sha256(&named), form: Box::new(form), deps }
    }

    /// Makes a call with a token; `meaning` says what it means that there was no answer.
    ///
    /// # Errors
    /// What [`Grant::renewed`] says where no token is to be had, or what `meaning` makes of it.
    pub async fn sent(
        &self,
        request: RequestBuilder,
        meaning: fn(&reqwest::Error) -> ChannelError,
    ) -> Result<Response, ChannelError> {
        let token = self.token().await?;
        let again = request.try_clone();
        let response = send(request, &token, meaning).await?;
        match again {
            Some(again) if response.status() == StatusCode::UNAUTHORIZED => {
                self.forget(&token).await;
                let token = self.token().await?;
                send(again, &token, meaning).await
            }
            _ => Ok(response),
        }
    }

    /// A new token, whatever is kept: whether the credential works.
    ///
    /// # Errors
    /// [`ChannelError::BadCredentials`] with the platform's own words when it does not, [`ChannelError::Retryable`] when that is not known.
    pub async fn renewed(&self) -> Result<(), ChannelError> {
        let fresh = self.ask().await?;
        *self.slot().lock().await = Some(fresh);
        Ok(())
    }

    fn now(&self) -> i64 {
        self.deps.clock.now().timestamp()
    }

    fn slot(&self) -> Arc<Slot> {
        self.deps.http.tokens().slot(self.id, self.now())
    }

    /// The token that counts now, for protocols other than HTTP.
    ///
    /// # Errors
    /// What [`Grant::renewed`] says where none is to be had.
    pub async fn token(&self) -> Result<String, ChannelError> {
        let slot = self.slot();
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| self.now() < token.until) {
            return Ok(token.text.clone());
        }
        let fresh = self.ask().await?;
        let text = fresh.text.clone();
        *kept = Some(fresh);
        Ok(text)
    }

    /// Uses a token no more that was not taken, unless another one took its place meanwhile.
    pub async fn forget(&self, token: &str) {
        let slot = self.slot();
        let mut kept = slot.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.text == token) {
            *kept = None;
        }
    }

    async fn ask(&self) -> Result<Token, ChannelError> {
        let form = Serializer::new(String::new()).extend_pairs((self.form)()?).finish();
        let request = self.deps.http.calls().post(self.endpoint.clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        // A second token does no harm.
        let response = request.send().await.map_err(|error| repeatable(&error.without_url()))?;
        let (status, now) = (response.status(), self.now());
        let wait = retry_after(response.headers(), now);
        let answer = beginning(response, MAX_ANSWER).await;
        if !status.is_success() {
            return Err(self.refused(status, &answer, wait));
        }
        let Granted { access_token: text, expires_in } = serde_json::from_slice(&answer).map_err(|_| {
            ChannelError::Retryable(format!("{}'s answer has no access token", self.platform))
        })?;
        let lives = expires_in.unwrap_or(USUAL);
        // One that lives shorter than the margin is used at once all the same.
        Ok(Token { text, until: now.saturating_add((lives - MARGIN).max(1)) })
    }

    fn refused(&self, status: StatusCode, answer: &[u8], wait: Option<std::time::Duration>) -> ChannelError {
        let Refused { error, error_description } = serde_json::from_slice(answer).unwrap_or_default();
        // The first line; behind it Microsoft has numbers for its support.
        let described = error_description.lines().next().unwrap_or_default();
        let said = excerpt([error.as_str(), described].join(": ").trim_matches([':', ' ']), MAX_QUOTE);
        let text = format!("{} hands out no access token: {}: {said}", self.platform, status.as_u16());
        match status.as_u16() {
            400 | 401 | 403 => ChannelError::BadCredentials(text),
            429 => wait.map_or(ChannelError::Retryable(text), ChannelError::RateLimited),
            402..=499 => ChannelError::Permanent(text),
            _ => ChannelError::Retryable(text),
        }
    }
}

async fn send(
    request: RequestBuilder,
    token: &str,
    meaning: fn(&reqwest::Error) -> ChannelError,
) -> Result<Response, ChannelError> {
    request.bearer_auth(token).send().await.map_err(|error| meaning(&error.without_url()))
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    error: String,
    error_description: String,
}

#[cfg(test)]
mod tests;
