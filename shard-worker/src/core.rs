//! What every part of the worker shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use claw_bus::Bus;
use claw_channels::Deps;
use claw_runtime::{Batcher, Clock, Ids, Lifecycle, Random};
use claw_secrets::Purpose;
use claw_store::{Accepted, MessageWriter, NewMessage, Sighting, Store, Vault};
use claw_types::{ChannelId, ShardId, Work};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::deliver::backend::Backend;
use crate::deliver::lane;
use crate::deliver::turns::Turns;
use crate::outcomes::Outcomes;
use crate::shard::Shard;

/// The worker's insides.
pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) store: Store,
    pub(crate) writer: MessageWriter,
    pub(crate) sightings: Batcher<Sighting, bool, claw_store::Error>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) vault: Vault,
    pub(crate) ids: Ids,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) deps: Deps,
    pub(crate) backend: Backend,
    pub(crate) outcomes: Outcomes,
    pub(crate) turns: Arc<Turns>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) media_key: [u8; 32],
    /// Without a slash at the end.
    pub(crate) public_url: String,
    /// Rung when a shard wants a sweep now.
    pub(crate) sweep: Notify,
    pub(crate) lease: Deadline,
    pub(crate) draining: AtomicBool,
    /// Whether an operator wants this worker to own nothing; `placement` acts on it.
    pub(crate) drain_wanted: watch::Sender<bool>,
    owned: RwLock<HashMap<ShardId, Arc<Shard>>>,
}

/// Until when the lease may be relied on without asking the database.
#[derive(Debug, Default)]
pub(crate) struct Deadline(Mutex<Option<Instant>>);

impl Deadline {
    /// Renewed: good for this long after `asked`, the moment *before* the question was sent.
    pub(crate) fn renew(&self, asked: Instant, good_for: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked + good_for);
    }

    /// Gone.
    pub(crate) fn revoke(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the lease is good right now; asked before everything that others can see.
    pub(crate) fn holds(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "called once, where everything is made")]
    pub(crate) fn new(
        name: String,
        store: Store,
        bus: Arc<Bus>,
        vault: Vault,
        ids: Ids,
        deps: Deps,
        backend: Backend,
        public_url: String,
        lifecycle: &Lifecycle,
    ) -> Self {
        let observing = store.clone();
        let sightings = Batcher::start(lifecycle, "observe", 500, move |batch: Vec<Sighting>| {
            let store = observing.clone();
            async move { store.channels_observe(&batch).await }
        });
        Self {
            name,
            writer: MessageWriter::start(&store, lifecycle),
            sightings,
            store,
            bus,
            ids,
            clock: Arc::clone(&deps.clock),
            random: Arc::clone(&deps.random),
            deps,
            backend,
            outcomes: Outcomes::default(),
            turns: Arc::default(),
            lifecycle: lifecycle.clone(),
            media_key: vault.key().derive(Purpose::MediaUrl),
            public_url,
            vault,
            sweep: Notify::new(),
            lease: Deadline::default(),
            draining: AtomicBool::new(false),
            drain_wanted: watch::Sender::new(false),
            owned: RwLock::default(),
        }
    }

    /// The shard, if it is ours.
    pub(crate) fn shard(&self, id: ShardId) -> Option<Arc<Shard>> {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Every shard that is ours.
    pub(crate) fn shards(&self) -> Vec<Arc<Shard>> {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn own(&self, shard: Arc<Shard>) {
        self.owned.write().unwrap_or_else(PoisonError::into_inner).insert(shard.id, shard);
    }

    pub(crate) fn disown(&self, id: ShardId) {
        self.owned.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Commits a message of one of our shards and sets out to deliver it.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        message: NewMessage,
    ) -> claw_store::Result<()> {
        match self.writer.accept(message).await? {
            Accepted::New(work) => {
                let (id, has_media) = (work.id, work.media.is_some());
                self.offer(shard, *work);
                // Last: NATS may be slow, and the message must not wait for it.
                if has_media {
                    self.bus.publish_media(id).await;
                }
            }
            Accepted::Duplicate(_) => {}
        }
        Ok(())
    }

    /// Queues a committed message; starts its lane's runner if it has none.
    pub(crate) fn offer(self: &Arc<Self>, shard: &Arc<Shard>, work: Work) {
        let start = shard.queue().offer(work);
        if let Some(key) = start {
            lane::start(self, shard, key);
        }
    }

    /// What a channel of ours is made with.
    pub(crate) fn deps_for(&self, channel_id: ChannelId) -> Deps {
        Deps { channel_id, ..self.deps.clone() }
    }
}
