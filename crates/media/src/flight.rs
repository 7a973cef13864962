//! One fetch for many callers.
//!
//! The fetch belongs to the process and not to the caller who came first: callers are people's downloads, which are
//! broken off all the time, and the others wait for the same bytes. Must hold: at most one fetch of a key is under way in
//! this process, and a failure is told to those who waited for it and to nobody later. Two processes may fetch the same
//! attachment at once; the later one replaces the earlier one's, which is the same.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::PoisonError;

use bytes::Bytes;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt as _, Stream};
use tokio::time::timeout_at;
use tracing::warn;

use crate::upload::{self, Limits};
use crate::{Error, MediaKey, MediaStore, Result, Stored};

pub(crate) type Flight = Shared<BoxFuture<'static, Result<Stored>>>;

/// An attachment on its way from its source.
pub struct Incoming<S> {
    /// Its media type, where known.
    pub content_type: Option<String>,
    /// Its bytes.
    pub bytes: S,
}

impl MediaStore {
    /// The attachment, fetched from its source unless it is here or somebody is fetching it already. `limits.timeout` is
    /// for the fetch with its bytes. Dropping the returned future does not end a fetch that has begun.
    ///
    /// # Errors
    /// As [`MediaStore::put`]; what `fetch` failed with is in [`Error::Source`]. The next call tries again.
    pub async fn fetch_once<F, Fut, S, E>(&self, key: MediaKey, limits: Limits, fetch: F) -> Result<Stored>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = std::result::Result<Incoming<S>, E>> + Send + 'static,
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let flight = {
            let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.entry(key).or_insert_with(|| self.start(key, limits, fetch)).clone()
        };
        flight.await
    }

    fn start<F, Fut, S, E>(&self, key: MediaKey, limits: Limits, fetch: F) -> Flight
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = std::result::Result<Incoming<S>, E>> + Send + 'static,
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let this = self.clone();
        let flight = async move {
            let result = this.found_or_fetched(key, limits, fetch).await;
            // Before anybody hears of it: who comes from now on finds it in the store, or tries again.
            this.0.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            result
        };
        let flight = flight.boxed().shared();
        self.0.lifecycle.spawn("fetching an attachment", flight.clone().map(drop));
        flight
    }

    async fn found_or_fetched<F, Fut, S, E>(&self, key: MediaKey, limits: Limits, fetch: F) -> Result<Stored>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = std::result::Result<Incoming<S>, E>>,
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        match self.find(&key).await {
            Ok(Some(stored)) => return Ok(stored),
            Ok(None) => {}
            Err(error @ Error::Damaged(_)) => warn!(%error, "fetching an attachment again: {error}"),
            Err(error) => return Err(error),
        }
        let deadline = limits.deadline();
        let fetched = timeout_at(deadline, fetch()).await.map_err(|_| Error::TimedOut(limits.timeout))?;
        let Incoming { content_type, bytes } = fetched.map_err(Error::source)?;
        let until = (limits, deadline);
        upload::write(&*self.0.objects, &key.path(), content_type.as_deref(), until, bytes).await?;
        self.find(&key).await?.ok_or(Error::Changed)
    }
}
