//! Does what a job's action says, by the same road as everybody's messages: accepted first, then waited for.
//!
//! The message carries the run's id as its key, so doing the same run twice makes one message.

use claw_secrets::signature;
use claw_store::cron::message;
use claw_store::{Channel, Job, MessageStatus, Run, RunOf, RunStatus};
use claw_types::{
    Action, ActionType, AssistantTask, ChannelMessage, Direction, MessageId, MessageState, UserId,
};
use tracing::warn;
use uuid::Uuid;

use crate::app::App;
use crate::dispatch::{self, Dispatched, Once};
use crate::error::Problem;
use crate::intake;

/// What became of a run.
pub struct Outcome {
    /// The message that it made, if any.
    pub message: Option<MessageId>,
    /// How far the message got, or why it was refused.
    pub said: Result<String, String>,
}

/// Does it, and waits for the delivery as long as a send does.
pub async fn perform(app: &App, job: &Job, run: Uuid) -> Outcome {
    let done = match Action::read(&job.action) {
        Ok(Action::Message(message)) => to_person(app, job, run, message).await,
        Ok(Action::Task(task)) => to_agent(app, job, run, task).await,
        Err(unreadable) => Err(unreadable.into()),
    };
    match done {
        Ok(Made { message, direction, status }) => {
            Outcome { message: Some(message), said: verdict(direction, status.state, status.error) }
        }
        Err(problem) => {
            if let Some(cause) = problem.cause() {
                warn!(job.id = %job.id, run.id = %run, cause, "a job's run failed: {cause}");
            }
            Outcome { message: None, said: Err(problem.detail().to_owned()) }
        }
    }
}

/// What became of a run that is over; `None` when it is not, as far as anybody knows.
///
/// # Errors
/// When the database fails.
pub async fn finished(app: &App, run: Run) -> Result<Option<Outcome>, Problem> {
    let Run { status, message_id: message, error_message, .. } = run;
    let said = match (status, message) {
        (RunStatus::Running | RunStatus::Timeout, _) => return Ok(None),
        (RunStatus::Error, _) | (RunStatus::Ok, None) => Err(error_message.unwrap_or_default()),
        (RunStatus::Ok, Some(id)) => {
            let sends = run.action_type == ActionType::ChannelMessage.as_str();
            let direction = if sends { Direction::Out } else { Direction::In };
            let status = app.store.message_status(id).await?;
            // Forgotten by now, so it was done with.
            let (state, error) =
                status.map_or((MessageState::Done, None), |status| (status.state, status.error));
            verdict(direction, state, error)
        }
    };
    Ok(Some(Outcome { message, said }))
}

/// A message that is safe, and where it stands.
struct Made {
    message: MessageId,
    direction: Direction,
    status: MessageStatus,
}

async fn to_person(app: &App, job: &Job, run: Uuid, message: ChannelMessage) -> Result<Made, Problem> {
    let channel = app.store.channel_named(&job.user_id, &message.channel).await?;
    let known = app.channels.get(channel.id).await?.ok_or(claw_store::Error::NoChannel)?;
    let body = message::to_person(message);
    let key = format!("run:{run}");
    // A run is one message, whatever else its job says by the time it is tried again.
    let once = Once { key: Some(&key), digest: signature::sha256(key.as_bytes()) };
    let Dispatched { accepted, status, .. } = dispatch::dispatch(app, &known, Ok(body), once).await?;
    Ok(Made { message: accepted.id(), direction: Direction::Out, status })
}

async fn to_agent(app: &App, job: &Job, run: Uuid, task: AssistantTask) -> Result<Made, Problem> {
    let channel = match &task.delivery {
        Some(delivery) => Some(switched_on(app, &job.user_id, &delivery.channel).await?),
        None => None,
    };
    let of = RunOf { user: &job.user_id, job: job.id, job_name: &job.name, run, scheduled_for: None };
    let key = run.to_string();
    let message = of.to_agent(task, channel.as_ref(), Some(&key), app.shards, &app.ids, &*app.clock)?;
    let shard = message.shard;
    let accepted = intake::accept_one(app, message).await?;
    let status = dispatch::outcome(app, shard, &accepted).await;
    Ok(Made { message: accepted.id(), direction: Direction::In, status })
}

/// The channel by which an answer is to go; were it off, the agent would work for nobody.
async fn switched_on(app: &App, user: &UserId, name: &str) -> Result<Channel, Problem> {
    let channel = app.store.channel_named(user, name).await?;
    dispatch::switched_on(&channel)?;
    Ok(channel)
}

fn verdict(direction: Direction, state: MessageState, reason: Option<String>) -> Result<String, String> {
    let (done, pending) = match direction {
        Direction::Out => ("the message was sent", "the message is stored and will be sent"),
        Direction::In => ("the agent has the task", "the task is stored and will go to the agent"),
    };
    let or = |otherwise: &str| reason.unwrap_or_else(|| otherwise.to_owned());
    match state {
        MessageState::Done => Ok(done.to_owned()),
        MessageState::Pending => Ok(pending.to_owned()),
        MessageState::Uncertain => Ok(or("it was handed to the platform, whose answer never came")),
        MessageState::Failed => Err(or("it was refused")),
        MessageState::Dead => Err(or("every attempt to hand it over failed")),
        MessageState::Discarded => Err(or("it was discarded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_safe_is_ok_and_what_is_over_tells_why() {
        let of = |state| verdict(Direction::Out, state, Some("because".to_owned()));
        assert_eq!(of(MessageState::Done), Ok("the message was sent".to_owned()));
        assert_eq!(of(MessageState::Pending), Ok("the message is stored and will be sent".to_owned()));
        assert_eq!(of(MessageState::Uncertain), Ok("because".to_owned()));
        assert_eq!(of(MessageState::Failed), Err("because".to_owned()));
        assert_eq!(of(MessageState::Dead), Err("because".to_owned()));
        let task = verdict(Direction::In, MessageState::Done, None);
        assert_eq!(task, Ok("the agent has the task".to_owned()));
    }
}
