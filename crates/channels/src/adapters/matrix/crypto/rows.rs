//! What is remembered of keys and ratchets, as it is read and changed here.
//!
//! Rows are read once and kept until something goes wrong; what is changed is written by [`Rows::save`], all of it or nothing.
//!
//! Must hold: what was changed and not saved, because a call was dropped or failed midway, is forgotten before the next one begins,
//! so that what is saved always goes together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Change, ChannelError, Memory, SinkError};

/// Rows that are kept in memory; all are read anew when there are more.
const KEPT: usize = 300;

/// The rows of one device.
pub(super) struct Rows {
    memory: Arc<dyn Memory>,
    /// Before each name: rows of another device are of no use to this one.
    device: String,
    known: HashMap<String, Row>,
}

/// A row, or that there is none.
#[derive(Default)]
struct Row {
    text: Option<String>,
    version: i64,
    is_changed: bool,
    keep: Option<Duration>,
}

impl Rows {
    pub(super) fn new(memory: Arc<dyn Memory>, account: &str, device: &str) -> Self {
        Self { memory, device: format!("{account}/{device}"), known: HashMap::new() }
    }

    /// Forgets what somebody changed and did not save.
    pub(super) fn tidy(&mut self) {
        if self.known.len() > KEPT || self.known.values().any(|row| row.is_changed) {
            self.known.clear();
        }
    }

    /// Reads rows that will be asked for, in one go.
    pub(super) async fn load(&mut self, names: impl IntoIterator<Item = String>) -> Result<(), ChannelError> {
        let names = names.into_iter().map(|name| format!("{}/{name}", self.device));
        let new: Vec<String> = names.filter(|name| !self.known.contains_key(name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut found = self.memory.load(&new).await.map_err(|error| again(&error))?;
        for name in new {
            let row = found.remove(&name).map(|found| Row {
                text: Some(found.text),
                version: found.version,
                ..Row::default()
            });
            self.known.insert(name, row.unwrap_or_default());
        }
        Ok(())
    }

    /// A row, if there is one.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ChannelError> {
        let text = self.row(name).await?.text.as_deref();
        let read = text.map(serde_json::from_str).transpose();
        read.map_err(|_| ChannelError::Permanent(format!("what is remembered as {name} can't be read")))
    }

    /// Changes a row, which is of use for so long after that.
    pub(super) async fn put<T: Serialize>(
        &mut self,
        name: &str,
        value: &T,
        keep: Option<Duration>,
    ) -> Result<(), ChannelError> {
        let text = serde_json::to_string(value)
            .map_err(|_| ChannelError::Permanent(format!("{name} can't be written")))?;
        let row = self.row(name).await?;
        (row.text, row.keep, row.is_changed) = (Some(text), keep, true);
        Ok(())
    }

    /// Takes a row away.
    pub(super) async fn remove(&mut self, name: &str) -> Result<(), ChannelError> {
        let row = self.row(name).await?;
        row.is_changed |= row.text.take().is_some();
        Ok(())
    }

    /// Writes what was changed. When it returns, nothing of it can be lost any more.
    pub(super) async fn save(&mut self) -> Result<(), ChannelError> {
        let is_to_be_written = |row: &Row| row.is_changed && (row.text.is_some() || row.version > 0);
        let changes: Vec<Change> = self
            .known
            .iter()
            .filter(|(_, row)| is_to_be_written(row))
            .map(|(name, row)| Change {
                name: name.clone(),
                text: row.text.clone(),
                version: row.version,
                keep: row.keep,
            })
            .collect();
        if !changes.is_empty()
            && let Err(error) = self.memory.save(changes).await
        {
            // What is there now is not known.
            self.known.clear();
            return Err(again(&error));
        }
        for row in self.known.values_mut().filter(|row| row.is_changed) {
            row.version = if row.text.is_some() { row.version + 1 } else { 0 };
            row.is_changed = false;
        }
        Ok(())
    }

    async fn row(&mut self, name: &str) -> Result<&mut Row, ChannelError> {
        self.load([name.to_owned()]).await?;
        Ok(self.known.entry(format!("{}/{name}", self.device)).or_default())
    }
}

/// Nothing was told to anybody yet, so it can be tried again, here or by another owner. Whoever owns the channel: what is sent is written
/// with these rows, too, and a send that ends with [`ChannelError::Config`], as receiving does, would be over for good.
fn again(error: &SinkError) -> ChannelError {
    ChannelError::Retryable(error.to_string())
}
