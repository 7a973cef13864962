//! The worker's insides: the pipeline, and what connects it to the real world.

use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use claw_bus::Bus;
use claw_channels::Deps;
use claw_runtime::{Backoff, Batcher, Clock, Ids, Lifecycle};
use claw_secrets::Purpose;
use claw_store::{Accepted, Channel, MessageWriter, NewMessage, Note, Observed, Sighting, Store, Vault};
use claw_types::{Direction, MessageId, UserId, Work};

use crate::channels::memory::ShardMemory;
use crate::channels::supervisor;
use crate::deliver::backend::Backend;
use crate::deliver::stream::Streams;
use crate::deliver::turns::Turns;
use crate::deliver::typing::Typing;
use crate::deliver::{Attempt, inbound, outbound, webhook};
use crate::erased::Erased;
use crate::pipeline::Pipeline;
use crate::ports::{Acts, Database};
use crate::shard::Shard;
use crate::shard::queue::LaneKey;

/// The worker's insides. What it shares with the simulated one is [`Pipeline`], to which it dereferences.
pub(crate) struct Core {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) store: Store,
    pub(crate) writer: MessageWriter,
    pub(crate) sightings: Batcher<Sighting, Observed, claw_store::Error>,
    pub(crate) placeholders: Batcher<Note, bool, claw_store::Error>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) vault: Vault,
    pub(crate) ids: Ids,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deps: Deps,
    pub(crate) backend: Backend,
    /// When a webhook that failed is tried again.
    pub(crate) schedule: Backoff,
    pub(crate) turns: Arc<Turns>,
    pub(crate) webhooks: webhook::Places,
    pub(crate) erased: Erased,
    pub(crate) typing: Typing,
    pub(crate) streams: Streams,
    /// For how long a message to a person may be sent that does not say it.
    pub(crate) send_ttl: Duration,
    pub(crate) media_key: [u8; 32],
    /// Without a slash at the end.
    pub(crate) public_url: String,
}

impl Deref for Core {
    type Target = Pipeline;

    fn deref(&self) -> &Pipeline {
        &self.pipeline
    }
}

/// What the pipeline asks for, done by the core that holds it.
struct Doing(Weak<Core>);

#[async_trait]
impl Acts for Doing {
    async fn attend(&self, _pipeline: &Arc<Pipeline>, shard: Arc<Shard>) {
        if let Some(core) = self.0.upgrade() {
            supervisor::run(core, shard).await;
        }
    }

    async fn attempt(&self, _pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, work: &mut Work) -> Attempt {
        let Some(core) = self.0.upgrade() else { return Attempt::NotOurs };
        match work.direction {
            Direction::In => inbound::attempt(&core, shard, work).await,
            Direction::Out if core.erased.has(work) => Erased::over(),
            Direction::Out if work.is_webhook() => Box::pin(webhook::attempt(&core, shard, work)).await,
            // Boxed: it is larger than the other one, which would be made and moved at its size.
            Direction::Out => Box::pin(outbound::attempt(&core, shard, work)).await,
        }
    }

    async fn recovered(&self, user: &UserId, lane: &LaneKey) {
        let to = match lane.direction {
            Direction::In => self.0.upgrade().map(|core| core.backend.of_channel(user, lane.channel)),
            // A send's pauses are short, and a job's webhook has its own time.
            Direction::Out => None,
        };
        match to {
            Some(to) => to.recovered(user).await,
            None => std::future::pending().await,
        }
    }

    fn outlived(&self, shard: &Shard, work: &Work) -> Option<Attempt> {
        self.0.upgrade().and_then(|core| outbound::outlived(&core, shard, work))
    }

    fn schedule(&self, direction: Direction) -> Backoff {
        match (direction, self.0.upgrade()) {
            (Direction::In, Some(core)) => core.schedule.clone(),
            (Direction::In, None) => Backoff::MESSAGE,
            (Direction::Out, _) => Backoff::SEND,
        }
    }
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "called where everything is made, and by the tests' bench")]
    pub(crate) fn new(
        name: String,
        store: Store,
        bus: Arc<Bus>,
        vault: Vault,
        ids: Ids,
        deps: Deps,
        backend: Backend,
        schedule: Backoff,
        send_ttl: Duration,
        public_url: String,
        typing: Duration,
        streams: Streams,
        lifecycle: &Lifecycle,
    ) -> Arc<Self> {
        let observing = store.clone();
        let sightings = Batcher::start(lifecycle, "observe", 500, move |batch: Vec<Sighting>| {
            let store = observing.clone();
            async move { store.channels_observe(&batch).await }
        });
        let noting = store.clone();
        let placeholders = Batcher::start(lifecycle, "placeholders", 500, move |batch: Vec<Note>| {
            let store = noting.clone();
            async move { store.placeholders_note(&batch).await }
        });
        let writer = MessageWriter::start(&store, lifecycle, ());
        let log = Arc::new(Database { store: store.clone(), writer: writer.clone() });
        Arc::new_cyclic(|core| {
            let (road, acts) = (Arc::clone(&bus), Arc::new(Doing(core.clone())));
            let (clock, random) = (Arc::clone(&deps.clock), Arc::clone(&deps.random));
            Self {
                pipeline: Arc::new(Pipeline::new(name, log, road, acts, clock, random, lifecycle)),
                writer,
                sightings,
                placeholders,
                store,
                bus,
                ids,
                clock: Arc::clone(&deps.clock),
                deps,
                backend,
                schedule,
                turns: Arc::default(),
                webhooks: webhook::Places::default(),
                erased: Erased::default(),
                typing: Typing::new(typing),
                streams,
                send_ttl,
                media_key: vault.keys().current().derive(Purpose::MediaUrl),
                public_url,
                vault,
            }
        })
    }

    /// Commits a message of one of our shards and sets out to deliver it. Tells its id, unless it was committed before.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        message: NewMessage,
    ) -> claw_store::Result<Option<MessageId>> {
        let new = message.id;
        let id = self.accept_known(shard, message).await?;
        Ok((id == new).then_some(id))
    }

    /// As [`Self::accept`], but tells the id of one that was committed before, too.
    pub(crate) async fn accept_known(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        message: NewMessage,
    ) -> claw_store::Result<MessageId> {
        match self.writer.accept(message).await? {
            Accepted::New(work) => {
                let id = work.id;
                self.set_out(shard, *work).await;
                Ok(id)
            }
            Accepted::Duplicate(id) => Ok(id),
        }
    }

    /// Sets out to deliver a message that was just committed.
    pub(crate) async fn set_out(self: &Arc<Self>, shard: &Arc<Shard>, work: Work) {
        let (id, has_media) = (work.id, work.media.is_some());
        self.pipeline.offer(shard, work);
        // Last: NATS may be slow, and the message must not wait for it.
        if has_media {
            self.bus.publish_media(id).await;
        }
    }

    /// What a channel of ours is made with, on a shard that is ours.
    pub(crate) fn deps_for(self: &Arc<Self>, shard: &Shard, channel: &Channel) -> Deps {
        let memory = Arc::new(ShardMemory::new(Arc::clone(self), shard, channel.id));
        Deps { channel_id: channel.id, owner: Some(channel.user_id.clone()), memory, ..self.deps.clone() }
    }
}
