//! The message that a run makes of its job's action, and what its history shows of that: the same at a scheduled time and when somebody
//! asks for it.

use chrono::{DateTime, SecondsFormat, Utc};
use claw_runtime::{Clock, Ids};
use claw_types::{AgentWake, AssistantTask, ChannelMessage, Outbound, ShardCount, UserId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{AgentEvent, Channel, Chat, NewMessage, Result};

/// What the messages of jobs come from. Whoever settles one looks for its run.
pub const CRON: &str = "cron";
/// What the messages to owners about their jobs come from: no run, so none ends with one.
pub const ALERT: &str = "alert";
/// What a job's wake-up tells the backend that it comes from: the same as any other.
const WAKE: &str = "wake";

/// A run of a job.
#[derive(Debug, Clone, Copy)]
pub struct RunOf<'a> {
    /// Whose job.
    pub user: &'a UserId,
    /// Which.
    pub job: Uuid,
    /// What it is called.
    pub job_name: &'a str,
    /// What it is grouped by.
    pub label: Option<&'a str>,
    /// Its user's own, JSON; where a run shows it.
    pub metadata: Option<&'a str>,
    /// The run.
    pub run: Uuid,
    /// Which attempt of it.
    pub attempt: u32,
    /// The time that it is for; none for one that somebody asked for.
    pub scheduled_for: Option<DateTime<Utc>>,
}

/// What was sent where, as the run's history shows it. Of a URL it has the origin only, see [`super::webhook::origin`].
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Sent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
}

impl<'a> Sent<'a> {
    /// Of a `channel_message`, by this channel.
    pub fn to_person(message: &'a ChannelMessage, channel: &'a Channel) -> Self {
        Self { recipient: Some(&message.recipient), ..Self::by(Some(channel)) }
    }

    /// Of an `assistant_task`; `channel` is the one of its delivery.
    pub fn to_agent(task: &'a AssistantTask, channel: Option<&'a Channel>) -> Self {
        let recipient = task.delivery.as_ref().map(|delivery| delivery.recipient.as_str());
        Self { agent_id: task.agent_id.as_deref(), recipient, ..Self::by(channel) }
    }

    /// Of a `hook`; `channel` is the one that it names, `due_at` the heartbeat that it waits for, if it does.
    pub fn wake(wake: &'a AgentWake, channel: Option<&'a Channel>, due_at: Option<DateTime<Utc>>) -> Self {
        let (agent_id, recipient) = (wake.agent_id.as_deref(), wake.recipient.as_deref());
        Self { agent_id, recipient, due_at, ..Self::by(channel) }
    }

    /// Of a `webhook`, to this origin.
    pub fn posted(origin: &'a str) -> Self {
        Self { origin: Some(origin), ..Self::default() }
    }

    fn by(channel: Option<&'a Channel>) -> Self {
        Self {
            channel: channel.map(|channel| channel.instance.as_str()),
            channel_type: channel.map(|channel| channel.channel_type.as_str()),
            ..Self::default()
        }
    }

    /// As it is stored.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// What a `channel_message` sends.
pub fn to_person(message: ChannelMessage) -> Outbound {
    Outbound { recipient: message.recipient, text: Some(message.message), ..Outbound::default() }
}

impl RunOf<'_> {
    /// What an `assistant_task` tells its agent; `channel` is the one of its delivery. `key` makes a repeated call the same
    /// message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn to_agent(
        &self,
        task: AssistantTask,
        channel: Option<&Channel>,
        key: Option<&str>,
        shards: ShardCount,
        ids: &Ids,
        clock: &dyn Clock,
    ) -> Result<NewMessage> {
        let recipient = task.delivery.map(|delivery| delivery.recipient);
        let event = AgentEvent {
            user: self.user,
            agent_id: task.agent_id.as_deref().unwrap_or_default().trim(),
            source: CRON,
            session: Some(&format!("cron:{}", self.job)),
            text: task.context,
            metadata: self.named(Map::new()),
            chat: channel.zip(recipient).map(chat),
            key,
        };
        NewMessage::event(event, shards, ids, clock)
    }

    /// What a `hook` has an agent hear: the event of `POST /hooks/wake`. `channel` is the one that it names, and `key` as with
    /// [`Self::to_agent`].
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn wake(
        &self,
        wake: AgentWake,
        channel: Option<&Channel>,
        key: Option<&str>,
        shards: ShardCount,
        ids: &Ids,
        clock: &dyn Clock,
    ) -> Result<NewMessage> {
        let event = AgentEvent {
            user: self.user,
            agent_id: wake.agent_id.as_deref().unwrap_or_default().trim(),
            source: WAKE,
            session: None,
            text: wake.text,
            metadata: self.named(wake.metadata.unwrap_or_default()),
            chat: channel.zip(wake.recipient).map(chat),
            key,
        };
        let made = NewMessage::event(event, shards, ids, clock)?;
        // To the backend it is a wake-up; for us a job's message, by which its run is found.
        Ok(NewMessage { source: Some(CRON.to_owned()), ..made })
    }

    /// Names the job and the run, beside what is told anyway.
    fn named(&self, mut metadata: Map<String, Value>) -> Map<String, Value> {
        metadata.insert("job_id".to_owned(), json!(self.job));
        metadata.insert("job_name".to_owned(), json!(self.job_name));
        metadata.insert("run_id".to_owned(), json!(self.run));
        if let Some(time) = self.scheduled_for {
            let time = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            metadata.insert("scheduled_for".to_owned(), time.into());
        }
        metadata
    }
}

/// The chat that a job names; the answer goes there.
fn chat((channel, recipient): (&Channel, String)) -> Chat<'_> {
    Chat { channel, recipient, thread_id: None, answer: true }
}
