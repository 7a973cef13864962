//! When heartbeats may be, and what they say, as a user sends it.

use claw_schedule::ActiveHours;
use claw_types::preferences::{Beat, Hours};
use claw_types::{Ident, UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::chat;
use crate::app::App;
use crate::edit;
use crate::error::Problem;
use crate::wake::{self, Place};

/// The hours of the day in which heartbeats may be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoursBody {
    /// When they begin, by the clock of `tz`.
    #[schema(example = "08:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    from: String,
    /// When they end, at most at `24:00`; before `from`, it is on the next day.
    #[schema(example = "22:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    to: String,
    /// The time zone; UTC if not given.
    #[schema(example = "Europe/Berlin")]
    tz: Option<String>,
    /// The days on which they begin: 1 (Monday) to 7 (Sunday); every day if not given.
    #[schema(example = json!([1, 2, 3, 4, 5]), min_items = 1, max_items = 7)]
    days: Option<Vec<u8>>,
}

/// What an agent is told at each heartbeat.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeatBody {
    /// The text.
    #[schema(min_length = 1, max_length = 4_096)]
    text: String,
    /// Which agent; the one that the channel is bound to if not given.
    #[schema(max_length = 200)]
    agent_id: Option<String>,
    /// The channel of the chat that it belongs to, and to which the answer goes; by its `instance_name_id`, or by its type.
    #[schema(max_length = 64)]
    channel: Option<String>,
    /// The platform's id of the chat; with `channel` only.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
}

impl HoursBody {
    /// The hours as they are stored.
    ///
    /// # Errors
    /// 400 saying what is wrong with it.
    pub fn checked(self) -> Result<Hours, Problem> {
        let Self { from, to, tz, mut days } = self;
        let tz = tz.unwrap_or_default();
        ActiveHours::new(&from, &to, &tz, days.as_deref())
            .map_err(|error| Problem::bad_request(format!("\"active_hours\": {error}")))?;
        if let Some(days) = &mut days {
            days.sort_unstable();
            days.dedup();
        }
        Ok(Hours { from, to, tz, days })
    }
}

impl BeatBody {
    /// What is told as it is stored, with its chat by the channel's slug.
    ///
    /// # Errors
    /// 400 for a text that says nothing or too much and a chat that can't be found, 409 when its channel is switched off.
    pub async fn checked(self, app: &App, user: &UserId, before: Option<&Beat>) -> Result<Beat, Problem> {
        let Self { text, agent_id, channel, recipient, thread_id } = self;
        wake::check_text("heartbeat.text", &text)?;
        let agent_id = agent_id.map(|agent| edit::label("heartbeat.agent_id", &agent)).transpose()?;
        let agent_id = agent_id.filter(|agent| !agent.is_empty());
        let place = Place { channel, recipient, thread_id };
        let chat = chat::meant(app, user, place, before.and_then(Beat::chat).as_ref()).await?;
        let (channel, recipient, thread_id) = match chat {
            Some(chat) => (Some(chat.channel), Some(chat.recipient), chat.thread_id),
            None => (None, None, None),
        };
        Ok(Beat { text, agent_id, channel, recipient, thread_id })
    }
}
