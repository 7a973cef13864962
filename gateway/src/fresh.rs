//! A cache in which nothing old is kept after a change.
//!
//! Without it, every call would cost a query. Must hold: what a change makes untrue is not found from the moment
//! [`Fresh::forget`] returns, even if it was being read while the change was made; a change that nobody told of goes
//! unnoticed for the cache's own time to live at most.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use moka::future::Cache;

/// Changed keys that are remembered; past it, everything is read anew.
const MOST: usize = 10_000;

/// A value, and how many changes there had been when its reading began.
pub type Stamped<V> = (u64, V);

/// Remembers values by key. A value counts if nothing that was said to change it came since its reading began. The cache's own
/// invalidation has no part in that: on a busy machine it let a value be found some milliseconds after it had returned.
pub struct Fresh<K, V> {
    known: Cache<K, Stamped<V>>,
    changes: Mutex<Changes<K>>,
}

struct Changes<K> {
    count: u64,
    /// The number of the last change of everything.
    of_all: u64,
    /// Of single keys, those since.
    of: HashMap<K, u64>,
}

impl<K: Hash + Eq> Changes<K> {
    fn last(&self, key: &K) -> u64 {
        self.of.get(key).copied().unwrap_or(0).max(self.of_all)
    }

    fn change_all(&mut self) {
        self.count += 1;
        self.of_all = self.count;
        self.of.clear();
    }
}

impl<K, V> Fresh<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps values in this cache, whose limits they have.
    pub fn new(known: Cache<K, Stamped<V>>) -> Self {
        Self { known, changes: Mutex::new(Changes { count: 0, of_all: 0, of: HashMap::new() }) }
    }

    fn changes(&self) -> MutexGuard<'_, Changes<K>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
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
        let before = self.changes().count;
        let loaded = load().await?;
        // What was read while it changed may be the old state: used once, not kept.
        let counts = before >= self.changes().last(key);
        if counts && let Some(value) = &loaded {
            self.known.insert(key.clone(), (before, value.clone())).await;
        }
        Ok(loaded)
    }

    /// The value, if it is remembered.
    pub async fn get(&self, key: &K) -> Option<V> {
        let (stamp, value) = self.known.get(key).await?;
        (stamp >= self.changes().last(key)).then_some(value)
    }

    /// Reads this one anew when it is next asked for.
    pub async fn forget(&self, key: &K) {
        {
            let mut changes = self.changes();
            if changes.of.len() >= MOST {
                changes.change_all();
            }
            changes.count += 1;
            let count = changes.count;
            changes.of.insert(key.clone(), count);
        }
        self.known.invalidate(key).await;
    }

    /// Reads all of them anew.
    pub fn forget_all(&self) {
        self.changes().change_all();
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
        cache.forget_all();
        assert_eq!(cache.get(&"k").await, None);
    }

    #[tokio::test]
    async fn what_took_the_place_of_something_forgotten_with_all_is_forgotten_by_itself() {
        let cache = Fresh::new(Cache::new(10));
        let load = async |value| Ok::<_, Infallible>(Some(value));
        for round in 0..100 {
            assert_eq!(cache.get_or_load(&"k", async || load(round).await).await, Ok(Some(round)));
            cache.forget_all();
            assert_eq!(cache.get_or_load(&"k", async || load(round + 1).await).await, Ok(Some(round + 1)));
            cache.forget(&"k").await;
            assert_eq!(cache.get(&"k").await, None);
        }
    }

    #[tokio::test]
    async fn nothing_is_not_remembered() {
        let cache: Fresh<_, u8> = Fresh::new(Cache::new(10));
        assert_eq!(cache.get_or_load(&"k", async || Ok::<_, Infallible>(None)).await, Ok(None));
        assert_eq!(cache.get_or_load(&"k", async || Ok::<_, Infallible>(Some(1))).await, Ok(Some(1)));
    }
}
