//! What lists of messages can be narrowed by, checked.

use chrono::{DateTime, Datelike as _, Utc};
use claw_store::intake::indexable;
use claw_store::{MessageFilter, MessagePlace};
use claw_types::{InstanceId, MessageState, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::DirectionView;
use crate::error::Problem;
use crate::query;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MessageState)]
pub enum StateView {
    /// Accepted and not finished.
    Pending,
    /// The backend (in) or the platform (out) has it.
    Done,
    /// Refused for good.
    Failed,
    /// Handed to the platform, whose answer never came.
    Uncertain,
    /// Not sent within its time to live.
    Expired,
    /// Every attempt failed.
    Dead,
    /// Put aside by somebody.
    Discarded,
}

/// A state of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DeadState)]
pub enum DeadState {
    /// Every attempt failed.
    Dead,
    /// Refused for good.
    Failed,
    /// Handed to the platform, whose answer never came.
    Uncertain,
    /// Not sent within its time to live.
    Expired,
}

impl From<MessageState> for StateView {
    fn from(state: MessageState) -> Self {
        match state {
            MessageState::Pending => Self::Pending,
            MessageState::Done => Self::Done,
            MessageState::Failed => Self::Failed,
            MessageState::Uncertain => Self::Uncertain,
            MessageState::Expired => Self::Expired,
            MessageState::Dead => Self::Dead,
            MessageState::Discarded => Self::Discarded,
        }
    }
}

impl From<StateView> for MessageState {
    fn from(state: StateView) -> Self {
        match state {
            StateView::Pending => Self::Pending,
            StateView::Done => Self::Done,
            StateView::Failed => Self::Failed,
            StateView::Uncertain => Self::Uncertain,
            StateView::Expired => Self::Expired,
            StateView::Dead => Self::Dead,
            StateView::Discarded => Self::Discarded,
        }
    }
}

impl From<DeadState> for MessageState {
    fn from(state: DeadState) -> Self {
        match state {
            DeadState::Dead => Self::Dead,
            DeadState::Failed => Self::Failed,
            DeadState::Uncertain => Self::Uncertain,
            DeadState::Expired => Self::Expired,
        }
    }
}

/// The query of a list of messages: its own parameters, and those that all such lists have.
macro_rules! query {
    ($(#[$doc:meta])* $name:ident: $state:ty { $($(#[$meta:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$meta])* $field: Option<String>,)*
            /// Only those that go this way.
            #[param(inline)]
            direction: Option<DirectionView>,
            /// Only those in this state.
            #[param(inline)]
            state: Option<$state>,
            /// Only those that were accepted then or later.
            #[param(value_type = Option<DateTime<Utc>>)]
            since: Option<String>,
            /// Only those that were accepted before then.
            #[param(value_type = Option<DateTime<Utc>>)]
            until: Option<String>,
            /// Entries of a page.
            #[param(minimum = 1, maximum = 200, default = 50)]
            limit: Option<u32>,
            /// `next_cursor` of the page before.
            #[param(pattern = r"^[0-9]{1,17}\.[0-9]{1,18}$")]
            cursor: Option<String>,
        }

        impl $name {
            /// What all lists have, checked, beside what is in `own`.
            fn narrow(self, own: MessageFilter) -> Result<Page, Problem> {
                let filter = MessageFilter {
                    direction: self.direction.map(Into::into),
                    state: self.state.map(Into::into),
                    since: moment("since", self.since)?,
                    until: moment("until", self.until)?,
                    ..own
                };
                Page::of(filter, self.limit, self.cursor)
            }
        }
    };
}

query! {
    /// Which messages.
    Filter: StateView {
        /// Only those of the channel of this name; of deleted channels of that name, too.
        #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", example = "chat_1")]
        channel,
        /// Only those of this conversation, as a message shows it.
        conversation,
    }
}

query! {
    /// Which dead letters.
    DeadFilter: DeadState {
        /// Only those of the channel of this name; of deleted channels of that name, too.
        #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", example = "chat_1")]
        channel,
    }
}

query! {
    /// Which dead letters, of all users.
    AllDeadFilter: DeadState {
        /// Only this user's.
        #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
        user,
    }
}

/// A page of a list, asked for.
#[derive(Debug)]
pub struct Page {
    /// Of what.
    pub filter: MessageFilter,
    /// Before which place.
    pub before: Option<MessagePlace>,
    /// How many.
    pub limit: i64,
}

impl Filter {
    /// Checks it.
    ///
    /// # Errors
    /// 400 for what makes no sense.
    pub fn page(mut self) -> Result<Page, Problem> {
        let conversation = self.conversation.take().map(|text| indexable(&text).into_owned());
        let channel = channel(self.channel.take())?;
        self.narrow(MessageFilter { channel, conversation, ..MessageFilter::default() })
    }
}

impl DeadFilter {
    /// Checks it.
    ///
    /// # Errors
    /// 400 for what makes no sense.
    pub fn page(mut self) -> Result<Page, Problem> {
        let channel = channel(self.channel.take())?;
        self.narrow(MessageFilter { dead: true, channel, ..MessageFilter::default() })
    }
}

impl AllDeadFilter {
    /// Checks it; answers whose are meant, too.
    ///
    /// # Errors
    /// 400 for what makes no sense.
    pub fn page(mut self) -> Result<(Option<UserId>, Page), Problem> {
        let user = user("user", self.user.take())?;
        Ok((user, self.narrow(MessageFilter { dead: true, ..MessageFilter::default() })?))
    }
}

impl Page {
    fn of(filter: MessageFilter, limit: Option<u32>, cursor: Option<String>) -> Result<Self, Problem> {
        in_order(&filter)?;
        let limit = query::limit(limit)?;
        let before = cursor.map(|text| place(&text)).transpose()?;
        Ok(Self { filter, before, limit })
    }
}

/// Refuses a time that ends before it begins.
///
/// # Errors
/// 400.
pub fn in_order(filter: &MessageFilter) -> Result<(), Problem> {
    match (filter.since, filter.until) {
        (Some(since), Some(until)) if since >= until => {
            Err(Problem::bad_request("\"since\" must be before \"until\""))
        }
        _ => Ok(()),
    }
}

/// A channel's name.
///
/// # Errors
/// 400 for what can't be one.
pub fn channel(given: Option<String>) -> Result<Option<InstanceId>, Problem> {
    let parsed = given.map(|name| name.parse::<InstanceId>()).transpose();
    parsed.map_err(|error| Problem::bad_request(format!("\"channel\": {error}")))
}

/// The one user that is meant, if any.
///
/// # Errors
/// 400 for what can't be one.
pub fn user(key: &str, given: Option<String>) -> Result<Option<UserId>, Problem> {
    let parsed = given.map(|user| user.parse::<UserId>()).transpose();
    parsed.map_err(|error| Problem::bad_request(format!("{key:?}: {error}")))
}

fn moment(key: &str, given: Option<String>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = given else { return Ok(None) };
    let Ok(moment) = DateTime::parse_from_rfc3339(&text) else {
        return Err(Problem::bad_request(format!(
            "{key:?} must be a time like 2026-11-23T01:45:53Z (RFC 3339; write the + of an offset as %2B)"
        )));
    };
    within(key, moment.to_utc()).map(Some)
}

/// Refuses a time that the database's dates and JSON's don't share.
///
/// # Errors
/// 400.
pub fn within(key: &str, moment: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    if (1..=9999).contains(&moment.year()) {
        Ok(moment)
    } else {
        Err(Problem::bad_request(format!("{key:?} must be in the years 1 to 9999")))
    }
}

/// The cursor of a place.
pub fn cursor(place: &MessagePlace) -> String {
    format!("{}.{}", place.accepted_at.timestamp_micros(), place.seq)
}

fn place(cursor: &str) -> Result<MessagePlace, Problem> {
    let read = || {
        let (micros, seq) = cursor.split_once('.')?;
        let accepted_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some(MessagePlace { accepted_at: within("cursor", accepted_at).ok()?, seq: seq.parse().ok()? })
    };
    read().ok_or_else(|| Problem::bad_request("\"cursor\" must be the next_cursor of the page before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let place_of = MessagePlace {
            accepted_at: DateTime::from_timestamp_micros(1_732_326_353_454_983).unwrap(),
            seq: 17,
        };
        assert_eq!(place(&cursor(&place_of)).unwrap(), place_of);
        for wrong in ["", "1", "1.", ".1", "a.b", "1.2.3", "999999999999999999.1", "1.99999999999999999999"] {
            let said = place(wrong).unwrap_err();
            assert_eq!(said.detail(), "\"cursor\" must be the next_cursor of the page before", "{wrong}");
        }
    }

    #[test]
    fn a_time_is_rfc_3339() {
        let read = |text: &str| moment("since", Some(text.to_owned()));
        assert_eq!(
            read("2026-11-23T02:45:53+01:00").unwrap().unwrap().to_rfc3339(),
            "2026-11-23T01:45:53+00:00"
        );
        for wrong in ["yesterday", "2026-11-23", "1732326353", "2026-11-23T02:45:53 01:00"] {
            assert!(read(wrong).unwrap_err().detail().contains("RFC 3339"), "{wrong}");
        }
        assert_eq!(
            read("0000-01-01T00:00:00Z").unwrap_err().detail(),
            "\"since\" must be in the years 1 to 9999"
        );
    }
}
