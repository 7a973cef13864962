//! New events, read once for all streams of this gateway and handed to each in memory.
//!
//! Nothing hangs on it: a batch says behind which place it begins, so a stream that missed one (it was slow, the feed
//! had stopped, the database was away) sees the hole and reads the database. It runs while somebody listens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claw_runtime::Lifecycle;
use claw_store::{Event, Place, Result, Store, chain};
use tokio::sync::broadcast;
use tokio::time::Instant;
use tracing::warn;

/// How often new events are looked for.
const EVERY: Duration = Duration::from_millis(250);
/// A batch without events is sent after this: listeners' places must not grow old.
const QUIET: Duration = Duration::from_secs(5);
/// Events of one batch.
const PAGE: i64 = 500;
/// Batches that a slow stream may be behind; then it reads the database.
const BACKLOG: usize = 32;
/// How long to wait after the database failed.
const PAUSE: Duration = Duration::from_secs(1);

/// All events between two places.
pub struct Batch {
    /// It begins behind this one,
    pub after: Place,
    /// and everything up to this one is in it.
    pub upto: Place,
    /// In order, everybody's.
    pub events: Vec<Told>,
    /// The order of places is broken before it: whatever a stream's place is, it has to read the database.
    pub gap: bool,
}

/// An event, ready to be sent.
pub struct Told {
    /// Where it is.
    pub place: Place,
    /// Whose it is.
    pub user: Option<String>,
    /// Its type.
    pub kind: String,
    /// The slug of its channel.
    pub slug: Option<String>,
    /// What is sent.
    pub json: String,
}

impl Told {
    /// Of what the database has.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn new(event: Event) -> Result<Self> {
        Ok(Self {
            json: event.json()?,
            slug: event.slug().map(str::to_owned),
            place: event.place,
            user: event.user_id,
            kind: event.kind,
        })
    }
}

/// The feed of a gateway.
pub struct Feed {
    store: Store,
    batches: broadcast::Sender<Arc<Batch>>,
    running: Mutex<bool>,
    lifecycle: Lifecycle,
}

impl Feed {
    /// Not running: nobody listens.
    pub fn new(store: &Store, lifecycle: &Lifecycle) -> Self {
        let batches = broadcast::Sender::new(BACKLOG);
        Self { store: store.clone(), batches, running: Mutex::new(false), lifecycle: lifecycle.clone() }
    }

    /// What comes from now on; has the feed run.
    pub fn listen(self: &Arc<Self>) -> broadcast::Receiver<Arc<Batch>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.batches.subscribe();
        if !*running {
            *running = true;
            let feed = Arc::clone(self);
            self.lifecycle.spawn("event feed", async move { feed.run().await });
        }
        receiver
    }

    /// Under the lock under which listeners come: either it sees them, or they start it anew.
    fn is_over(&self) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = self.batches.receiver_count() > 0 && !self.lifecycle.soft().is_cancelled();
        !*running
    }

    async fn run(&self) {
        let mut place: Option<Place> = None;
        let mut sent: Option<Instant> = None;
        while !self.is_over() {
            let pause = match self.read(place).await {
                Ok((batch, more)) => {
                    place.get_or_insert(batch.after);
                    if batch.gap || !batch.events.is_empty() || sent.is_none_or(|at| at.elapsed() >= QUIET) {
                        (place, sent) = (Some(batch.upto), Some(Instant::now()));
                        // Nobody listens any more: the loop ends.
                        drop(self.batches.send(Arc::new(batch)));
                    }
                    if more { Duration::ZERO } else { EVERY }
                }
                Err(error) => {
                    warn!("event streams stand still, new events can't be read: {}", chain(&error));
                    PAUSE
                }
            };
            // Ends early when the gateway drains.
            drop(tokio::time::timeout(pause, self.lifecycle.soft().cancelled()).await);
        }
    }

    async fn read(&self, place: Option<Place>) -> Result<(Batch, bool)> {
        let after = match place {
            Some(place) => place,
            None => self.store.events_now().await?,
        };
        let page = self.store.events_after(None, after, PAGE).await?;
        if page.gap {
            // Events were forgotten before they were read here; or the database lost its last transactions when another
            // server took over, counts from a lower number, and our place is one of the future.
            let now = self.store.events_now().await?;
            return Ok((Batch { after: now, upto: now, events: Vec::new(), gap: true }, false));
        }
        let events = page.events.into_iter().map(Told::new).collect::<Result<_>>()?;
        Ok((Batch { after, upto: page.upto, events, gap: false }, page.more))
    }
}
