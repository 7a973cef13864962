//! One destination of messages: the operator's backend, or one of a user's own.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claw_telemetry::metrics::Histogram;
use claw_telemetry::trace::{Kind, Span};
use claw_types::{UserId, Work};
use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::breaker::{Author, Sign};
use super::gate::{Gate, Pass};
use super::post::{Refused, Target, broken};
use crate::deliver::answer::{self, Answer};
use crate::deliver::traced;
use crate::deliver::turns::{Cause, Turn, Turns};

/// Where messages go, and who may post there now.
pub(crate) struct Destination {
    pub(super) target: Result<Target, String>,
    pub(super) gate: Arc<Gate>,
    pub(super) turns: Arc<Turns>,
    /// Set for a user's own.
    pub(crate) own: Option<Own>,
}

/// What a destination of a user's own has beside.
pub(crate) struct Own {
    pub(crate) id: Uuid,
    /// As of which change of it.
    pub(crate) revision: i64,
    /// Why it gets no more messages.
    pub(crate) disabled: Option<String>,
    /// How many posts of this worker may be under way, and room for as many.
    pub(super) most: u16,
    pub(super) room: Arc<Semaphore>,
}

/// A 2xx whose body is still to be read.
pub(crate) struct Reply<'a> {
    pub(crate) response: Response,
    /// What the destination is told of when the body has been read.
    pub(crate) verdict: Verdict<'a>,
}

/// What is still to be said of an attempt whose answer has begun. Dropped before that, it says nothing: nobody read on.
pub(crate) struct Verdict<'a> {
    pub(super) pass: Pass,
    pub(super) author: Author<'a>,
}

/// Room for one post; the next one's when it is dropped.
pub(crate) struct Room {
    // Dropped in this order.
    _turn: Turn,
    _own: Option<OwnedSemaphorePermit>,
}

impl Destination {
    /// How long nothing may be posted for this tenant, if so: then it need not wait for [`Self::room`].
    pub(crate) fn wait(&self, tenant: &UserId) -> Option<Duration> {
        self.gate.wait(tenant)
    }

    /// Until a message of this tenant that waits for its next attempt may be tried before its time.
    pub(crate) async fn recovered(&self, tenant: &UserId) {
        self.gate.recovered(tenant).await;
    }

    /// Waits for room for one more post of this tenant: hold it until the answer is read. First what the destination may
    /// have, then what the tenant may have of all: a slow destination holds none of the latter for those that wait for it.
    pub(crate) async fn room(&self, tenant: &UserId, cause: Cause) -> Room {
        let own = match &self.own {
            // The semaphore is never closed.
            Some(own) => Arc::clone(&own.room).acquire_owned().await.ok(),
            None => None,
        };
        Room { _turn: self.turns.take(Some(tenant), cause).await, _own: own }
    }

    /// Leave to make an attempt, or how long to wait.
    pub(crate) fn admit(&self, tenant: &UserId) -> Result<Pass, Duration> {
        self.gate.admit(tenant)
    }

    /// One attempt to hand over `body` at `now`, in seconds since 1970.
    pub(crate) async fn post<'a>(
        &self,
        pass: Pass,
        work: &'a Work,
        body: Bytes,
        now: i64,
    ) -> Result<Reply<'a>, Refused> {
        let target = self.target.as_ref().map_err(|why| Refused::unusable(why))?;
        let began = Instant::now();
        let mut span = Span::child("POST", Kind::Client);
        // What is not recorded is told to the backend, too: it need not record it, either.
        let context = span.context().or_else(|| traced::of(work));
        let answered = target.post(&work.id.to_string(), body, now, context).await;
        let outcome = outcome(&answered);
        Histogram::BackendDuration.observe(&[outcome], began.elapsed().as_secs_f64());
        self.say(&mut span, &answered, outcome);
        drop(span);
        let author = Author { tenant: &work.user_id, message: work.id };
        let mut verdict = Verdict { pass, author };
        match answered {
            Ok(response) => Ok(Reply { response, verdict }),
            Err(refused) => {
                if let Some(time) = refused.rest {
                    verdict.pass.rest(&work.user_id, time, refused.sign);
                }
                verdict.tell(refused.sign);
                Err(refused)
            }
        }
    }

    /// Says what came of a post. Not the address: it may be a user's own.
    fn say(&self, span: &mut Span, answered: &Result<Response, Refused>, outcome: &'static str) {
        span.set("http.request.method", "POST");
        span.set("destination", if self.own.is_some() { "user" } else { "operator" });
        span.set("outcome", outcome);
        match answered {
            Ok(response) => span.set("http.response.status_code", u32::from(response.status().as_u16())),
            Err(_) => span.failed(outcome),
        }
    }

    /// Reads the answer of a post that began at this time.
    pub(crate) async fn read(&self, began: Instant, reply: Reply<'_>) -> Result<Answer, Refused> {
        let target = self.target.as_ref().map_err(|why| Refused::unusable(why))?;
        let Reply { response, mut verdict } = reply;
        let read = match timeout_at(began + target.limit, answer::read(response)).await {
            Ok(read) => read.map_err(|error| broken(&error)),
            Err(_) => Err(Refused::late()),
        };
        verdict.tell(read.as_ref().map_or_else(|refused| refused.sign, |_| Sign::Answered));
        read
    }
}

/// As metrics call it.
fn outcome(answered: &Result<Response, Refused>) -> &'static str {
    match answered.as_ref().map_err(|refused| refused.sign) {
        Ok(_) => "taken",
        Err(Sign::Answered | Sign::Failing) => "refused",
        Err(Sign::Unreachable) => "unreachable",
        Err(Sign::Silent) => "silent",
    }
}

impl Verdict<'_> {
    fn tell(&mut self, sign: Sign) {
        self.pass.settle(self.author, sign);
    }

    /// Reads an answer that may take minutes, and tells what that says of the destination. One that is a probe has `patience` to
    /// break off: those who wait for its outcome wait no longer for it than for an answer that does not begin.
    pub(crate) async fn follow<T>(
        mut self,
        reading: impl Future<Output = T>,
        patience: Duration,
        sign: impl FnOnce(&T) -> Option<Sign>,
    ) -> T {
        let mut reading = pin!(reading);
        let early = if self.pass.is_probe() { timeout(patience, &mut reading).await.ok() } else { None };
        let read = if let Some(read) = early {
            read
        } else {
            if self.pass.is_probe() {
                self.tell(Sign::Answered);
            }
            reading.await
        };
        if let Some(sign) = sign(&read) {
            self.tell(sign);
        }
        read
    }
}
