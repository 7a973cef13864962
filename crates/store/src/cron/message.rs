//! The message that a run makes of its job's action: the same at a scheduled time and when somebody asks for it.

use chrono::{DateTime, SecondsFormat, Utc};
use claw_runtime::{Clock, Ids};
use claw_types::{AgentWake, AssistantTask, ChannelMessage, Outbound, ShardCount, UserId};
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
