//! A circuit breaker: a destination that does not answer is left alone, and asked now and then whether it does again.
//!
//! Pure: time and randomness come in. Three states, as usual (M. Nygard, "Release It!"): closed, everybody may post; open,
//! nobody may until a time; half-open, one may, and what becomes of that decides. Why it is our own: docs/adr/0007.
//!
//! One destination serves many tenants, so what counts as a failure has an author. No body can cause a refused connection;
//! but one that makes the backend hang, fall over or fail looks like a backend that is away. So:
//!
//! - A 2xx, 3xx or 4xx shows that the destination is there and well: the count begins anew. What counts is its absence (no
//!   connection, no answer in time, an answer that breaks off, or a proxy's word that there is none: 502, 503, 504) and any other
//!   5xx: one whose database is away answers 500 to everything.
//! - Without a connection, [`TRIPS`] in a row open it for everybody.
//! - Otherwise [`TRIPS`] different messages in a row open it, and only for the tenants they came from; when these are more
//!   than [`FEW`], for everybody. A message that fails again and again counts once.
//! - While it is open, whose message fails without an answer waits, too; whose is answered 5xx only after as many in a row:
//!   now and then a message has a 500 at any backend, and the poison of one tenant may keep it open for days.
//! - Who was asked to come back later ([`rest`]) posts nothing until then, be it open or closed.
//!
//! Must hold: while it is open at most one attempt is under way that it let through for those whom it concerns; a probe
//! that ends without a word (its shard was given up) leaves room for another.

mod rest;

use std::time::Duration;

use claw_runtime::{Backoff, Random};
use claw_types::{MessageId, UserId};
use tokio::time::Instant;

use self::rest::Rests;

/// So many failures in a row open it.
pub(super) const TRIPS: usize = 5;
/// So many tenants may have failed while others are believed to be well.
const FEW: usize = 2;
/// So long after a probe is due and not made, a message that waits for its own next attempt makes it: where all of them do, nobody
/// else would for up to an hour.
pub(super) const UNASKED: Duration = Duration::from_mins(1);
/// Over this long it is spread when those go on who had to rest.
const SPREAD: Duration = Duration::from_secs(1);
/// How long it stays open before the n-th probe, at a backend that everybody's messages go to: nobody's go anywhere meanwhile, and
/// one request in 3 s is nothing to it.
pub(super) const SHARED: Backoff = pauses(Duration::from_secs(3));
/// The same at a backend of one's own. Of these many may be gone for good.
pub(super) const OWN: Backoff = pauses(Duration::from_secs(30));

const fn pauses(cap: Duration) -> Backoff {
    Backoff { first: Duration::from_secs(1), factor: 2.0, cap, attempts: u32::MAX }
}

/// Whose attempt it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) tenant: &'a UserId,
    pub(crate) message: MessageId,
}

/// What an attempt says of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answered, maybe with a refusal.
    Answered,
    /// It answered with an error of its own: a 5xx that is no [`Self::Silent`].
    Failing,
    /// No connection.
    Unreachable,
    /// A connection and no answer, or none that came to its end; or a proxy's word that there is none.
    Silent,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// As usual.
    Go,
    /// To find out whether the destination answers again; tells this probe from an earlier one that ends late.
    Probe(u64),
    /// Not before this long.
    Wait(Duration),
}

/// A transition that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Opened,
    Closed,
}

/// The state of one destination.
#[derive(Debug)]
pub(super) struct Breaker {
    /// [`SHARED`] or [`OWN`].
    pauses: Backoff,
    /// Failures in a row that had no connection.
    unreachable: usize,
    /// The different messages that failed in a row although there was one.
    silent: Vec<(MessageId, UserId)>,
    open: Option<Open>,
    /// For whom it closed the last time.
    closed: Option<Concerns>,
    /// Probes so far.
    probes: u64,
    rests: Rests,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    pause: Duration,
    /// Probes in a row that failed.
    failed: u32,
    probing: Option<u64>,
    concerns: Concerns,
}

/// For whom it is open.
#[derive(Debug, PartialEq, Eq)]
enum Concerns {
    Everybody,
    Tenants(Vec<UserId>),
}

impl Concerns {
    fn of<'a>(tenants: impl Iterator<Item = &'a UserId>) -> Self {
        let mut concerns = Self::Tenants(Vec::new());
        tenants.for_each(|tenant| concerns.add(tenant));
        concerns
    }

    fn add(&mut self, tenant: &UserId) {
        if let Self::Tenants(tenants) = self
            && !tenants.contains(tenant)
        {
            tenants.push(tenant.clone());
            if tenants.len() > FEW {
                *self = Self::Everybody;
            }
        }
    }

    fn has(&self, tenant: &UserId) -> bool {
        match self {
            Self::Everybody => true,
            Self::Tenants(tenants) => tenants.contains(tenant),
        }
    }
}

impl Breaker {
    /// Closed.
    pub(super) fn new(pauses: Backoff) -> Self {
        Self {
            pauses,
            unreachable: 0,
            silent: Vec::new(),
            open: None,
            closed: None,
            probes: 0,
            rests: Rests::default(),
        }
    }

    /// Whether this tenant's next attempt may be made now.
    pub(super) fn admit(&mut self, tenant: &UserId, now: Instant, random: &dyn Random) -> Admission {
        if let Some(wait) = self.wait(tenant, now, random) {
            return Admission::Wait(wait);
        }
        let Some(open) = self.open.as_mut().filter(|open| open.concerns.has(tenant)) else {
            return Admission::Go;
        };
        self.probes += 1;
        open.probing = Some(self.probes);
        Admission::Probe(self.probes)
    }

    /// How long this tenant's next attempt has to wait, if at all.
    pub(super) fn wait(&self, tenant: &UserId, now: Instant, random: &dyn Random) -> Option<Duration> {
        let rest = self.rests.left(tenant, now).map(|left| left + SPREAD.mul_f64(random.unit()));
        rest.max(self.wait_for_probe(tenant, now, random))
    }

    fn wait_for_probe(&self, tenant: &UserId, now: Instant, random: &dyn Random) -> Option<Duration> {
        let open = self.open.as_ref().filter(|open| open.concerns.has(tenant))?;
        if open.probing.is_none() && now >= open.until {
            return None;
        }
        // Spread over a time, or all that wait would come at one moment: one to probe, the others to be sent away again.
        let spread = open.pause.mul_f64(0.5 * random.unit());
        Some(open.until.max(now + open.pause / 4).saturating_duration_since(now) + spread)
    }

    /// An answer of this sign asked this tenant to come back after this time; whether it did not rest before.
    pub(super) fn rest(&mut self, tenant: &UserId, time: Duration, sign: Sign, now: Instant) -> bool {
        self.rests.ask(tenant, time, sign, now)
    }

    /// An attempt ended with this sign; `probe` is its number, if it was one.
    pub(super) fn settle(
        &mut self,
        author: Author<'_>,
        sign: Sign,
        probe: Option<u64>,
        now: Instant,
        random: &dyn Random,
    ) -> Option<Changed> {
        match sign {
            Sign::Answered => self.answered(author.tenant),
            Sign::Failing | Sign::Unreachable | Sign::Silent => self.failed(author, sign, probe, now, random),
        }
    }

    fn answered(&mut self, tenant: &UserId) -> Option<Changed> {
        (self.unreachable, self.silent) = (0, Vec::new());
        // Of those whom it does not concern everybody knew that they are well.
        let concerned = self.open.as_ref().is_some_and(|open| open.concerns.has(tenant));
        if concerned {
            self.closed = self.open.take().map(|open| open.concerns);
        }
        concerned.then_some(Changed::Closed)
    }

    fn failed(
        &mut self,
        author: Author<'_>,
        sign: Sign,
        probe: Option<u64>,
        now: Instant,
        random: &dyn Random,
    ) -> Option<Changed> {
        if sign == Sign::Unreachable {
            self.unreachable += 1;
        } else if self.silent.len() < TRIPS && self.silent.iter().all(|(id, _)| *id != author.message) {
            self.silent.push((author.message, author.tenant.clone()));
        }
        if let Some(open) = &mut self.open {
            if sign == Sign::Unreachable && self.unreachable >= TRIPS {
                open.concerns = Concerns::Everybody;
            } else if sign != Sign::Failing {
                open.concerns.add(author.tenant);
            } else if self.silent.len() >= TRIPS {
                self.silent.iter().for_each(|(_, tenant)| open.concerns.add(tenant));
                open.concerns.add(author.tenant);
            }
            if probe.is_some() && probe == open.probing {
                open.failed = open.failed.saturating_add(1);
                open.probing = None;
                open.pause = pause(&self.pauses, open.failed, random);
                open.until = now + open.pause;
            }
            return None;
        }
        let concerns = if self.unreachable >= TRIPS {
            Concerns::Everybody
        } else if self.silent.len() >= TRIPS {
            Concerns::of(self.silent.iter().map(|(_, tenant)| tenant))
        } else {
            return None;
        };
        let pause = pause(&self.pauses, 0, random);
        self.open = Some(Open { since: now, until: now + pause, pause, failed: 0, probing: None, concerns });
        Some(Changed::Opened)
    }

    /// A probe ended without a sign.
    pub(super) fn abandon(&mut self, probe: u64) {
        if let Some(open) = &mut self.open
            && open.probing == Some(probe)
        {
            open.probing = None;
        }
    }

    /// Whether it was open for this tenant before it closed the last time.
    pub(super) fn closed_for(&self, tenant: &UserId) -> bool {
        self.closed.as_ref().is_some_and(|concerns| concerns.has(tenant))
    }

    /// Whether it is open for this tenant, and for [`UNASKED`] nobody has found out what could have.
    pub(super) fn is_unasked(&self, tenant: &UserId, now: Instant) -> bool {
        if self.rests.left(tenant, now).is_some() {
            return false;
        }
        let open = self.open.as_ref().filter(|open| open.concerns.has(tenant));
        open.is_some_and(|open| open.probing.is_none() && now >= open.until + UNASKED)
    }

    /// Since when it is open, and whether a probe is due or under way.
    pub(super) fn open_since(&self, now: Instant) -> Option<(Instant, bool)> {
        self.open.as_ref().map(|open| (open.since, open.probing.is_some() || now >= open.until))
    }
}

fn pause(pauses: &Backoff, failed: u32, random: &dyn Random) -> Duration {
    pauses.wait(failed.saturating_add(1), random).unwrap_or(pauses.cap)
}

#[cfg(test)]
mod tests;
