//! What a job does, made into the message of one of its runs. Pure: the channels were looked up before.

use std::collections::HashMap;
use std::sync::Arc;

use claw_runtime::{Clock, Ids};
use claw_store::cron::message::{CRON, to_person};
use claw_store::targets::Target;
use claw_store::{Channel, Error, NewMessage, NewRun, RunOf, chain};
use claw_types::job::Options;
use claw_types::{Action, AssistantTask, ChannelMessage, ShardCount, UserId};
use serde::Serialize;
use serde_json::{Map, Value};

/// The channels that the jobs of a page mean, or why there is none.
pub(crate) type Channels = HashMap<Target, Result<Channel, Error>>;

/// What messages are made with.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) shards: ShardCount,
    pub(crate) ids: Ids,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What was sent where, as the run's history shows it.
#[derive(Serialize)]
struct Sent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
}

/// How a job runs. What another version stored and this one can't read makes its runs fail, and changes nothing else about it.
pub(crate) fn options(stored: &str) -> (Options, Result<(), String>) {
    match serde_json::from_str(stored) {
        Ok(options) => (options, Ok(())),
        Err(error) => (Options::default(), Err(not_understood("options", &error))),
    }
}

/// What a job does.
///
/// # Errors
/// With what the run's history shows.
pub(crate) fn action(stored: &str) -> Result<Action, String> {
    let action = serde_json::from_str::<Map<String, Value>>(stored).and_then(|action| Action::read(&action));
    action.map_err(|error| not_understood("action", &error))
}

/// The channel that an action needs.
pub(crate) fn target(user: &UserId, action: &Result<Action, String>) -> Option<Target> {
    let name = action.as_ref().ok()?.channel()?;
    Some((user.clone(), name.to_owned()))
}

fn not_understood(what: &str, error: &serde_json::Error) -> String {
    format!("the job's {what} is not understood by this version, save the job again: {error}")
}

impl Maker {
    /// A run and its message. `time` is what the run is for.
    pub(crate) fn run(
        &self,
        of: &RunOf<'_>,
        action: Result<Action, String>,
        options: &Options,
        time: chrono::DateTime<chrono::Utc>,
        channels: &Channels,
    ) -> NewRun {
        let await_completion = options.await_completion && matches!(action, Ok(Action::Task(_)));
        let made = action.and_then(|action| match action {
            Action::Message(message) => self.to_person(of, message, options, channels),
            Action::Task(task) => self.to_agent(of, task, channels),
        });
        let (message, sent) = match made {
            Ok((message, sent)) => (Ok(message), sent),
            Err(why) => (Err(why), None),
        };
        let seconds = options.timeout().as_secs_f64();
        NewRun { id: of.run, scheduled_for: time, seconds, await_completion, sent, message }
    }

    fn to_person(
        &self,
        of: &RunOf<'_>,
        message: ChannelMessage,
        options: &Options,
        channels: &Channels,
    ) -> Result<(NewMessage, Option<String>), String> {
        let channel = channel(of.user, &message.channel, channels)?;
        let mut body = to_person(message);
        if options.max_retries > 0 {
            // When its time is up another one is sent; both would be one too many.
            body.ttl_seconds = Some(options.timeout_secs.unwrap_or(Options::TIMEOUT_SECS));
        }
        let sent = Sent {
            agent_id: None,
            channel: Some(channel.instance.as_str()),
            channel_type: Some(&channel.channel_type),
            recipient: Some(&body.recipient),
        };
        let sent = serde_json::to_string(&sent).map_err(|error| chain(&error))?;
        let made = NewMessage::outbound(channel, &body, &self.ids, None).map_err(|error| chain(&error))?;
        Ok((NewMessage { source: Some(CRON.to_owned()), ..made }, Some(sent)))
    }

    fn to_agent(
        &self,
        of: &RunOf<'_>,
        task: AssistantTask,
        channels: &Channels,
    ) -> Result<(NewMessage, Option<String>), String> {
        let delivery = task.delivery.as_ref();
        let channel = delivery.map(|delivery| channel(of.user, &delivery.channel, channels)).transpose()?;
        let sent = Sent {
            agent_id: task.agent_id.as_deref(),
            channel: channel.map(|channel| channel.instance.as_str()),
            channel_type: channel.map(|channel| channel.channel_type.as_str()),
            recipient: delivery.map(|delivery| delivery.recipient.as_str()),
        };
        let sent = serde_json::to_string(&sent).map_err(|error| chain(&error))?;
        let made = of.to_agent(task, channel, None, self.shards, &self.ids, &*self.clock);
        Ok((made.map_err(|error| chain(&error))?, Some(sent)))
    }
}

/// The channel of this name, which must be switched on: nobody would send by it.
fn channel<'c>(user: &UserId, name: &str, channels: &'c Channels) -> Result<&'c Channel, String> {
    let known = channels.get(&(user.clone(), name.to_owned()));
    match known {
        Some(Ok(channel)) if channel.enabled => Ok(channel),
        Some(Ok(channel)) => {
            Err(format!("the channel {:?} is switched off: enable it first", channel.instance.as_str()))
        }
        Some(Err(error)) => Err(chain(error)),
        None => Err(chain(&Error::NoTarget(name.to_owned()))),
    }
}
