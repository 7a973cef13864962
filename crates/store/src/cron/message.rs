//! The message that a run makes of its job's action: the same at a scheduled time and when somebody asks for it.

use chrono::{DateTime, SecondsFormat, Utc};
use claw_runtime::{Clock, Ids};
use claw_types::{AssistantTask, ChannelMessage, Outbound, ShardCount, UserId};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::{AgentEvent, Channel, Chat, NewMessage, Result};

/// What the messages of jobs come from. Whoever settles one looks for its run.
pub const CRON: &str = "cron";

/// A run of a job.
#[derive(Debug, Clone, Copy)]
pub struct RunOf<'a> {
    /// Whose job.
    pub user: &'a UserId,
    /// Which.
    pub job: Uuid,
    /// What it is called.
    pub job_name: &'a str,
    /// The run.
    pub run: Uuid,
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
        let mut metadata = Map::new();
        metadata.insert("job_id".to_owned(), json!(self.job));
        metadata.insert("job_name".to_owned(), json!(self.job_name));
        metadata.insert("run_id".to_owned(), json!(self.run));
        if let Some(time) = self.scheduled_for {
            metadata
                .insert("scheduled_for".to_owned(), time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into());
        }
        let chat = channel.zip(task.delivery).map(|(channel, delivery)| Chat {
            channel,
            recipient: delivery.recipient,
            thread_id: None,
            answer: true,
        });
        let event = AgentEvent {
            user: self.user,
            agent_id: task.agent_id.as_deref().unwrap_or_default().trim(),
            source: CRON,
            session: Some(&format!("cron:{}", self.job)),
            text: task.context,
            metadata,
            chat,
            key,
        };
        NewMessage::event(event, shards, ids, clock)
    }
}
