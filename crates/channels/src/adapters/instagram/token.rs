//! Tokens of Instagram Login end after 60 days, and are renewed for 60 more if they are a day old and have not ended
//! (<https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>). The channel's owner does it, when half of the time is
//! over; how the new one is kept and used is in [`crate::kit::graph::api`].
//!
//! Meta does not tell how old the token is that the channel was given. So it is renewed as soon as it must be a day old, after a day of use
//! here, and from then on the end is known.
//!
//! Must hold: the token at hand is used on until there is a newer one; the channel's user is told of each failure, with the day on which
//! the token ends. That the former token works until its own end is what people who renew theirs report; Meta's page says only how long the
//! newer one does. Were it not so, an answer that got lost would end the channel as 60 days did before.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::Backoff;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::kit::graph::api::{Api, NotRenewed, Term};
use crate::{ChannelError, Sink, SinkError};

/// The call that renews, beside the versions of the API.
const PATH: &str = "refresh_access_token";
/// What is asked for by it.
const GRANT_TYPE: &str = "ig_refresh_token";
/// How long a token lasts at most.
const LIFE: TimeDelta = TimeDelta::days(60);
/// How old a token must be to be renewed.
const AGE: TimeDelta = TimeDelta::days(1);
/// How often it is looked at: its time is a matter of days.
const EVERY: Duration = Duration::from_hours(6);
/// How long a look that is under way may go on when the channel ends: an answer that has a token is given once, and whoever owns the
/// channel next waits for what this one does not give back.
const LAST: Duration = Duration::from_secs(2);

/// Why it was not renewed, and when it ends as far as that is known.
struct Failure {
    why: NotRenewed,
    ends: Option<DateTime<Utc>>,
}

/// Renews the token in time; returns soon after it is asked to, whatever the platform does, or when somebody else owns the channel.
pub(super) async fn watch(api: &Api, sink: &dyn Sink, stop: &CancellationToken) -> Result<(), ChannelError> {
    let mut failed = 0;
    loop {
        // In this order: a look that is over counts, whatever else is.
        let looked = tokio::select! {
            biased;
            looked = look(api) => looked,
            () = late(stop) => return Ok(()),
        };
        let pause = match looked {
            Ok(()) => {
                if failed > 0 {
                    sink.trouble(None).await;
                }
                failed = 0;
                EVERY
            }
            Err(Failure { why: NotRenewed::Forgotten(SinkError::LostOwnership), .. }) => return Ok(()),
            Err(failure) => {
                failed += 1;
                sink.trouble(Some(&failure.warning())).await;
                failure.pause(failed, api)
            }
        };
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Ok(());
        }
    }
}

/// Returns when a look is not waited for any more.
async fn late(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST).await;
}

/// Renews it if it is time.
async fn look(api: &Api) -> Result<(), Failure> {
    let term = api.term().await.map_err(|error| Failure { why: error.into(), ends: None })?;
    let Some(term) = term.filter(|term| is_due(*term, api.deps().clock.now())) else { return Ok(()) };
    let ends = Some(term.until.unwrap_or(term.since + LIFE));
    api.renew(PATH, GRANT_TYPE).await.map_err(|why| Failure { why, ends })
}

fn is_due(Term { since, until }: Term, now: DateTime<Utc>) -> bool {
    let half = until.map_or(AGE, |until| (until - since) / 2);
    now >= since + half.max(AGE)
}

impl Failure {
    /// The one schedule; when that is over, as often as it is looked at.
    fn pause(&self, failed: u32, api: &Api) -> Duration {
        match self.why {
            NotRenewed::Refused(ChannelError::RateLimited(wait)) => wait,
            _ => Backoff::MESSAGE.wait(failed, &*api.deps().random).unwrap_or(EVERY),
        }
    }

    fn warning(&self) -> String {
        let ends = self.ends.map(|ends| format!(" and ends on {} at the latest", ends.format("%Y-%m-%d")));
        format!(
            "the access token was not renewed{}: {}; it is tried again. If this stays, generate a new one in Meta's App Dashboard (API \
             setup with Instagram login) and save it here",
            ends.unwrap_or_default(),
            self.why
        )
    }
}
