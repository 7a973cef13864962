//! Where people's messages go, and who may post now.
//!
//! All tenants share the operator's backend. So that messages of one that are many, or answered late, never take all places,
//! each may have a quarter of them ([`Turns`]): whoever waits then waits for its own, and the others go on. Backends of
//! users' own ([`own`]) have places apart, each a number of its own. One that does not answer, or only 5xx, is left alone
//! ([`breaker`]), as one is that asks for it (`Retry-After`), and messages to it wait where others that are tried again do: in the database, not in a place.

mod breaker;
mod destination;
mod gate;
mod own;
mod post;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use claw_channels::kit::http::Http;
use claw_runtime::Random;
use claw_store::{Actor, Store, Vault, chain};
use claw_types::{ChannelId, UserId, Work};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

pub(super) use self::breaker::Author;
pub(crate) use self::breaker::Sign;
pub(crate) use self::destination::{Destination, Own, Reply, Room};
pub(super) use self::gate::Gate;
pub(crate) use self::gate::{Away, Pass};
use self::own::Known;
pub(super) use self::post::asks_to_rest;
pub(crate) use self::post::{Refused, Secrets, Target};
use super::turns::Turns;
use crate::erased::Erased;

/// Webhooks in flight from one worker to the operator's backend: a slow one must not exhaust our sockets.
const IN_FLIGHT: usize = 256;
/// Of those, one tenant's.
const IN_FLIGHT_OF_ONE: usize = IN_FLIGHT / 4;
/// Transactions are shorter than this: what was changed before a look is visible to the next one.
const OVERLAP: Duration = Duration::from_secs(30);

/// Where messages go.
pub(crate) struct Backend {
    operators: Arc<Destination>,
    own: RwLock<Known>,
    /// When what changed was last read; held while it is, so that nothing older is taken over after something newer.
    looked: Mutex<Option<Instant>>,
    limit: Duration,
}

impl Backend {
    /// The operator's backend; `http` and `random` are for those of users' own.
    pub(crate) fn new(target: Target, http: Http, random: Arc<dyn Random>) -> Self {
        let limit = target.limit;
        let known = Known::new(http, limit, Arc::clone(&random));
        let gate = Gate::new(None, own::origin(&target.url), random);
        let turns = Arc::new(Turns::new(IN_FLIGHT, IN_FLIGHT_OF_ONE));
        let operators = Arc::new(Destination { target: Ok(target), gate, turns, own: None });
        Self { operators, own: RwLock::new(known), looked: Mutex::default(), limit }
    }

    /// How long an answer may take, and a stream be silent.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Where a message goes.
    pub(crate) fn of(&self, work: &Work) -> Arc<Destination> {
        self.of_channel(&work.user_id, work.channel_id)
    }

    /// Where messages of a user and a channel go.
    pub(crate) fn of_channel(&self, user: &UserId, channel: ChannelId) -> Arc<Destination> {
        let known = self.own.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.of(user, channel).unwrap_or(&self.operators))
    }

    /// Reads what changed since the last look; everything, the first time.
    pub(crate) async fn look(&self, store: &Store, vault: &Vault) -> claw_store::Result<()> {
        let mut looked = self.looked.lock().await;
        let now = Instant::now();
        let since = looked.map(|at| (now.duration_since(at) + OVERLAP).as_secs_f64());
        let rows = store.backends_changed(vault, since).await?;
        self.own.write().unwrap_or_else(PoisonError::into_inner).apply(rows);
        *looked = Some(now);
        Ok(())
    }

    /// Forgets the backends of users who were erased.
    pub(crate) fn forget(&self, erased: &Erased) {
        let mut known = self.own.write().unwrap_or_else(PoisonError::into_inner);
        if !known.is_empty() {
            known.forget(|user, changed| erased.is_gone(user, changed.timestamp_millis()));
        }
    }

    /// Switches a destination off that wants no more; what it is as of now is read again.
    pub(crate) async fn disable(&self, store: &Store, vault: &Vault, own: &Own, reason: &str) {
        let disabled = store.backend_disable(own.id, own.revision, reason, &Actor::named("worker")).await;
        match disabled {
            Ok(true) => info!(backend.id = %own.id, "backend {} is switched off: {reason}", own.id),
            // Changed meanwhile, or another message was faster.
            Ok(false) => {}
            Err(error) => {
                warn!(backend.id = %own.id, "switching backend {} off failed: {}", own.id, chain(&error));
            }
        }
        if let Err(error) = self.look(store, vault).await {
            warn!("looking for changed backends failed: {}", chain(&error));
        }
    }

    /// The destinations that do not answer, the operator's first.
    pub(crate) fn away(&self) -> Vec<Away> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).away();
        self.operators.gate.away().into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests;
