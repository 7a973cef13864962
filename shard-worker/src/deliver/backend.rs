//! Where people's messages go, and who may post now.
//!
//! All tenants share one destination. So that messages of one that are many, or answered late, never take all places,
//! each may have a quarter of them ([`Turns`]): whoever waits then waits for its own, and the others go on.

mod post;

use std::sync::Arc;

use bytes::Bytes;
use claw_runtime::Clock;
use claw_types::UserId;
use reqwest::Response;

pub(crate) use self::post::{Refused, Secrets, Target, broken};
use super::turns::{Turn, Turns};

/// Webhooks in flight from one worker: a slow backend must not exhaust our sockets.
const IN_FLIGHT: usize = 256;
/// Of those, one tenant's.
const IN_FLIGHT_OF_ONE: usize = IN_FLIGHT / 4;

/// Where messages go.
pub(crate) struct Backend {
    target: Target,
    clock: Arc<dyn Clock>,
    turns: Arc<Turns>,
}

impl Backend {
    pub(crate) fn new(target: Target, clock: Arc<dyn Clock>) -> Self {
        Self { target, clock, turns: Arc::new(Turns::new(IN_FLIGHT, IN_FLIGHT_OF_ONE)) }
    }

    /// Waits until one more message of this tenant may be posted: hold it until the answer is read.
    pub(crate) async fn turn(&self, tenant: &UserId) -> Turn {
        self.turns.take(Some(tenant)).await
    }

    /// One attempt to hand over `body` under the message's `id`; what is answered is still to be read.
    pub(crate) async fn post(&self, id: &str, body: Bytes) -> Result<Response, Refused> {
        self.target.post(id, body, self.clock.now().timestamp()).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use claw_channels::kit::http::operator_client;
    use claw_runtime::SystemClock;
    use futures::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    fn backend() -> Backend {
        claw_testkit::install_tls();
        let client = operator_client(Duration::from_secs(1)).unwrap();
        let secrets = Secrets { first: "secret".to_owned(), others: Vec::new() };
        let target = Target { client, url: "http://127.0.0.1:1/".parse().unwrap(), secrets };
        Backend::new(target, Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn one_tenants_messages_leave_three_quarters_of_the_places() {
        let (backend, ada): (_, UserId) = (backend(), "ada".parse().unwrap());
        // More are taken here at once than tokio lets a task take before others run.
        let mut hers = Vec::new();
        while let Some(turn) = unconstrained(backend.turn(&ada)).now_or_never() {
            hers.push(turn);
        }
        assert_eq!(hers.len(), 64);
        for name in ["bob", "cy", "dan"] {
            let other: UserId = name.parse().unwrap();
            let free = unconstrained(backend.turn(&other)).now_or_never();
            assert!(free.is_some(), "{name} waits for ada's messages");
        }
        drop(hers.pop());
        assert!(unconstrained(backend.turn(&ada)).now_or_never().is_some(), "her next one, when one is over");
    }
}
