//! Who was asked to come back later: `Retry-After` with a 429 (RFC 6585, section 4) or a 503 (RFC 9110, sections 10.2.3 and 15.6.4).
//!
//! A 429 is about who asked: a backend may count what each of its people asks. A 503 is the whole service's word; but one tenant may
//! bring it about with what it sends. So whose message was answered so rests, with all of its messages, and everybody while more than
//! [`FEW`] tenants were answered 503. However many are over limits of their own stop nobody else.
//!
//! Must hold: nothing but its time ends a rest. What is answered meanwhile was on its way before.

use std::collections::HashMap;
use std::time::Duration;

use claw_types::UserId;
use tokio::time::Instant;

use super::{FEW, Sign};

/// Who rests.
#[derive(Debug, Default)]
pub(super) struct Rests {
    of: HashMap<UserId, Rest>,
    everybody: Option<Instant>,
}

/// How long one rests.
#[derive(Debug)]
struct Rest {
    until: Instant,
    /// Until when by the service's word about itself; past, if that is over or it said none.
    away: Instant,
}

impl Rests {
    /// This tenant is to rest so long from now on, by an answer of this sign; whether it did not before.
    pub(super) fn ask(&mut self, tenant: &UserId, time: Duration, sign: Sign, now: Instant) -> bool {
        let is_new = self.left(tenant, now).is_none();
        self.of.retain(|_, rest| rest.until > now);
        let rest = self.of.entry(tenant.clone()).or_insert(Rest { until: now, away: now });
        rest.until = rest.until.max(now + time);
        if sign != Sign::Answered {
            rest.away = rest.away.max(now + time);
        }
        let mut ends: Vec<Instant> = self.of.values().map(|rest| rest.away).collect();
        ends.sort_unstable();
        // Until then it is away for more than a few.
        self.everybody = ends.iter().rev().nth(FEW).copied();
        is_new
    }

    /// How long this tenant is still to rest, if at all.
    pub(super) fn left(&self, tenant: &UserId, now: Instant) -> Option<Duration> {
        let until = self.of.get(tenant).map(|rest| rest.until).max(self.everybody)?;
        (until > now).then(|| until.duration_since(now))
    }
}
