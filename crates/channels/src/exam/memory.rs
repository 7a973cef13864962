//! What a channel remembers while it is examined, as its owner's shard keeps it: a token that is renewed, for instance, is called with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::{Change, Memory, Remembered, SinkError};

/// For one requirement.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<String, Remembered>>);

#[async_trait]
impl Memory for Kept {
    async fn load(&self, names: &[String]) -> Result<HashMap<String, Remembered>, SinkError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(names.iter().filter_map(|name| Some((name.clone(), kept.get(name)?.clone()))).collect())
    }

    async fn save(&self, changes: Vec<Change>) -> Result<(), SinkError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let version = |name: &str| kept.get(name).map_or(0, |text| text.version);
        if let Some(late) = changes.iter().find(|change| version(&change.name) != change.version) {
            return Err(SinkError::NotCommitted(format!("{:?} is of another version by now", late.name)));
        }
        for Change { name, text, version, keep: _ } in changes {
            match text {
                Some(text) => drop(kept.insert(name, Remembered { text, version: version + 1 })),
                None => drop(kept.remove(&name)),
            }
        }
        Ok(())
    }
}
