//! The channels of a shard: made of their rows, run, restarted when their row changes, stopped with the shard.

pub(crate) mod active;
pub(crate) mod limiter;
pub(crate) mod manners;
pub(crate) mod measure;
pub(crate) mod memory;
pub(crate) mod observe;
mod sink;
pub(crate) mod supervisor;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claw_types::ChannelId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::active::Active;
use self::measure::Measured;

/// What runs, by channel.
#[derive(Default)]
pub struct Channels {
    running: Mutex<HashMap<ChannelId, Running>>,
    events: Mutex<Option<mpsc::UnboundedSender<Event>>>,
}

/// Something to look into.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// A channel may have changed.
    Changed(ChannelId),
    /// A channel has this revision by now.
    Revision(ChannelId, i64),
    /// Load all: the shard was just claimed.
    All,
}

struct Running {
    revision: i64,
    health: Health,
    /// The platform does not take its credential; a reload tries again at once.
    refused: bool,
    /// Why it stopped receiving last, until it works again.
    trouble: Option<String>,
    measured: Arc<Measured>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Why it does not work; `None` when it does.
    fn error(&self) -> Option<&str> {
        match &self.health {
            Health::Failed(why) => Some(why),
            Health::Running(_) => self.trouble.as_deref(),
        }
    }
}

#[derive(Clone)]
enum Health {
    Running(Arc<Active>),
    Failed(String),
}

/// What a send finds.
pub(crate) enum Lookup {
    /// Send by this.
    Running(Arc<Active>),
    /// The shard's channels are still being loaded.
    Starting,
    /// It does not work, and why.
    Failed(String),
    /// It is not among those to run.
    Unknown,
}

impl Channels {
    fn running(&self) -> MutexGuard<'_, HashMap<ChannelId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel for a send.
    pub(crate) fn lookup(&self, id: ChannelId) -> Lookup {
        match self.running().get(&id).map(|running| running.health.clone()) {
            Some(Health::Running(active)) => Lookup::Running(active),
            Some(Health::Failed(why)) => Lookup::Failed(why),
            None if self.is_loading() => Lookup::Starting,
            None => Lookup::Unknown,
        }
    }

    fn refused(&self, id: ChannelId, refused: bool) {
        if let Some(running) = self.running().get_mut(&id) {
            running.refused = refused;
        }
    }

    /// Counts that it stopped receiving, and is started again.
    fn reconnects(&self, id: ChannelId) {
        if let Some(running) = self.running().get(&id) {
            running.measured.reconnects();
        }
    }

    fn troubled(&self, id: ChannelId, trouble: Option<String>) {
        if let Some(running) = self.running().get_mut(&id) {
            running.trouble = trouble;
        }
    }

    /// Every channel behind `after` that runs or tries to, and why it does not work.
    pub(crate) fn list(&self, after: Option<ChannelId>) -> Vec<(ChannelId, Option<String>)> {
        let running = self.running();
        let behind = running.iter().filter(|(id, _)| after.is_none_or(|after| id.0 > after.0));
        behind.map(|(id, running)| (*id, running.error().map(str::to_owned))).collect()
    }

    /// How many do not work.
    pub(crate) fn failed(&self) -> usize {
        self.running().values().filter(|running| running.error().is_some()).count()
    }

    fn is_loading(&self) -> bool {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Has something looked into.
    pub(crate) fn notify(&self, event: Event) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            // Closed when the shard is stopping: nothing to look into any more.
            let _closed = events.send(event);
        }
    }

    fn accept_events(&self, events: mpsc::UnboundedSender<Event>) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
    }

    /// How many run or try to.
    pub(crate) fn len(&self) -> usize {
        self.running().len()
    }
}
