//! A cache in which nothing old is kept after a change.
//!
//! Without it, every call would cost a query. Must hold: what a change makes untrue is not found from the moment
//! [`Fresh::forget`] returns, even if it was being read while the change was made; a change that nobody told of goes
//! unnoticed for the cache's own time to live at most.

use std::hash::Hash;

use moka::future::Cache;
use tokio::sync::Mutex;

/// Remembers values by key.
pub struct Fresh<K, V> {
    known: Cache<K, V>,
    // Counts what may have changed. Held while `known` is written, so that a value read before a change is not kept
    // after it.
    changes: Mutex<u64>,
}

impl<K, V> Fresh<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps values in this cache, whose limits they have.
    pub fn new(known: Cache<K, V>) -> Self {
        Self { known, changes: Mutex::default() }
    }

    /// The value that is remembered, or else what `load` reads; that is remembered if it is any.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl AsyncFnOnce() -> Result<Option<V>, E>,
    ) -> Result<Option<V>, E> {
        if let Some(found) = self.get(key).await {
            return Ok(Some(found));
        }
        let before = *self.changes.lock().await;
        let loaded = load().await?;
        let changes = self.changes.lock().await;
        // What was read while something changed may be the old state: used once, not kept.
        if *changes == before
            && let Some(value) = &loaded
        {
            self.known.insert(key.clone(), value.clone()).await;
        }
        Ok(loaded)
    }

    /// The value, if it is remembered.
    pub async fn get(&self, key: &K) -> Option<V> {
        self.known.get(key).await
    }

    /// Reads this one anew when it is next asked for.
    pub async fn forget(&self, key: &K) {
        let mut changes = self.changes.lock().await;
        *changes += 1;
        self.known.invalidate(key).await;
    }

    /// Reads all of them anew.
    pub async fn forget_all(&self) {
        let mut changes = self.changes.lock().await;
        *changes += 1;
        self.known.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn what_was_read_while_it_changed_is_not_kept() {
        let cache = Fresh::new(Cache::new(10));
        let load = async |value| Ok::<_, Infallible>(Some(value));
        let during = cache.get_or_load(&"k", async || {
            cache.forget(&"k").await;
            load(1).await
        });
        assert_eq!(during.await, Ok(Some(1)));
        assert_eq!(cache.get(&"k").await, None);
        assert_eq!(cache.get_or_load(&"k", async || load(2).await).await, Ok(Some(2)));
        assert_eq!(cache.get_or_load(&"k", async || load(3).await).await, Ok(Some(2)), "remembered");
        cache.forget(&"k").await;
        assert_eq!(cache.get_or_load(&"k", async || load(4).await).await, Ok(Some(4)));
        cache.forget_all().await;
        assert_eq!(cache.get(&"k").await, None);
    }

    #[tokio::test]
    async fn nothing_is_not_remembered() {
        let cache: Fresh<_, u8> = Fresh::new(Cache::new(10));
        assert_eq!(cache.get_or_load(&"k", async || Ok::<_, Infallible>(None)).await, Ok(None));
        assert_eq!(cache.get_or_load(&"k", async || Ok::<_, Infallible>(Some(1))).await, Ok(Some(1)));
    }
}
