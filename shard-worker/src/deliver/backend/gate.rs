//! A destination's breaker at work: who asks passes or waits, what came of it is counted, and what changes is logged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_runtime::Random;
use claw_telemetry::metrics::Counter;
use claw_types::UserId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::breaker::{self, Admission, Author, Breaker, Changed, Sign, UNASKED};

/// One for the operator's backend, and one for each origin of a user's backends or of its jobs' webhooks: a URL under somebody
/// else's origin is quickly configured, so no two tenants share one.
pub(crate) struct Gate {
    breaker: Mutex<Breaker>,
    /// Rung when the breaker has closed.
    closed: Notify,
    random: Arc<dyn Random>,
    /// Whose origin it is; `None` for the operator's backend.
    pub(super) tenant: Option<UserId>,
    /// `https://host:port`; never the path, which may be a secret.
    pub(super) origin: String,
}

/// Leave to make one attempt. Dropped without [`Pass::settle`], it says nothing.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    probe: Option<u64>,
}

/// What is known of a destination that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Away {
    /// Whose it is; `None` for the operator's backend.
    pub(crate) tenant: Option<UserId>,
    pub(crate) origin: String,
    /// For how long.
    pub(crate) time: Duration,
    /// Whether the next attempt is a probe, or one is under way.
    pub(crate) half_open: bool,
}

impl Gate {
    pub(in crate::deliver) fn new(
        tenant: Option<UserId>,
        origin: String,
        random: Arc<dyn Random>,
    ) -> Arc<Self> {
        let pauses = if tenant.is_some() { breaker::OWN } else { breaker::SHARED };
        let breaker = Mutex::new(Breaker::new(pauses));
        Arc::new(Self { breaker, closed: Notify::new(), random, tenant, origin })
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to make an attempt, or how long to wait.
    pub(in crate::deliver) fn admit(self: &Arc<Self>, tenant: &UserId) -> Result<Pass, Duration> {
        let admitted = self.breaker().admit(tenant, Instant::now(), &*self.random);
        let probe = match admitted {
            Admission::Wait(time) => return Err(time),
            Admission::Go => None,
            Admission::Probe(number) => Some(number),
        };
        Ok(Pass { gate: Arc::clone(self), probe })
    }

    /// How long this tenant would have to wait for it right now, if at all.
    pub(in crate::deliver) fn wait(&self, tenant: &UserId) -> Option<Duration> {
        self.breaker().wait(tenant, Instant::now(), &*self.random)
    }

    /// Until a message of this tenant that waits for its next attempt need not wait on: it is well again, or nobody else finds out.
    /// The latter is looked at over as long again, or all that wait would ask at one moment.
    pub(super) async fn recovered(&self, tenant: &UserId) {
        loop {
            let look = UNASKED.mul_f64(1.0 + self.random.unit());
            let over = match timeout(look, self.closed.notified()).await {
                Ok(()) => self.breaker().closed_for(tenant),
                Err(_) => self.breaker().is_unasked(tenant, Instant::now()),
            };
            if over {
                return;
            }
        }
    }

    /// What is known, if it does not answer.
    pub(in crate::deliver) fn away(&self) -> Option<Away> {
        let now = Instant::now();
        let (since, half_open) = self.breaker().open_since(now)?;
        let (tenant, origin) = (self.tenant.clone(), self.origin.clone());
        Some(Away { tenant, origin, time: now.saturating_duration_since(since), half_open })
    }

    /// As the log calls it.
    fn name(&self) -> String {
        match &self.tenant {
            None => format!("the backend {}", self.origin),
            Some(user) => format!("the destination {} of user {user}", self.origin),
        }
    }

    fn log(&self, changed: Changed) {
        let (user, origin) = (self.tenant.as_ref().map(UserId::as_str), &self.origin);
        let which = self.name();
        let whose = if user.is_some() { "user" } else { "operator" };
        let to = match changed {
            Changed::Opened => "open",
            Changed::Closed => "closed",
        };
        Counter::BreakerChanges.add(&[whose, to]);
        match changed {
            Changed::Opened => {
                warn!(user.id = user, %origin, "{which} does not answer, or only with errors (5xx): messages to it wait");
            }
            Changed::Closed => info!(user.id = user, %origin, "{which} answers again"),
        }
    }
}

impl Pass {
    /// Whether others wait for what comes of it.
    pub(super) fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// The destination asked this tenant, by an answer of this sign, to come back after that time at the earliest. To be said before
    /// what came of the attempt: those who wait for that must find it.
    pub(in crate::deliver) fn rest(&self, tenant: &UserId, time: Duration, sign: Sign) {
        let gate = &self.gate;
        if gate.breaker().rest(tenant, time, sign, Instant::now()) {
            let (which, secs) = (gate.name(), time.as_secs());
            info!(user.id = %tenant, origin = %gate.origin, "{which} asks to wait {secs} s: messages of user {tenant} to it do");
        }
    }

    /// What came of the attempt; what is said after the first time is no probe's word.
    pub(in crate::deliver) fn settle(&mut self, author: Author<'_>, sign: Sign) {
        let (probe, gate) = (self.probe.take(), &self.gate);
        let changed = gate.breaker().settle(author, sign, probe, Instant::now(), &*gate.random);
        if let Some(changed) = changed {
            gate.log(changed);
        }
        if changed == Some(Changed::Closed) {
            gate.closed.notify_waiters();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(probe) = self.probe {
            self.gate.breaker().abandon(probe);
        }
    }
}
