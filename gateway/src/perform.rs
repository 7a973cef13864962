//! Does what a job's action says, by the same road as everybody's messages: accepted first, then waited for.
//!
//! The message carries the run's id as its key, so doing the same run twice makes one message. The run knows its message, and what goes
//! where, before that is stored: whoever settles it ends the run, however long that takes and whoever has gone meanwhile.

use chrono::{DateTime, SecondsFormat, Utc};
use claw_secrets::signature;
use claw_store::cron::message::{self, Sent};
use claw_store::cron::webhook::origin;
use claw_store::{Accepted, Channel, Job, MessageStatus, NewMessage, Run, RunOf, RunStatus, When};
use claw_types::{
    Action, ActionType, AgentWake, AssistantTask, ChannelMessage, MessageId, MessageState, UserId, WakeMode,
    WebhookCall,
};
use tracing::warn;
use uuid::Uuid;

use crate::app::App;
use crate::dispatch::{self, Once};
use crate::error::Problem;
use crate::intake;

/// What became of a run.
pub struct Outcome {
    /// The message that it made, if any.
    pub message: Option<MessageId>,
    /// How far the message got, or why it was refused.
    pub said: Result<String, String>,
    /// Whether the message is still to be handed over: the run goes on, and ends with it.
    pub waits: bool,
}

impl Outcome {
    /// Nothing more is to come.
    fn over(message: Option<MessageId>, said: Result<String, String>) -> Self {
        Self { message, said, waits: false }
    }

    /// A message of this kind of action, as far as it got.
    fn of_message(id: MessageId, action_type: &str, status: MessageStatus) -> Self {
        let waits = status.state == MessageState::Pending;
        Self { message: Some(id), said: verdict(action_type, status), waits }
    }
}

/// Does it, and waits for the delivery as long as a send does.
pub async fn perform(app: &App, job: &Job, run: Uuid) -> Outcome {
    let done = match Action::read(&job.action) {
        Ok(Action::Message(message)) => to_person(app, job, run, message).await,
        Ok(Action::Task(task)) => to_agent(app, job, run, task).await,
        Ok(Action::Wake(wake)) => self::wake(app, job, run, wake).await,
        Ok(Action::Webhook(call)) => webhook(app, job, run, call).await,
        Err(unreadable) => Err(unreadable.into()),
    };
    done.unwrap_or_else(|problem| {
        if let Some(cause) = problem.cause() {
            warn!(job.id = %job.id, run.id = %run, error = cause, "a job's run failed: {cause}");
        }
        Outcome::over(None, Err(problem.detail().to_owned()))
    })
}

/// What became of a run that was done; `None` when its message is not stored, as far as anybody knows.
///
/// # Errors
/// When the database fails.
pub async fn done(app: &App, user: &UserId, run: Run) -> Result<Option<Outcome>, Problem> {
    let Run { status, message_id: message, error_message, .. } = run;
    let id = match (status, message) {
        (RunStatus::Error, _) | (RunStatus::Ok, None) => {
            return Ok(Some(Outcome::over(message, Err(error_message.unwrap_or_default()))));
        }
        (RunStatus::Running | RunStatus::Timeout, None) => return Ok(None),
        (RunStatus::Running | RunStatus::Timeout | RunStatus::Ok, Some(id)) => id,
    };
    if let Some(status) = app.store.message_status(id).await? {
        return Ok(Some(Outcome::of_message(id, &run.action_type, status)));
    }
    if status != RunStatus::Ok {
        return Ok(None);
    }
    let said = match app.store.wake_due(user, id).await? {
        Some(heartbeat) => Ok(waits(heartbeat)),
        // Forgotten by now, so it was done with.
        None => verdict(&run.action_type, of_state(MessageState::Done)),
    };
    Ok(Some(Outcome::over(message, said)))
}

async fn to_person(app: &App, job: &Job, run: Uuid, message: ChannelMessage) -> Result<Outcome, Problem> {
    let channel = app.store.channel_named(&job.user_id, &message.channel).await?;
    let known = app.channels.get(channel.id).await?.ok_or(claw_store::Error::NoChannel)?;
    let sent = Sent::to_person(&message, &channel).json()?;
    let body = message::to_person(message);
    let key = format!("run:{run}");
    // A run is one message, whatever else its job says by the time it is tried again.
    let once = Once { key: Some(&key), digest: signature::sha256(key.as_bytes()) };
    let (message, _) = dispatch::prepared(app, &known, body, once)?;
    // A job's message, by which its run is found.
    hand_over(app, job, run, NewMessage { source: Some(message::CRON.to_owned()), ..message }, &sent).await
}

async fn to_agent(app: &App, job: &Job, run: Uuid, task: AssistantTask) -> Result<Outcome, Problem> {
    let name = task.delivery.as_ref().map(|delivery| delivery.channel.as_str());
    let channel = switched_on(app, &job.user_id, name).await?;
    let key = run.to_string();
    let of = of(job, run);
    let sent = Sent::to_agent(&task, channel.as_ref()).json()?;
    let message = of.to_agent(task, channel.as_ref(), Some(&key), app.shards, &app.ids, &*app.clock)?;
    hand_over(app, job, run, message, &sent).await
}

async fn wake(app: &App, job: &Job, run: Uuid, wake: AgentWake) -> Result<Outcome, Problem> {
    let channel = switched_on(app, &job.user_id, wake.channel.as_deref()).await?;
    let (key, asked) = (run.to_string(), wake.clone());
    let message = of(job, run).wake(wake, channel.as_ref(), Some(&key), app.shards, &app.ids, &*app.clock)?;
    if asked.when() == WakeMode::Now {
        let sent = Sent::wake(&asked, channel.as_ref(), None).json()?;
        return hand_over(app, job, run, message, &sent).await;
    }
    let digest = signature::sha256(key.as_bytes());
    let once = claw_store::Once { kind: "job.wake", key: &key, digest };
    let woken = app.store.wake(&message, When::NextHeartbeat, Some(once)).await?;
    // It is over as soon as this is stored, and gets no more time.
    let sent = Sent::wake(&asked, channel.as_ref(), woken.due_at).json()?;
    app.store.run_makes(&job.user_id, run, woken.id, &sent, 0.0).await?;
    // When the run is tried again after the heartbeat, it is on its way by now.
    let said = woken
        .due_at
        .map_or_else(|| verdict(&job.action_type, of_state(MessageState::Pending)), |at| Ok(waits(at)));
    Ok(Outcome::over(Some(woken.id), said))
}

/// Posts it. Who asked for it does not wait any longer than this, so it is not posted later either.
async fn webhook(app: &App, job: &Job, run: Uuid, call: WebhookCall) -> Result<Outcome, Problem> {
    let metadata = job.metadata.as_ref().map(serde_json::to_string).transpose()?;
    let of = RunOf { metadata: metadata.as_deref(), ..of(job, run) };
    let seconds = u32::try_from(app.send_wait.as_secs()).unwrap_or(u32::MAX).max(1);
    let sent = Sent::posted(&origin(&call.url)).json()?;
    let message = of.webhook(call, seconds, Some(&run.to_string()), app.shards, &app.ids)?;
    let outcome = hand_over(app, job, run, message, &sent).await?;
    // On its way, as far as its owner said: what the last attempt came to is what the user wants to know.
    if let (true, Some(id)) = (outcome.waits, outcome.message)
        && let Some(MessageStatus { state: MessageState::Pending, error: Some(error), .. }) =
            app.store.message_status(id).await?
    {
        return Ok(Outcome::over(outcome.message, Err(error)));
    }
    Ok(outcome)
}

fn of(job: &Job, run: Uuid) -> RunOf<'_> {
    RunOf {
        user: &job.user_id,
        job: job.id,
        job_name: &job.name,
        label: job.label.as_deref(),
        metadata: None,
        run,
        attempt: 1,
        scheduled_for: None,
    }
}

/// Accepts the message of a run, and waits for its delivery. `sent` is what is sent where, JSON.
async fn hand_over(
    app: &App,
    job: &Job,
    run: Uuid,
    message: NewMessage,
    sent: &str,
) -> Result<Outcome, Problem> {
    let (shard, seconds) = (message.shard, job.options.timeout().as_secs_f64());
    app.store.run_makes(&job.user_id, run, message.id, sent, seconds).await?;
    let accepted = intake::accept_one(app, message).await?;
    if let Accepted::Duplicate(id) = accepted {
        // An earlier call stored another one, and died before it could tell.
        app.store.run_makes(&job.user_id, run, id, sent, seconds).await?;
    }
    let status = dispatch::outcome(app, shard, &accepted).await;
    Ok(Outcome::of_message(accepted.id(), &job.action_type, status))
}

/// The channel by which an answer is to go, if it is to go anywhere; were it off, the agent would work for nobody.
async fn switched_on(app: &App, user: &UserId, name: Option<&str>) -> Result<Option<Channel>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let channel = app.store.channel_named(user, name).await?;
    dispatch::switched_on(&channel)?;
    Ok(Some(channel))
}

fn of_state(state: MessageState) -> MessageStatus {
    MessageStatus { state, platform_message_ids: Vec::new(), error: None }
}

fn waits(heartbeat: DateTime<Utc>) -> String {
    let at = heartbeat.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("the wake-up is stored and waits for the heartbeat at {at}")
}

/// How far a message of this kind of action got.
fn verdict(
    action_type: &str,
    MessageStatus { state, error: reason, .. }: MessageStatus,
) -> Result<String, String> {
    let kind = ActionType::ALL.into_iter().find(|kind| kind.as_str() == action_type);
    let (done, pending) = match kind {
        Some(ActionType::ChannelMessage) => {
            ("the message was sent", "the message is stored and will be sent")
        }
        Some(ActionType::Hook) => {
            ("the agent has the wake-up", "the wake-up is stored and will go to the agent")
        }
        Some(ActionType::Webhook) => ("its receiver has it", "it is stored and will be posted"),
        Some(ActionType::AssistantTask) | None => {
            ("the agent has the task", "the task is stored and will go to the agent")
        }
    };
    let or = |otherwise: &str| reason.unwrap_or_else(|| otherwise.to_owned());
    match state {
        MessageState::Done => Ok(done.to_owned()),
        MessageState::Pending => Ok(pending.to_owned()),
        MessageState::Uncertain => Ok(or("it was handed to the platform, whose answer never came")),
        MessageState::Failed => Err(or("it was refused")),
        MessageState::Expired => Err(or("it could not be sent in time")),
        MessageState::Dead => Err(or("every attempt to hand it over failed")),
        MessageState::Discarded => Err(or("it was discarded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_safe_is_ok_and_what_is_over_tells_why() {
        let of = |state| {
            let status = MessageStatus { error: Some("because".to_owned()), ..of_state(state) };
            verdict("channel_message", status)
        };
        assert_eq!(of(MessageState::Done), Ok("the message was sent".to_owned()));
        assert_eq!(of(MessageState::Pending), Ok("the message is stored and will be sent".to_owned()));
        assert_eq!(of(MessageState::Uncertain), Ok("because".to_owned()));
        assert_eq!(of(MessageState::Failed), Err("because".to_owned()));
        assert_eq!(of(MessageState::Dead), Err("because".to_owned()));
        let task = verdict("assistant_task", of_state(MessageState::Done));
        assert_eq!(task, Ok("the agent has the task".to_owned()));
        let wake = verdict("hook", of_state(MessageState::Done));
        assert_eq!(wake, Ok("the agent has the wake-up".to_owned()));
        let webhook = verdict("webhook", of_state(MessageState::Done));
        assert_eq!(webhook, Ok("its receiver has it".to_owned()));
    }
}
