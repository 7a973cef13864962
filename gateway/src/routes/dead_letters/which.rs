//! Which dead letters a call is about: some by id, or the oldest that match a filter. Never "all" by leaving something out.

use chrono::{DateTime, Utc};
use claw_store::{MessageFilter, Selection, Unchanged};
use claw_types::MessageId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Problem;
use crate::routes::messages::filter::{self, DeadState};
use crate::routes::messages::retry::why;
use crate::routes::messages::view::DirectionView;

/// Most messages of one call.
const MOST: usize = 500;
/// Messages of one call when nothing is said.
const USUAL: i64 = 100;

/// Dead letters that match; all when it is empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Only those of the channel of this name; of deleted channels of that name, too.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        example = "chat_1"
    )]
    channel: Option<String>,
    /// Only those that go this way.
    direction: Option<DirectionView>,
    /// Only those in this state; `dead` and `failed` when absent. Uncertain ones must be named, because they may have
    /// arrived.
    state: Option<DeadState>,
    /// Only those that were accepted then or later.
    since: Option<DateTime<Utc>>,
    /// Only those that were accepted before then.
    until: Option<DateTime<Utc>>,
}

/// A message about which nothing was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    id: Uuid,
    /// Why.
    #[schema(example = "it is pending: it is being worked on")]
    reason: String,
}

impl From<&Unchanged> for Refused {
    fn from(unchanged: &Unchanged) -> Self {
        Self { id: unchanged.id.0, reason: why(unchanged.state).to_owned() }
    }
}

/// What a body says, checked.
///
/// # Errors
/// 400 for what makes no sense.
pub fn selection(
    ids: Option<Vec<Uuid>>,
    given: Option<DeadLetterFilter>,
    limit: Option<u32>,
) -> Result<Selection, Problem> {
    match (ids, given) {
        (Some(ids), None) if limit.is_none() => by_id(ids),
        (Some(_), None) => Err(Problem::bad_request("\"limit\" goes with \"filter\", not with \"ids\"")),
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("\"ids\" and \"filter\" exclude each other: send one"))
        }
        (None, Some(given)) => oldest(given, limit),
        (None, None) => Err(Problem::bad_request(
            "say which: some by \"ids\", or the oldest that match a \"filter\"; the filter {} matches all",
        )),
    }
}

fn by_id(mut ids: Vec<Uuid>) -> Result<Selection, Problem> {
    ids.sort_unstable();
    ids.dedup();
    match ids.len() {
        0 => Err(Problem::bad_request("\"ids\" is empty")),
        1..=MOST => Ok(Selection::Ids(ids.into_iter().map(MessageId).collect())),
        n => Err(Problem::bad_request(format!("\"ids\" has {n} entries; at most {MOST} are allowed"))),
    }
}

fn oldest(given: DeadLetterFilter, limit: Option<u32>) -> Result<Selection, Problem> {
    let within = |key, moment: Option<DateTime<Utc>>| moment.map(|at| filter::within(key, at)).transpose();
    let matching = MessageFilter {
        dead: true,
        channel: filter::channel(given.channel)?,
        conversation: None,
        direction: given.direction.map(Into::into),
        state: given.state.map(Into::into),
        since: within("filter.since", given.since)?,
        until: within("filter.until", given.until)?,
    };
    filter::in_order(&matching)?;
    let limit = match limit.map(|n| (n, usize::try_from(n))) {
        None => USUAL,
        Some((n, Ok(1..=MOST))) => i64::from(n),
        Some(_) => return Err(Problem::bad_request(format!("\"limit\" must be from 1 to {MOST}"))),
    };
    Ok(Selection::Oldest(matching, limit))
}
