//! A job's action as its caller sends it, checked.

use claw_channels::kit::guard;
use claw_store::Error;
use claw_types::UserId;
use claw_types::job::{Action, ActionType, AgentWake, AssistantTask, ChannelMessage, Delivery, WebhookCall};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::{METADATA, NAME_LIMIT, bounded};
use crate::app::App;
use crate::body::{self, sentence};
use crate::error::Problem;
use crate::wake;

/// Longest message and context, in characters: a list shows all of a user's jobs at once.
const TEXT_LIMIT: usize = 20_000;
/// Longest id of a chat, in characters.
const ID_LIMIT: usize = 512;
/// Longest name of a channel.
const CHANNEL_LIMIT: usize = 64;
/// Longest URL, in characters.
const URL_LIMIT: usize = 2_000;
/// Most channels that are named to whoever named another one.
const SHOWN: usize = 20;

/// What a job does.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Action)]
#[expect(dead_code, reason = "only its description is used")]
pub enum ActionBody {
    /// Sends a message to a person.
    Message(ChannelMessage),
    /// Gives an agent something to do.
    Task(AssistantTask),
    /// Has an agent hear of something, at once or at the user's next heartbeat.
    Wake(AgentWake),
    /// Posts to a URL, signed with the user's own secret.
    Webhook(WebhookCall),
}

/// Reads an action. Whether its channel is there is asked where the job is stored.
///
/// # Errors
/// 400 naming the key that is wrong or missing.
pub fn read(given: &Map<String, Value>) -> Result<Action, Problem> {
    let value = Value::Object(given.clone());
    match ActionType::of(given) {
        Some(ActionType::ChannelMessage) => message(sentence::read_in("action", value)?),
        Some(ActionType::AssistantTask) => task(sentence::read_in("action", value)?),
        Some(ActionType::Hook) => wake(sentence::read_in("action", value)?),
        Some(ActionType::Webhook) => webhook(sentence::read_in("action", value)?),
        None => {
            let known = ActionType::ALL.map(ActionType::as_str).join(", ");
            Err(Problem::bad_request(format!("\"action.type\" must be one of: {known}")))
        }
    }
}

fn message(message: ChannelMessage) -> Result<Action, Problem> {
    channel("action.channel", &message.channel)?;
    recipient("action.recipient", &message.recipient)?;
    text("action.message", &message.message)?;
    Ok(Action::Message(message))
}

fn task(task: AssistantTask) -> Result<Action, Problem> {
    agent(task.agent_id.as_deref())?;
    text("action.context", &task.context)?;
    if let Some(Delivery { channel: name, recipient: to, .. }) = &task.delivery {
        channel("action.delivery.channel", name)?;
        recipient("action.delivery.recipient", to)?;
    }
    Ok(Action::Task(task))
}

fn wake(wake: AgentWake) -> Result<Action, Problem> {
    agent(wake.agent_id.as_deref())?;
    wake::check_text("action.text", &wake.text)?;
    match (&wake.channel, &wake.recipient) {
        (None, None) => {}
        (Some(name), Some(to)) => {
            channel("action.channel", name)?;
            recipient("action.recipient", to)?;
        }
        (Some(_), None) => {
            return Err(Problem::bad_request(
                "\"action.recipient\" is required with \"action.channel\": the platform's id of the chat",
            ));
        }
        (None, Some(_)) => {
            return Err(Problem::bad_request("\"action.channel\" is required with \"action.recipient\""));
        }
    }
    bounded("action.metadata", wake.metadata.as_ref(), METADATA)?;
    if let Some(metadata) = &wake.metadata {
        wake::check_session("action.metadata", metadata)?;
    }
    Ok(Action::Wake(wake))
}

fn webhook(call: WebhookCall) -> Result<Action, Problem> {
    body::printable("action.url", &call.url, URL_LIMIT)?;
    bounded("action.body", call.body.as_ref(), METADATA)?;
    Ok(Action::Webhook(call))
}

/// Whether what an action calls may be called right now. What it called `before` is not looked at again: a job whose host is gone
/// can still be renamed and switched off.
///
/// # Errors
/// 400 saying why not.
pub async fn callable(app: &App, does: &Action, before: Option<&Map<String, Value>>) -> Result<(), Problem> {
    let Action::Webhook(call) = does else { return Ok(()) };
    let known = before.and_then(|action| Action::read(action).ok());
    if matches!(known, Some(Action::Webhook(known)) if known.url == call.url) {
        return Ok(());
    }
    guard::check(&call.url, app.allow_private)
        .await
        .map_err(|error| Problem::of_url("action.url", &error))?;
    Ok(())
}

fn agent(id: Option<&str>) -> Result<(), Problem> {
    body::printable("action.agent_id", id.unwrap_or_default(), NAME_LIMIT)
}

/// The refusal of a job that can't be stored. One for a channel that is not there says which are.
pub async fn refused(app: &App, user: &UserId, error: Error) -> Problem {
    let Error::NoTarget(name) = &error else { return error.into() };
    match app.store.channels_of(user, None).await {
        Ok(there) if !there.is_empty() => {
            let named: Vec<&str> =
                there.iter().take(SHOWN).map(|status| status.channel.instance.as_str()).collect();
            Problem::bad_request(format!(
                "the user has no channel {name:?}: name one of those that are there: {}",
                named.join(", ")
            ))
        }
        Ok(_) => Problem::bad_request(format!(
            "the user has no channel {name:?}, and no other: configure it first"
        )),
        Err(failed) => failed.into(),
    }
}

fn channel(key: &str, name: &str) -> Result<(), Problem> {
    body::printable(key, name, CHANNEL_LIMIT)?;
    if name.is_empty() {
        return Err(Problem::bad_request(format!(
            "{key:?} is empty: name a channel by its instance_name_id"
        )));
    }
    Ok(())
}

fn recipient(key: &str, id: &str) -> Result<(), Problem> {
    body::printable(key, id, ID_LIMIT)?;
    if id.trim().is_empty() {
        return Err(Problem::bad_request(format!("{key:?} is empty: give the platform's id of the chat")));
    }
    Ok(())
}

fn text(key: &str, text: &str) -> Result<(), Problem> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(Problem::bad_request(format!("{key:?} is empty: give it a text")));
    }
    if length > TEXT_LIMIT {
        return Err(Problem::bad_request(format!(
            "{key:?} has {length} characters; at most {TEXT_LIMIT} are allowed"
        )));
    }
    Ok(())
}
