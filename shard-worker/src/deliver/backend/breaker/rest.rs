//! Who was asked to come back later: `Retry-After` with a 429 (RFC 6585, section 4) or a 503 (RFC 9110, sections 10.2.3 and 15.6.4).
//!
//! Such a limit may be one tenant's, for a backend may count what each of its people asks; and one tenant may bring it about with
//! what it sends. So whose message was answered so rests, with all of its messages, and everybody while more than [`FEW`] tenants
//! do. Must hold: nothing but its time ends a rest. What is answered meanwhile was on its way before.

use std::collections::HashMap;
use std::time::Duration;

use claw_types::UserId;
use tokio::time::Instant;

use super::FEW;

/// Who rests.
#[derive(Debug, Default)]
pub(super) struct Rests {
    /// Each until when.
    of: HashMap<UserId, Instant>,
    everybody: Option<Instant>,
}

impl Rests {
    /// This tenant is to rest so long from now on; whether it did not before.
    pub(super) fn ask(&mut self, tenant: &UserId, time: Duration, now: Instant) -> bool {
        let is_new = self.left(tenant, now).is_none();
        self.of.retain(|_, until| *until > now);
        let until = self.of.entry(tenant.clone()).or_insert(now);
        *until = (*until).max(now + time);
        let mut ends: Vec<Instant> = self.of.values().copied().collect();
        ends.sort_unstable();
        // Until then there are more than a few.
        self.everybody = ends.iter().rev().nth(FEW).copied();
        is_new
    }

    /// How long this tenant is still to rest, if at all.
    pub(super) fn left(&self, tenant: &UserId, now: Instant) -> Option<Duration> {
        let until = self.of.get(tenant).copied().max(self.everybody)?;
        (until > now).then(|| until.duration_since(now))
    }
}
