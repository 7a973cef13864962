//! Calls without a good key, counted by the address they come from.
//!
//! A right key always passes: behind a load balancer that was not named in `II_CLAW_TRUSTED_PROXIES`, all callers share
//! one address, and a stranger must not be able to lock out the backend. What is throttled are the failures, and the work
//! that they make: who has to be looked up in the database waits for a turn, of which all together have few and an
//! address with too many failures one, so that guessing never takes the connections that everybody else needs.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use claw_store::{Actor, Change};
use claw_telemetry::metrics::Counter;
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tracing::warn;

use crate::app::Shared;
use crate::error::Problem;

/// Failures of one address that are answered with 401; more are answered with 429. They come back at this rate, too.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// Addresses that are remembered before old ones are looked through.
const ADDRESSES: usize = 50_000;
/// For how long an address counts as one with too many failures; so often it is noted, too.
const THROTTLED: Duration = Duration::from_secs(60);
/// Keys and hooks that are looked up at the same time: half of a gateway's connections to the database.
const LOOKUPS: usize = 4;

/// Strangers' calls that wait to be noted for a hook's owner; more are only counted.
const NOTES: usize = 100;

/// Counts failures.
pub struct Throttle {
    failures: DefaultKeyedRateLimiter<IpAddr>,
    throttled: Cache<IpAddr, ()>,
    lookups: Semaphore,
    lookups_of_throttled: Semaphore,
    notes: Arc<Semaphore>,
    noting: Mutex<()>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            failures: RateLimiter::keyed(Quota::per_minute(PER_MINUTE)),
            throttled: Cache::builder().max_capacity(ADDRESSES as u64).time_to_live(THROTTLED).build(),
            lookups: Semaphore::new(LOOKUPS),
            lookups_of_throttled: Semaphore::new(1),
            notes: Arc::new(Semaphore::new(NOTES)),
            noting: Mutex::default(),
        }
    }
}

impl Throttle {
    /// Waits until somebody at this address may be looked up in the database; held meanwhile.
    ///
    /// # Errors
    /// Never: the semaphores are not closed.
    pub async fn turn(&self, address: Option<IpAddr>) -> Result<SemaphorePermit<'_>, Problem> {
        let throttled = address.is_some_and(|address| self.throttled.contains_key(&network(address)));
        let turns = if throttled { &self.lookups_of_throttled } else { &self.lookups };
        turns.acquire().await.map_err(|error| Problem::internal().caused_by(&error))
    }

    /// Leaves it to a task to note a stranger's call: one at a time, and none of a flood.
    pub fn note_later<F: Future<Output = ()> + Send + 'static>(app: &Shared, note: F) {
        let Ok(place) = Arc::clone(&app.throttle.notes).try_acquire_owned() else { return };
        let app = Arc::clone(app);
        let lifecycle = app.lifecycle.clone();
        lifecycle.spawn("a stranger's call", async move {
            let _one = app.throttle.noting.lock().await;
            note.await;
            drop(place);
        });
    }

    /// A call without a good key came from here: what to answer.
    pub fn failed(&self, app: &Shared, address: Option<IpAddr>) -> Problem {
        self.exceeded(app, address, "key").unwrap_or_else(Problem::unauthorized)
    }

    /// A call without a good one `of` what was asked for came from here: what to answer when there were too many.
    pub fn exceeded(&self, app: &Shared, address: Option<IpAddr>, of: &'static str) -> Option<Problem> {
        Counter::AuthFailures.add(&[of]);
        let network = network(address?);
        if self.failures.len() > ADDRESSES {
            self.failures.retain_recent();
        }
        match self.failures.check_key(&network) {
            Ok(()) => None,
            Err(until) => {
                let wait = until.wait_time_from(governor::clock::DefaultClock::default().now());
                if self.throttled.entry(network).or_insert(()).is_fresh() {
                    note(app, network);
                }
                Counter::AuthThrottled.add(&[of]);
                Some(Problem::too_many_failures(wait.as_secs() + 1))
            }
        }
    }
}

/// Says in the log and in the audit log that an address is throttled.
fn note(app: &Shared, network: IpAddr) {
    warn!(address = %network, "too many calls without a good key from {network}");
    let (app, limit) = (app.clone(), PER_MINUTE.get());
    let lifecycle = app.lifecycle.clone();
    lifecycle.spawn("audit", async move {
        let actor = Actor { name: "stranger".to_owned(), address: Some(network.to_string()) };
        let detail = json!({"more_than": limit, "within_seconds": 60});
        let change = Change { action: "auth.throttled", subject: "api", detail };
        if let Err(error) = app.store.audit_note(&actor, &change).await {
            warn!(%error, "the audit log did not take a note: {error}");
        }
    });
}

/// One subscriber has a whole /64 of IPv6 (RFC 6177), so that is what counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
