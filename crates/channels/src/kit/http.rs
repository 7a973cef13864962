//! The HTTP clients that all channels of a process share: a client of its own for each bot would cost 133 KiB and
//! its own connections (measured), against 26 KiB for a long poll on a shared one.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::turns::Turns;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use super::access_token::AccessTokens;
use super::guard::{self, PublicResolver, UrlError};
use super::jwt::KeySets;
use super::upload::{AT_ONCE, OF_A_USER};
use crate::ChannelError;

/// Platform calls answer within this, or their outcome is unknown.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The shared clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    calls: Client,
    polls: Client,
    places: Arc<Turns>,
    keys: Arc<KeySets>,
    tokens: Arc<AccessTokens>,
    allow_private: bool,
    limit: Duration,
}

impl Http {
    /// Clients that reach private addresses only when `allow_private`.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(allow_private: bool) -> Result<Self, reqwest::Error> {
        Self::with_limit(allow_private, TIMEOUT)
    }

    /// The same, with another limit for ordinary calls.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn with_limit(allow_private: bool, limit: Duration) -> Result<Self, reqwest::Error> {
        let build = |builder: ClientBuilder| {
            let builder = if allow_private { builder } else { builder.dns_resolver(PublicResolver) };
            builder.build()
        };
        let (calls, polls) = (build(base().timeout(limit))?, build(base())?);
        let places = Arc::new(Turns::new(AT_ONCE, OF_A_USER));
        let (keys, tokens) = (Arc::default(), Arc::default());
        Ok(Self { calls, polls, places, keys, tokens, allow_private, limit })
    }

    /// Reaches public addresses only, and a server of the test by this name.
    #[cfg(test)]
    pub fn guarded_except(name: &str, address: std::net::SocketAddr) -> Self {
        let client = || base().dns_resolver(PublicResolver).resolve(name, address).build().unwrap();
        let places = Arc::new(Turns::new(AT_ONCE, OF_A_USER));
        let (keys, tokens) = (Arc::default(), Arc::default());
        Self { calls: client(), polls: client(), places, keys, tokens, allow_private: false, limit: TIMEOUT }
    }

    /// For ordinary calls, which end within 30 s.
    pub fn calls(&self) -> &Client {
        &self.calls
    }

    /// For long polls; the caller sets the time-out of each request.
    pub fn polls(&self) -> &Client {
        &self.polls
    }

    /// Within what time an answer is waited for, for those who call a platform by other means than these clients.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Places for attachments in memory; see [`super::upload`].
    pub(super) fn places(&self) -> &Arc<Turns> {
        &self.places
    }

    /// The public keys of platforms, as far as they are known.
    pub fn keys(&self) -> &KeySets {
        &self.keys
    }

    /// The access tokens that platforms gave to channels.
    pub(super) fn tokens(&self) -> &AccessTokens {
        &self.tokens
    }

    /// Whether private addresses may be called.
    pub fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Checks a user's URL before it is used: the resolver can't see a host that is an address already.
    ///
    /// # Errors
    /// When it may not be called.
    pub fn check(&self, url: &str) -> Result<url::Url, UrlError> {
        guard::check_form(url, self.allow_private)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that builds clients")]
fn base() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("ii-claw/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // One connection for each request in flight, even where a dependency turns HTTP/2 on: over that, a server's limit of
        // streams (often 200) would silently queue the rest of the polls.
        .http1_only()
        .redirect(Policy::none())
        .no_proxy()
}

/// As [`classify`], for a call that may just be made again: the other side knows a repeated one, or it changes nothing.
pub fn repeatable(error: &reqwest::Error) -> ChannelError {
    match classify(error) {
        ChannelError::Uncertain(reason) => ChannelError::Retryable(reason),
        other => other,
    }
}

/// A client for addresses that the operator chose: the backend. No address is refused.
///
/// # Errors
/// When TLS can't be set up.
pub fn operator_client(timeout: Duration) -> Result<Client, reqwest::Error> {
    base().timeout(timeout).pool_max_idle_per_host(256).build()
}

/// As [`operator_client`], of whose answers each has the server's certificate beside it: [`reqwest::tls::TlsInfo`].
///
/// # Errors
/// When TLS can't be set up.
pub fn inspecting_client(timeout: Duration) -> Result<Client, reqwest::Error> {
    base().timeout(timeout).tls_info(true).build()
}

/// What a failed request means: before the connection stood nothing was sent; after that, nobody knows. A name that leads
/// to where we may not call is no matter of time.
pub fn classify(error: &reqwest::Error) -> ChannelError {
    if let Some(refused) = guard::refusal(error) {
        return ChannelError::Config(format!("the platform's address {refused}"));
    }
    // `without_url`: a platform's URL may carry the bot's token.
    let reason = if error.is_connect() {
        "can't connect to the platform"
    } else if error.is_timeout() {
        "the platform did not answer in time"
    } else {
        "the connection to the platform broke"
    };
    if error.is_connect() || error.is_builder() {
        ChannelError::Retryable(reason.to_owned())
    } else {
        ChannelError::Uncertain(reason.to_owned())
    }
}
