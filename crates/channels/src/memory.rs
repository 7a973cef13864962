//! What a channel has to remember by itself, beyond the place in its platform's stream: texts by names, sealed where they are kept.
//!
//! For secrets that change as they are used or as time goes by, such as the keys of an encrypted conversation, or a token that is renewed. What
//! can be asked of the platform again is not remembered. Gateways, which make channels to ask and to try them, read it.
//!
//! Must hold: only the channel's owner writes, and never over what he has not read; of several changes all are made or none; what
//! is saved is there for the next owner before anything that follows from it can be seen by others.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::SinkError;

/// A text as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The text.
    pub text: String,
    /// How often it was written; for [`Change::version`].
    pub version: i64,
}

/// A text to be kept, or not any more.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// By which it is found.
    pub name: String,
    /// The text; `None` forgets it.
    pub text: Option<String>,
    /// The version that it takes the place of, which becomes the next one; 0 where there was none.
    pub version: i64,
    /// How long it is of use after this; `None`: until it is forgotten.
    pub keep: Option<Duration>,
}

/// Remembers for one channel.
#[async_trait]
pub trait Memory: Send + Sync + 'static {
    /// What is kept by these names; those by which there is nothing are left out.
    ///
    /// # Errors
    /// When it can't be read.
    async fn load(&self, names: &[String]) -> Result<HashMap<String, Remembered>, SinkError>;

    /// Makes these changes, all or none; committed when it returns.
    ///
    /// # Errors
    /// [`SinkError::NotCommitted`] when a version is another one by now, too: what was read has to be read again.
    async fn save(&self, changes: Vec<Change>) -> Result<(), SinkError>;
}

/// Where channels are made of which nothing is stored: nothing is remembered there, and nothing known.
#[derive(Debug, Clone, Copy)]
pub struct NoMemory;

#[async_trait]
impl Memory for NoMemory {
    async fn load(&self, _names: &[String]) -> Result<HashMap<String, Remembered>, SinkError> {
        Err(SinkError::LostOwnership)
    }

    async fn save(&self, _changes: Vec<Change>) -> Result<(), SinkError> {
        Err(SinkError::LostOwnership)
    }
}
