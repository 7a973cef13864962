//! Tokens of Instagram Login end after 60 days
//! (<https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/get-started>). Which day that is Meta tells only with a new
//! token (<https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>), and a channel has nowhere to put
//! one: its secrets are what its user gave, and whoever changes them is its user. So the day on which a token was first used here is
//! remembered, after which it lasts for 60 days at most, and the user is told in time.
//!
//! Rejected: a renewed token in the channel's cursor. The stored one would end all the same, and with it every test and change of
//! the channel's fields.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::kit::graph::api::Api;
use crate::{ChannelError, Sink, SinkError};

/// How long a token lasts.
const LIFE: TimeDelta = TimeDelta::days(60);
/// How long before its end its user is told.
const AHEAD: TimeDelta = TimeDelta::days(10);
/// How often it is looked at: it is told of days.
const EVERY: Duration = Duration::from_hours(6);

/// As the cursor has it.
#[derive(Serialize, Deserialize)]
struct Seen {
    /// Which token, without giving it away.
    token: String,
    /// When it was first used here.
    since: DateTime<Utc>,
}

/// Tells in time that the token ends; returns when it is asked to, or when somebody else owns the channel.
pub(super) async fn watch(api: &Api, sink: &dyn Sink, stop: &CancellationToken) -> Result<(), ChannelError> {
    let since = match first_use(api, sink).await {
        Ok(since) => since,
        Err(SinkError::LostOwnership) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    loop {
        if let Some(warning) = warning(since + LIFE, api.deps().clock.now()) {
            sink.trouble(Some(&warning)).await;
        }
        if stop.run_until_cancelled(sleep(EVERY)).await.is_none() {
            return Ok(());
        }
    }
}

/// Remembered from the first time on; a cursor of another token, or one that can't be read, is replaced.
async fn first_use(api: &Api, sink: &dyn Sink) -> Result<DateTime<Utc>, SinkError> {
    let token = api.fingerprint();
    let seen = sink.cursor().await?.and_then(|cursor| serde_json::from_str::<Seen>(&cursor).ok());
    if let Some(seen) = seen.filter(|seen| seen.token == token) {
        return Ok(seen.since);
    }
    let since = api.deps().clock.now();
    let cursor = serde_json::to_string(&Seen { token, since });
    sink.save_cursor(cursor.map_err(|error| SinkError::NotCommitted(error.to_string()))?).await?;
    Ok(since)
}

fn warning(ends: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    (now + AHEAD >= ends).then(|| {
        format!(
            "the access token ends on {} at the latest: generate a new one in Meta's App Dashboard (API setup with Instagram login) \
             and save it here",
            ends.format("%Y-%m-%d")
        )
    })
}
