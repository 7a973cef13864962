//! Who leads.
//!
//! A term is (name, number); the number is raised by each election. Every write by which a leader makes something or ends it (a message, a
//! run, an attempt, what follows for a job) carries it and does nothing in another term. What keeps the house does not: making
//! partitions, retention, and taking away timers of runs that are gone (ADR 20). It does what every leader would, and may be repeated. The
//! database decides: the lock on the lease connection is free only when the former leader's session is gone, which
//! its `idle_session_timeout` sees to within 5 s even if it is frozen. Local time only makes us stop earlier:
//! leadership is trusted for 4 s after the moment *before* the last renewal was sent.
//!
//! Rejected: a lease row with an expiry alone. It needs the same fencing and takes a time-out to notice a crash that
//! the lock notices at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claw_config::RetentionSettings;
use claw_runtime::{Backoff, Lifecycle, Random};
use claw_store::{Error, Lease, Member, Store, chain};
use claw_telemetry::metrics::{Counter, Histogram};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::{duties, measure};

/// What is led.
pub(crate) const DUTY: &str = "scheduler";

const EVERY: Duration = Duration::from_secs(1);
const GOOD_FOR: Duration = Duration::from_secs(4);
const CALL_LIMIT: Duration = Duration::from_millis(2500);
/// After it resigned because it was asked to, a scheduler leaves the field to others for this long.
pub(crate) const STAND_BY: Duration = Duration::from_secs(10);

/// Somebody wants this process to resign, and to hear which term ended: `None` when it does not lead.
pub(crate) type StepDown = oneshot::Sender<Option<i64>>;

/// The present state, as the rest of the process sees it.
#[derive(Debug, Default)]
pub(crate) struct Leadership(Mutex<State>);

#[derive(Debug, Default, Clone, Copy)]
struct State {
    connected: bool,
    term: Option<i64>,
    trusted_until: Option<Instant>,
}

impl Leadership {
    fn set(&self, state: State) {
        measure::leading(state.term);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn get(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That leads this term for as long as a test takes.
    #[cfg(test)]
    pub(crate) fn of(term: i64) -> Self {
        let leadership = Self::default();
        let trusted_until = Some(Instant::now() + Duration::from_secs(3_600));
        leadership.set(State { connected: true, term: Some(term), trusted_until });
        leadership
    }

    /// The term that this process leads right now.
    pub(crate) fn term(&self) -> Option<i64> {
        let state = self.get();
        state.term.filter(|_| state.trusted_until.is_some_and(|until| Instant::now() < until))
    }

    /// Whether this process leads or could take over.
    pub(crate) fn in_the_running(&self) -> bool {
        self.get().connected
    }
}

/// Takes part in elections until the process stops.
pub(crate) struct Elector {
    pub(crate) store: Store,
    pub(crate) lease_url: String,
    pub(crate) member: Member,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) step_down: mpsc::Receiver<StepDown>,
    pub(crate) stand_by_until: Option<Instant>,
}

impl Elector {
    /// Runs until the process stops; then resigns.
    pub(crate) async fn run(mut self) {
        let (mut failed, mut before) = (0, None);
        while !self.lifecycle.soft().is_cancelled() {
            match self.connect(before).await {
                Ok(mut lease) => {
                    (failed, before) = (0, Some(lease.backend()));
                    let ended = self.take_part(&mut lease).await;
                    let led = self.leadership.get().term;
                    self.leadership.set(State::default());
                    match ended {
                        Ok(()) => self.resign(lease, led).await,
                        Err(error) => warn!("out of the election for now: {}", chain(&error)),
                    }
                }
                Err(error) => {
                    failed += 1;
                    warn!("can't take part in the election: {}", chain(&error));
                    let wait = Backoff::RECONNECT.wait(failed, &*self.random).unwrap_or_default();
                    let soft = self.lifecycle.soft();
                    // Ends early when the process stops.
                    drop(tokio::time::timeout(wait, soft.cancelled()).await);
                }
            }
        }
    }

    /// `before` is the former connection's.
    async fn connect(&self, before: Option<i32>) -> Result<Lease, Error> {
        in_time(Lease::open_again(&self.lease_url, self.member.clone(), before)).await
    }

    /// Until the process stops (`Ok`) or the connection or the term is lost.
    async fn take_part(&mut self, lease: &mut Lease) -> Result<(), Error> {
        let soft = self.lifecycle.soft();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut term = None;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = soft.cancelled() => return Ok(()),
                Some(asker) = self.step_down.recv() => {
                    self.step_down(lease, &mut term, asker).await?;
                    continue;
                }
            }
            let asked = Instant::now();
            in_time(lease.heartbeat()).await?;
            Histogram::LeaseRenew.observe(&[], asked.elapsed().as_secs_f64());
            let stands_by = self.stand_by_until.is_some_and(|until| Instant::now() < until);
            if term.is_none()
                && !stands_by
                && let Some(elected) = in_time(lease.elect(DUTY)).await?
            {
                Counter::Elections.add(&[]);
                info!(term = elected, "elected: leading term {elected}");
                term = Some(elected);
            }
            if let Some(term) = term
                && !in_time(self.store.leader_renew(DUTY, term)).await?
            {
                warn!(term, "term {term} is over: somebody else was elected, or ended it");
                return Err(Error::Conflict);
            }
            let trusted_until = term.map(|_| asked + GOOD_FOR);
            self.leadership.set(State { connected: true, term, trusted_until });
        }
    }

    /// Ends the term, if there is one, and lets others be elected.
    async fn step_down(
        &mut self,
        lease: &mut Lease,
        term: &mut Option<i64>,
        asker: StepDown,
    ) -> Result<(), Error> {
        let led = term.take();
        if let Some(led) = led {
            // No duty is begun from here on; what is under way is waited for.
            self.leadership.set(State { connected: true, ..State::default() });
            self.stand_by_until = Some(Instant::now() + STAND_BY);
            in_time(self.store.leader_resign(DUTY, led)).await?;
            in_time(lease.drop_duty(DUTY)).await?;
            info!(term = led, "asked to step down: term {led} is over, standing by for {STAND_BY:?}");
        }
        // Whoever asked may have gone.
        let _gone = asker.send(led);
        Ok(())
    }

    async fn resign(&self, lease: Lease, led: Option<i64>) {
        if let Some(term) = led
            && let Err(error) = in_time(self.store.leader_resign(DUTY, term)).await
        {
            warn!("resigning failed: {}", chain(&error));
        }
        if let Err(error) = in_time(lease.close()).await {
            warn!("leaving failed: {}", chain(&error));
        }
    }
}

/// Does the duties whenever this process leads, until it stops.
pub(crate) async fn lead(
    store: Store,
    leadership: Arc<Leadership>,
    keep: RetentionSettings,
    lifecycle: Lifecycle,
) {
    let soft = lifecycle.soft();
    let mut tick = tokio::time::interval(Duration::from_secs(60));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = soft.cancelled() => return,
        }
        if leadership.term().is_some() {
            duties::retention::run(&store, keep).await;
        }
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = tokio::time::timeout(CALL_LIMIT, call).await;
    answered.unwrap_or_else(|_| Err(Error::NotCommitted("the database did not answer in time".to_owned())))
}
