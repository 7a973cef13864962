//! What a job does, made into the message of one of its runs. Pure: what it needs to know was looked up before ([`Found`]).

mod found;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use claw_runtime::{Clock, Ids};
use claw_store::cron::message::{CRON, Sent, to_person};
use claw_store::cron::webhook::origin;
use claw_store::{NewMessage, NewRun, RunOf, chain};
use claw_types::job::Options;
use claw_types::{Action, AgentWake, AssistantTask, ChannelMessage, ShardCount, WakeMode, WebhookCall};
use serde_json::{Map, Value};

pub(crate) use self::found::{Channels, Found};

/// What messages are made with.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) shards: ShardCount,
    pub(crate) ids: Ids,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a run makes.
struct Made {
    message: NewMessage,
    /// What is sent where, JSON.
    sent: String,
    /// The heartbeat that it waits for.
    wake_at: Option<DateTime<Utc>>,
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
        time: DateTime<Utc>,
        found: &Found,
    ) -> NewRun {
        let await_completion = options.await_completion && matches!(action, Ok(Action::Task(_)));
        let made = action.and_then(|action| match action {
            Action::Message(message) => self.to_person(of, message, options, found),
            Action::Task(task) => self.to_agent(of, task, found),
            Action::Wake(wake) => self.wake(of, wake, found),
            Action::Webhook(call) => self.webhook(of, call, options),
        });
        let seconds = options.timeout().as_secs_f64();
        let (message, sent, wake_at) = match made {
            Ok(Made { message, sent, wake_at }) => (Ok(message), Some(sent), wake_at),
            Err(why) => (Err(why), None, None),
        };
        NewRun { id: of.run, scheduled_for: time, seconds, await_completion, sent, message, wake_at }
    }

    fn to_person(
        &self,
        of: &RunOf<'_>,
        message: ChannelMessage,
        options: &Options,
        found: &Found,
    ) -> Result<Made, String> {
        let channel = found.channel(of.user, &message.channel)?;
        let sent = json(Sent::to_person(&message, channel))?;
        let mut body = to_person(message);
        if options.max_retries > 0 {
            // When its time is up another one is sent; both would be one too many.
            body.ttl_seconds = Some(seconds(options));
        }
        let made = NewMessage::outbound(channel, &body, &self.ids, None).map_err(|error| chain(&error))?;
        Ok(Made { message: NewMessage { source: Some(CRON.to_owned()), ..made }, sent, wake_at: None })
    }

    fn to_agent(&self, of: &RunOf<'_>, task: AssistantTask, found: &Found) -> Result<Made, String> {
        let delivery = task.delivery.as_ref();
        let channel = delivery.map(|delivery| found.channel(of.user, &delivery.channel)).transpose()?;
        let sent = json(Sent::to_agent(&task, channel))?;
        let made = of.to_agent(task, channel, None, self.shards, &self.ids, &*self.clock);
        Ok(Made { message: made.map_err(|error| chain(&error))?, sent, wake_at: None })
    }

    fn wake(&self, of: &RunOf<'_>, wake: AgentWake, found: &Found) -> Result<Made, String> {
        let channel = wake.channel.as_deref().map(|name| found.channel(of.user, name)).transpose()?;
        let wake_at = match wake.when() {
            WakeMode::Now => None,
            WakeMode::NextHeartbeat => Some(found.heartbeat(of.user)?),
        };
        let sent = json(Sent::wake(&wake, channel, wake_at))?;
        let made = of.wake(wake, channel, None, self.shards, &self.ids, &*self.clock);
        Ok(Made { message: made.map_err(|error| chain(&error))?, sent, wake_at })
    }

    /// Whose time is up is not posted any more: the run is over then, and maybe tried again.
    fn webhook(&self, of: &RunOf<'_>, call: WebhookCall, options: &Options) -> Result<Made, String> {
        let sent = json(Sent::posted(&origin(&call.url)))?;
        let made = of.webhook(call, seconds(options), None, self.shards, &self.ids);
        Ok(Made { message: made.map_err(|error| chain(&error))?, sent, wake_at: None })
    }
}

fn json(sent: Sent<'_>) -> Result<String, String> {
    sent.json().map_err(|error| chain(&error))
}

/// What a run may take.
fn seconds(options: &Options) -> u32 {
    options.timeout_secs.unwrap_or(Options::TIMEOUT_SECS)
}
