//! Group commit of messages: what many callers accept or settle at once is one statement.
//!
//! Must hold: a caller hears that its message is accepted only after the commit, and the owner of its shard is told of it by then;
//! messages of one conversation get their places in the order in which they were submitted.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::{Batcher, Lifecycle, Pace};
use claw_telemetry::metrics::Counter;
use claw_telemetry::trace::{Context, Kind, Span};
use claw_types::{MessageId, Work};
use futures::future::BoxFuture;

use super::insert::Inserted;
use super::{NewMessage, Settlement};
use crate::{Error, Result, Store};

/// What became of a [`NewMessage`].
#[derive(Debug, Clone)]
pub enum Accepted {
    /// It is stored.
    New(Box<Work>),
    /// It was accepted before, under this id.
    Duplicate(MessageId),
}

impl Accepted {
    /// The id under which it is stored.
    pub fn id(&self) -> MessageId {
        match self {
            Self::New(work) => work.id,
            Self::Duplicate(id) => *id,
        }
    }
}

/// Accepts and settles through group commit; one for each process.
#[derive(Clone)]
pub struct MessageWriter {
    // Shared, because a batch that fails is tried item by item: a copy of each for that would be one for nothing.
    accept: Batcher<Arc<NewMessage>, Inserted, Error>,
    settle: Batcher<Arc<Settlement>, bool, Error>,
}

/// Rows in one statement: beyond some hundreds the gain is small and the latency of a batch grows.
const BATCH: usize = 500;
/// How long settlements gather at most in a busy worker. The platform or the backend has the message by then; what waits is the next
/// one of its conversation, and a send that is answered when it is done. A worker that dies in between does again what it could not
/// settle, as ever. It saves a fifth of all transactions (docs/benchmarks.md).
const GATHER: Duration = Duration::from_millis(2);

/// How many messages don't wait for the batch before theirs: fewer would cost more statements than they gain, and a busy gateway
/// with 64 callers was 4 % faster so than without (docs/benchmarks.md).
const BESIDE: usize = 24;

/// Tells the owners of shards what was accepted for them.
///
/// A batch is told of at once, by who committed it: one by one, each caller for itself, would wake the connection to NATS, NATS
/// and the worker for nearly every message. And a caller that goes away takes no message's announcement with it.
pub trait Announce: Send + Sync + 'static {
    /// All of these are committed. Their callers wait for this, and who has a place among them.
    fn announce<'a>(&'a self, accepted: &'a [&'a Work]) -> BoxFuture<'a, ()>;
}

/// Nobody needs to be told: who accepts is the owner.
impl Announce for () {
    fn announce<'a>(&'a self, _: &'a [&'a Work]) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl MessageWriter {
    /// Starts the two committers.
    pub fn start(store: &Store, lifecycle: &Lifecycle, owners: impl Announce) -> Self {
        let (accepting, settling) = (store.apart(2), store.apart(1));
        let owners = Arc::new(owners);
        let beside = Pace::Beside { least: BESIDE, place: |message: &Arc<NewMessage>| message.place() };
        Self {
            accept: Batcher::paced(lifecycle, "accept", BATCH, beside, move |batch: Vec<Arc<NewMessage>>| {
                let (store, owners) = (accepting.clone(), Arc::clone(&owners));
                async move {
                    let inserted = store.messages_insert(&batch).await?;
                    owners.announce(&inserted.iter().filter_map(Inserted::work).collect::<Vec<_>>()).await;
                    Ok(inserted)
                }
            }),
            settle: Batcher::paced(
                lifecycle,
                "settle",
                BATCH,
                Pace::Gathering { longest: GATHER },
                move |batch: Vec<Arc<Settlement>>| {
                    let store = settling.clone();
                    async move { store.messages_settle(&batch).await }
                },
            ),
        }
    }

    /// Returns once the message is committed: from then on it will not be lost.
    ///
    /// # Errors
    /// When it was not committed; [`Error::KeyReused`] when its key came with another body before.
    pub async fn accept(&self, message: NewMessage) -> Result<Accepted> {
        let mut span = Span::child_of(message.context(), "commit", Kind::Client);
        let accepted = self.accept_once(message).await;
        match &accepted {
            Ok(Accepted::Duplicate(id)) => span.link(Context::of_message(id.0.as_u128())),
            Ok(Accepted::New(_)) => {}
            Err(_) => span.failed("not_committed"),
        }
        Counter::Accepts.add(&[match &accepted {
            Ok(Accepted::New(_)) => "new",
            Ok(Accepted::Duplicate(_)) => "duplicate",
            Err(Error::KeyReused | Error::Conflict) => "refused",
            Err(_) => "failed",
        }]);
        accepted
    }

    async fn accept_once(&self, message: NewMessage) -> Result<Accepted> {
        let message = Arc::new(message);
        // A key that another transaction was just writing shows only to the next statement.
        for _ in 0..3 {
            match self.accept.submit(Arc::clone(&message)).await? {
                Inserted::Known(accepted) => return Ok(accepted),
                Inserted::KeyReused => return Err(Error::KeyReused),
                Inserted::NotSeen => {}
            }
        }
        Err(Error::Conflict)
    }

    /// Returns once it is committed; `false` when the claim is not the present one any more: step down.
    ///
    /// # Errors
    /// When it was not committed.
    pub async fn settle(&self, settlement: Settlement) -> Result<bool> {
        Ok(self.settle.submit(Arc::new(settlement)).await?)
    }
}
