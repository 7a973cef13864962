//! The public keys of platforms, fetched from where they publish them and kept as long as they say.
//!
//! Adapters read a request without I/O, so what they need is fetched before that ([`KeySets::prepare`]), by whoever is first to need
//! it. Shared by all channels of a process: the keys are the platform's, not a channel's.
//!
//! Must hold: requests of strangers, whatever key they name, make us ask the platform once in [`PAUSE`] at most; keys are never
//! used for longer than their platform allows; one that is slow or away delays a request by [`LIMIT`] at most, and not at all while
//! keys that are there still count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use reqwest::StatusCode;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::warn;
use url::Url;

use super::{Expected, NotGenuine, PublicKeys, Verified, bearer, key_of};
use crate::kit::answer::read;
use crate::{ChannelError, Deps};

/// How long at least between two fetches of keys that are there, in seconds.
const PAUSE: i64 = 60;
/// How long between two attempts while there are none, in seconds.
const PAUSE_WITHOUT: i64 = 5;
/// How long a fetch may take.
const LIMIT: Duration = Duration::from_secs(5);
/// For how many seconds keys are kept at least, at most, and where their server does not say.
const KEPT: (i64, i64, i64) = (300, 86_400, 3600);
/// A key set has some 10 KiB; Microsoft's for bots, of 250 keys with all their endorsements, had 870 KiB in October 2026.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Addresses that are remembered; there are as many as users who chose a server of their own.
const CAPACITY: usize = 1000;

/// Keys by the address at which they are published.
#[derive(Debug, Default)]
pub struct KeySets {
    places: Mutex<HashMap<Url, Arc<Place>>>,
    /// Fetches that no request waits for. Each ends within [`LIMIT`], and nothing is lost when the process ends before.
    renewals: TaskTracker,
}

#[derive(Debug, Default)]
struct Place {
    kept: Mutex<Option<Kept>>,
    /// When the platform was asked last, in seconds since 1970. Held by who asks.
    asked: Arc<tokio::sync::Mutex<Option<i64>>>,
}

#[derive(Debug, Clone)]
struct Kept {
    keys: Arc<PublicKeys>,
    /// From then on they are fetched anew while they still count.
    refresh: i64,
    /// From then on they count no more.
    until: i64,
}

impl KeySets {
    /// The keys that count at `now`, in seconds since 1970; `None` where there are none.
    pub fn known(&self, address: &Url, now: i64) -> Option<Arc<PublicKeys>> {
        let kept = self.place(address, now).kept(now)?;
        Some(kept.keys)
    }

    /// Sees to it that the key is known by which the token in these headers says it is signed. What can't be genuine is refused without
    /// keys, too.
    ///
    /// # Errors
    /// As [`KeySets::prepare`].
    pub async fn prepare_for(
        &self,
        deps: &Deps,
        address: &Url,
        headers: &HeaderMap,
    ) -> Result<(), ChannelError> {
        let Ok(key) = bearer(headers).and_then(key_of) else { return Ok(()) };
        self.prepare(deps, address, &key).await
    }

    /// What the token in these headers says, to who `asks`; no I/O.
    ///
    /// # Errors
    /// [`ChannelError::BadSignature`] when it is none of the platform's, and what `asks` says.
    pub fn genuine<T>(
        &self,
        deps: &Deps,
        address: &Url,
        headers: &HeaderMap,
        expected: Expected<'_>,
        asks: impl FnOnce(&Verified<'_>) -> Result<T, ChannelError>,
    ) -> Result<T, ChannelError> {
        let now = deps.clock.now().timestamp();
        let forged = |why: NotGenuine| ChannelError::BadSignature(why.to_string());
        let token = bearer(headers).map_err(forged)?;
        let keys = self.known(address, now).ok_or_else(|| forged(NotGenuine::Key))?;
        asks(&keys.verify(token, expected, now).map_err(forged)?)
    }

    /// Sees to it that the key of this name is [known](Self::known), if the platform has it.
    ///
    /// # Errors
    /// [`ChannelError::Retryable`] when there are no keys at all, because the platform does not hand them out right now.
    pub async fn prepare(&self, deps: &Deps, address: &Url, key: &str) -> Result<(), ChannelError> {
        let now = deps.clock.now().timestamp();
        let place = self.place(address, now);
        if let Some(kept) = place.kept(now)
            && kept.keys.has(key)
        {
            if now >= kept.refresh {
                self.renew(deps, address, place, now);
            }
            return Ok(());
        }
        let mut asked = place.asked.lock().await;
        let kept = place.kept(now);
        // Somebody else may have fetched them meanwhile.
        if kept.as_ref().is_some_and(|kept| kept.keys.has(key) && now < kept.refresh) {
            return Ok(());
        }
        let pause = if kept.is_some() { PAUSE } else { PAUSE_WITHOUT };
        if asked.is_some_and(|at| now < at.saturating_add(pause)) {
            return kept.map(drop).ok_or_else(|| away("they were asked for a moment ago, in vain"));
        }
        *asked = Some(now);
        match fetched(deps, address, now).await {
            Ok(fetched) => {
                place.keep(fetched);
                Ok(())
            }
            Err(error) if kept.is_some() => {
                warn!(%error, "keys are not renewed: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches keys anew that still count, while requests go on with them. One fetch at a time, and one in [`PAUSE`].
    fn renew(&self, deps: &Deps, address: &Url, place: Arc<Place>, now: i64) {
        let Ok(mut asked) = Arc::clone(&place.asked).try_lock_owned() else { return };
        if asked.is_some_and(|at| now < at.saturating_add(PAUSE)) {
            return;
        }
        *asked = Some(now);
        let (deps, address) = (deps.clone(), address.clone());
        self.renewals.spawn(async move {
            match fetched(&deps, &address, now).await {
                Ok(fetched) => place.keep(fetched),
                Err(error) => warn!(%error, "keys are not renewed: {error}"),
            }
            drop(asked);
        });
    }

    /// Returns once no fetch goes on that no request waits for.
    #[cfg(test)]
    pub(super) async fn renewed(&self) {
        self.renewals.close();
        self.renewals.wait().await;
        self.renewals.reopen();
    }

    fn place(&self, address: &Url, now: i64) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(address) {
            return Arc::clone(place);
        }
        if places.len() >= CAPACITY {
            places.retain(|_, place| place.kept(now).is_some());
        }
        if places.len() >= CAPACITY {
            places.clear();
        }
        Arc::clone(places.entry(address.clone()).or_default())
    }
}

impl Place {
    fn kept(&self, now: i64) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone().filter(|kept| now < kept.until)
    }

    fn keep(&self, fetched: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
    }
}

fn away(why: &str) -> ChannelError {
    ChannelError::Retryable(format!(
        "the platform's public keys, without which no request can be checked, are missing: {why}"
    ))
}

async fn fetched(deps: &Deps, address: &Url, now: i64) -> Result<Kept, ChannelError> {
    let asking = async {
        let response = deps.http.calls().get(address.clone()).send().await;
        let response = response.map_err(|_| away("their server can't be reached"))?;
        if response.status() != StatusCode::OK {
            return Err(away(&format!("their server answered {}", response.status().as_u16())));
        }
        let lifetime = lifetime(response.headers());
        let document = read(response, MAX_BYTES).await.map_err(|error| away(&error.to_string()))?;
        let keys = PublicKeys::read(&document).map_err(|_| away("their server's answer is no key set"))?;
        if keys.is_empty() {
            return Err(away("their server's answer has no RSA key"));
        }
        Ok(Kept { keys: Arc::new(keys), refresh: now + lifetime / 4 * 3, until: now + lifetime })
    };
    timeout(LIMIT, asking).await.unwrap_or_else(|_| Err(away("their server did not answer in time")))
}

/// `max-age` of RFC 9111, section 5.2.2.1, within bounds.
fn lifetime(headers: &HeaderMap) -> i64 {
    let (least, most, usual) = KEPT;
    let control = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut directives = control.split(',').filter_map(|directive| directive.trim().split_once('='));
    let age = directives.find(|(name, _)| name.eq_ignore_ascii_case("max-age"));
    age.and_then(|(_, seconds)| seconds.parse().ok()).map_or(usual, |seconds: i64| seconds.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_their_server_says_within_bounds() {
        let of = |text: &str| lifetime(&HeaderMap::from_iter([(CACHE_CONTROL, text.parse().unwrap())]));
        assert_eq!(of("public, max-age=19845, must-revalidate, no-transform"), 19_845);
        assert_eq!(of("MAX-AGE=1"), 300);
        assert_eq!(of("max-age=99999999"), 86_400);
        assert_eq!((of("no-store"), of("max-age=soon"), lifetime(&HeaderMap::new())), (3600, 3600, 3600));
    }
}
