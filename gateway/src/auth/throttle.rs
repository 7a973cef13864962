//! Calls without a good key, counted by the address they come from.
//!
//! A right key always passes: behind a load balancer that was not named in `II_CLAW_TRUSTED_PROXIES`, all callers share
//! one address, and a stranger must not be able to lock out the backend. What is throttled are the failures; the keys
//! themselves are too long to guess at any rate.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use claw_store::{Actor, Change};
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde_json::json;
use tracing::warn;

use crate::app::Shared;
use crate::error::Problem;

/// Failures of one address that are answered with 401; more are answered with 429. They come back at this rate, too.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// Addresses that are remembered before old ones are looked through.
const ADDRESSES: usize = 50_000;

/// Counts failures.
pub struct Throttle {
    failures: DefaultKeyedRateLimiter<IpAddr>,
    /// Lets one note an address's throttling through each minute.
    notes: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Throttle {
    fn default() -> Self {
        let once = Quota::per_minute(NonZeroU32::MIN);
        Self { failures: RateLimiter::keyed(Quota::per_minute(PER_MINUTE)), notes: RateLimiter::keyed(once) }
    }
}

impl Throttle {
    /// A call without a good key came from here: what to answer.
    pub fn failed(&self, app: &Shared, address: Option<IpAddr>) -> Problem {
        self.exceeded(app, address).unwrap_or_else(Problem::unauthorized)
    }

    /// A call that failed came from here: what to answer when there were too many.
    pub fn exceeded(&self, app: &Shared, address: Option<IpAddr>) -> Option<Problem> {
        let address = address?;
        let network = network(address);
        if self.failures.len() > ADDRESSES {
            self.failures.retain_recent();
            self.notes.retain_recent();
        }
        match self.failures.check_key(&network) {
            Ok(()) => None,
            Err(until) => {
                let wait = until.wait_time_from(governor::clock::DefaultClock::default().now());
                self.note(app, network);
                Some(Problem::too_many_failures(wait.as_secs() + 1))
            }
        }
    }

    fn note(&self, app: &Shared, network: IpAddr) {
        if self.notes.check_key(&network).is_err() {
            return;
        }
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
