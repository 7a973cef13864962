//! The channels that are in use, with their secrets opened and their adapters made.
//!
//! Without it, every webhook and every send would cost a query and a decryption. Must hold: a change made through
//! this gateway is seen by its next request; one made through another as soon as NATS tells; and if NATS does not, after
//! [`TTL`]. (How: [`Fresh`].)

use std::sync::Arc;
use std::time::{Duration, Instant};

use claw_bus::{Bus, changed_channel};
use claw_channels::{ChannelError, Deps, registry};
use claw_intake::{Intake, PACE_WINDOW, Pace};
use claw_runtime::Lifecycle;
use claw_store::{Channel, Store, Vault};
use claw_types::{ChannelId, InstanceId, UserId};
use moka::Expiry;
use moka::future::Cache;
use serde_json::{Map, Value};
use tracing::warn;

use crate::error::Problem;
use crate::fresh::Fresh;
use crate::memory;

/// The longest that a missed change goes unnoticed.
const TTL: Duration = Duration::from_secs(5);
/// How long it is remembered that there is no such channel.
const NEGATIVE_TTL: Duration = Duration::from_secs(1);
/// Channels kept at most; each is some KiB.
const CAPACITY: u64 = 10_000;

/// A stored channel and its adapter.
pub struct Known {
    /// As stored.
    pub channel: Channel,
    /// Who may write to it.
    pub intake: Intake,
    /// Its adapter, or why there is none.
    pub adapter: Result<Arc<dyn claw_channels::Channel>, ChannelError>,
}

impl Known {
    /// The adapter.
    ///
    /// # Errors
    /// 409 when the stored fields do not make sense to this version; the log said why when the channel was read.
    pub fn adapter(&self) -> Result<&dyn claw_channels::Channel, Problem> {
        let broken = "the channel's fields make no sense to this version of the gateway, whose log says why: configure the channel again";
        self.adapter.as_deref().map_err(|_| Problem::conflict(broken))
    }
}

/// Channels by id and by their place in the API.
pub struct ChannelCache {
    store: Store,
    vault: Vault,
    deps: Deps,
    known: Fresh<ChannelId, Option<Arc<Known>>>,
    // An id belongs to one user and slug for ever, so this can only point to a channel that was deleted since; then
    // `known` has nothing, and the database is asked.
    slugs: Cache<(UserId, InstanceId), ChannelId>,
    /// What was written lately, which must outlive `known`.
    paces: Cache<ChannelId, Arc<Pace>>,
    /// The revisions of channels of which the log said already that they can't be made: each request may read them anew.
    broken: Cache<(ChannelId, i64), ()>,
}

struct ByOutcome;

impl Expiry<ChannelId, Option<Arc<Known>>> for ByOutcome {
    fn expire_after_create(
        &self,
        _id: &ChannelId,
        found: &Option<Arc<Known>>,
        _now: Instant,
    ) -> Option<Duration> {
        Some(if found.is_some() { TTL } else { NEGATIVE_TTL })
    }
}

impl ChannelCache {
    /// Nothing is known yet.
    pub fn new(store: Store, vault: Vault, deps: Deps) -> Self {
        Self {
            store,
            vault,
            deps,
            known: Fresh::new(Cache::builder().max_capacity(CAPACITY).expire_after(ByOutcome).build()),
            slugs: Cache::new(CAPACITY),
            // A channel that is written to is read anew, and this with it, at least every 5 s.
            paces: Cache::builder().max_capacity(CAPACITY).time_to_idle(PACE_WINDOW * 2).build(),
            broken: Cache::new(CAPACITY),
        }
    }

    /// A channel by its id; `None` when there is none or it was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, id: ChannelId) -> Result<Option<Arc<Known>>, Problem> {
        let found = self.known.get_or_load(&id, async || Box::pin(self.load(id)).await.map(Some)).await?;
        Ok(found.flatten())
    }

    async fn load(&self, id: ChannelId) -> claw_store::Result<Option<Arc<Known>>> {
        let Some((channel, secrets)) = self.store.channel_load(&self.vault, id).await? else {
            return Ok(None);
        };
        let adapter = self.make(&channel, &secrets);
        if let Err(error) = &adapter
            && self.broken.entry((id, channel.revision)).or_insert(()).await.is_fresh()
        {
            warn!(channel.id = %id, %error, "a stored channel can't be made, and takes nothing until it is configured again: {error}");
        }
        let pace = async { Arc::new(Pace::new(registry::tells_programs(&channel.channel_type))) };
        let intake = Intake::new(&channel.config, self.paces.get_with(id, pace).await);
        Ok(Some(Arc::new(Known { channel, intake, adapter })))
    }

    fn make(
        &self,
        channel: &Channel,
        secrets: &Map<String, Value>,
    ) -> Result<Arc<dyn claw_channels::Channel>, ChannelError> {
        let unknown = || ChannelError::Config(format!("no adapter of type {:?}", channel.channel_type));
        let entry = registry::find(&channel.channel_type).ok_or_else(unknown)?;
        let deps = memory::deps_for(&self.deps, &self.store, &self.vault, channel.id);
        let deps = Deps { owner: Some(channel.user_id.clone()), ..deps };
        entry.make(&channel.config, secrets, deps)
    }

    /// A user's channel by its slug.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_user(&self, user: &UserId, instance: &InstanceId) -> Result<Option<Arc<Known>>, Problem> {
        let place = (user.clone(), instance.clone());
        if let Some(id) = self.slugs.get(&place).await
            && let Some(known) = self.get(id).await?
        {
            return Ok(Some(known));
        }
        let Some((channel, _)) = self.store.channel_find(&self.vault, user, instance).await? else {
            return Ok(None);
        };
        self.slugs.insert(place, channel.id).await;
        self.get(channel.id).await
    }

    /// Reads the channel anew when it is next asked for.
    pub async fn forget(&self, id: ChannelId) {
        self.known.forget(&id).await;
    }

    /// Forgets what NATS says has changed, until the shutdown.
    pub fn watch(self: &Arc<Self>, bus: &Arc<Bus>, lifecycle: &Lifecycle) {
        let (this, bus, soft) = (Arc::clone(self), Arc::clone(bus), lifecycle.soft());
        lifecycle.spawn("channel changes", async move {
            let until_stopped = soft.run_until_cancelled(async {
                loop {
                    this.follow(&bus).await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            until_stopped.await;
        });
    }

    async fn follow(&self, bus: &Bus) {
        let mut frames = match bus.subscribe_channels().await {
            Ok(frames) => frames,
            Err(error) => return warn!(%error, "changes of channels are seen late: {error}"),
        };
        // Something may have changed unheard.
        self.known.forget_all().await;
        while let Some(frame) = frames.next().await {
            if let Some(id) = changed_channel(&frame) {
                self.forget(id).await;
            }
        }
    }
}
