//! Who was asked to come back later: `Retry-After` with a 429 (RFC 6585, section 4) or a 503 (RFC 9110, sections 10.2.3 and 15.6.4).
//!
//! A 429 is about who asked: a backend may count what each of its people asks. A 503 is the whole service's word; but one tenant may
//! bring it about with what it sends. So whose message was answered so rests, with all of its messages, and everybody while more than
//! [`FEW`] tenants were answered 503. However many are over limits of their own stop nobody else.
//!
//! Must hold: nothing but its time ends a rest. What is answered meanwhile was on its way before.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use claw_types::UserId;
use tokio::time::Instant;

use super::{FEW, Sign};

/// With so many it is worth looking whose rest is over.
const WORTH_LOOKING: usize = 64;

/// Who rests. Whoever hands anything over asks here, under the breaker's lock: nothing here may take longer the more of them there are.
#[derive(Debug, Default)]
pub(super) struct Rests {
    until: HashMap<UserId, Instant>,
    /// Whom the service told about itself, and until when it is away by that: the last to end first, and no more than make it everybody's.
    away: Vec<(UserId, Instant)>,
    /// With so many tenants it is worth looking whose rest is over.
    look_through: usize,
}

impl Rests {
    /// This tenant is to rest so long from now on, by an answer of this sign; whether it did not before.
    pub(super) fn ask(&mut self, tenant: &UserId, time: Duration, sign: Sign, now: Instant) -> bool {
        let is_new = self.left(tenant, now).is_none();
        let end = now + time;
        self.forget_rested(now);
        let until = self.until.entry(tenant.clone()).or_insert(end);
        *until = end.max(*until);
        if sign != Sign::Answered {
            self.note_away(tenant, end);
        }
        is_new
    }

    /// How long this tenant is still to rest, if at all.
    pub(super) fn left(&self, tenant: &UserId, now: Instant) -> Option<Duration> {
        let until = self.until.get(tenant).copied().max(self.everybody())?;
        (until > now).then(|| until.duration_since(now))
    }

    /// Until then it is away for more than a few.
    fn everybody(&self) -> Option<Instant> {
        self.away.get(FEW).map(|(_, end)| *end)
    }

    /// Ends only move on. So whoever is not among the last to end gets there by an answer of their own, and the others need not be looked at.
    fn note_away(&mut self, tenant: &UserId, end: Instant) {
        match self.away.iter_mut().find(|(known, _)| known == tenant) {
            Some((_, until)) => *until = end.max(*until),
            None => self.away.push((tenant.clone(), end)),
        }
        self.away.sort_unstable_by_key(|(_, end)| Reverse(*end));
        self.away.truncate(FEW + 1);
    }

    fn forget_rested(&mut self, now: Instant) {
        if self.until.len() < self.look_through.max(WORTH_LOOKING) {
            return;
        }
        self.until.retain(|_, until| *until > now);
        // As many again may come before it is worth looking.
        self.look_through = 2 * self.until.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u64) -> UserId {
        format!("u{n}").parse().unwrap()
    }

    /// The end by which everybody goes, as it is defined: the last but [`FEW`] of all ends that each tenant was told.
    fn everybody(told: &HashMap<u64, Instant>) -> Option<Instant> {
        let mut ends: Vec<Instant> = told.values().copied().collect();
        ends.sort_unstable();
        ends.into_iter().rev().nth(FEW)
    }

    #[test]
    fn everybody_rests_by_the_same_end_as_if_all_were_looked_at() {
        let (mut rests, began) = (Rests::default(), Instant::now());
        let mut told = HashMap::new();
        let stranger: UserId = "nobody".parse().unwrap();
        let (mut resting, mut free) = (0, 0);
        for step in 0..2_000_u64 {
            let now = began + Duration::from_millis(1_200 * step);
            // Spread by odd steps, so that the same tenants are told long times and short ones, one before the other.
            let (who, seconds) = (step * 7 % 11, step * 31 % 97 / 9);
            let sign = if step % 3 == 0 { Sign::Answered } else { Sign::Silent };
            let end = now + Duration::from_secs(seconds);
            if sign != Sign::Answered {
                let until = told.entry(who).or_insert(end);
                *until = end.max(*until);
            }
            rests.ask(&tenant(who), Duration::from_secs(seconds), sign, now);
            let expected =
                everybody(&told).filter(|until| *until > now).map(|until| until.duration_since(now));
            assert_eq!(rests.left(&stranger, now), expected, "step {step}");
            assert!(rests.away.len() <= FEW + 1);
            *(if expected.is_some() { &mut resting } else { &mut free }) += 1;
        }
        assert!(resting > 100 && free > 100, "{resting} and {free}: the steps try only one of them");
    }

    #[test]
    fn whose_rest_is_over_is_forgotten_when_as_many_came_again() {
        let (mut rests, began) = (Rests::default(), Instant::now());
        for n in 0..1_000 {
            rests.ask(&tenant(n), Duration::from_secs(10), Sign::Answered, began);
        }
        assert_eq!(rests.until.len(), 1_000, "each of them rests");
        let later = began + Duration::from_secs(10);
        for n in 1_000..4_000 {
            rests.ask(&tenant(n), Duration::from_secs(10), Sign::Silent, later);
        }
        assert_eq!(rests.until.len(), 3_000);
        assert!(
            rests.left(&tenant(0), later).is_some_and(|left| left == Duration::from_secs(10)),
            "by everybody's"
        );
    }
}
