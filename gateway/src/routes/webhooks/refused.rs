//! Why a request at a channel's address was not taken, counted.
//!
//! Whoever knows the address can post there, so a request writes nothing to the log above debug: who posts much would fill it. How many are
//! forged or replayed, `claw_webhooks_refused_total` tells.

use std::sync::OnceLock;

use claw_channels::{ChannelError, registry};
use claw_telemetry::metrics::{Counter, CounterHandle};
use tracing::debug;

use crate::error::Problem;

/// The platform of an address with a type that there is none of.
const UNKNOWN: &str = "unknown";

/// As it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is not the platform's, or it is one of the platform's that was posted again too late.
    BadSignature,
    /// It can't be read, or asks for what there is not.
    BadRequest,
    /// Its body is too large or did not come in time.
    BadBody,
    /// No channel takes anything at the address.
    NoChannel,
    /// This version can make nothing of the channel's fields.
    BrokenChannel,
    /// It can't be judged or was not committed: it is to be posted again.
    NotReady,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::BadSignature,
        Self::BadRequest,
        Self::BadBody,
        Self::NoChannel,
        Self::BrokenChannel,
        Self::NotReady,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::BadRequest => "bad_request",
            Self::BadBody => "bad_body",
            Self::NoChannel => "no_channel",
            Self::BrokenChannel => "broken_channel",
            Self::NotReady => "not_ready",
        }
    }
}

/// A request that was not taken, and what its sender hears.
#[derive(Debug)]
pub(super) struct Refused {
    reason: Reason,
    problem: Problem,
}

impl Refused {
    pub(super) fn new(reason: Reason, problem: Problem) -> Self {
        Self { reason, problem }
    }

    /// Counts it as one at an address of this type; a stranger may have made the type up.
    pub(super) fn counted(self, channel_type: &str) -> Problem {
        let Self { reason, problem } = self;
        let platform = series().iter().find(|(platform, _)| *platform == channel_type);
        // The last one is for all others.
        let platform = platform.or_else(|| series().last());
        if let Some((platform, counters)) = platform {
            counters[reason as usize].increment(1);
            let (reason, detail) = (reason.as_str(), problem.detail());
            debug!(platform, reason, "a request at a channel's address is refused: {detail}");
        }
        problem
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let reason = if problem.is_refusal() { Reason::BadRequest } else { Reason::NotReady };
        Self { reason, problem }
    }
}

impl From<ChannelError> for Refused {
    fn from(error: ChannelError) -> Self {
        let reason = match error {
            ChannelError::BadSignature(_) => Reason::BadSignature,
            ChannelError::BadRequest(_)
            | ChannelError::Config(_)
            | ChannelError::Permanent(_)
            | ChannelError::Unsupported(_) => Reason::BadRequest,
            ChannelError::RateLimited(_)
            | ChannelError::ChatLimited { .. }
            | ChannelError::Retryable(_)
            | ChannelError::Uncertain(_)
            | ChannelError::BadCredentials(_) => Reason::NotReady,
        };
        Self { reason, problem: error.into() }
    }
}

type Series = (&'static str, [CounterHandle; Reason::ALL.len()]);

/// Shows from the start, as 0, what may be counted; behind the beginning of counting.
pub fn expose() {
    series();
}

/// Of each platform, by reason.
fn series() -> &'static [Series] {
    static ALL: OnceLock<Vec<Series>> = OnceLock::new();
    ALL.get_or_init(|| {
        let platforms = registry::ALL.iter().map(|entry| entry.name).chain([UNKNOWN]);
        let of = |platform| {
            Reason::ALL.map(|reason| Counter::WebhooksRefused.handle(&[platform, reason.as_str()]))
        };
        platforms.map(|platform| (platform, of(platform))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_own_name() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
        }
        let refused = Refused::from(ChannelError::BadSignature("x".to_owned()));
        assert_eq!(refused.reason, Reason::BadSignature);
        assert_eq!(Refused::from(Problem::unavailable()).reason, Reason::NotReady);
        assert_eq!(Refused::from(Problem::bad_request("x")).reason, Reason::BadRequest);
    }
}
