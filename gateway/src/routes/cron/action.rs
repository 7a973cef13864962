//! A job's action as its caller sends it, checked.

use claw_store::Error;
use claw_types::UserId;
use claw_types::job::{Action, ActionType, AssistantTask, ChannelMessage, Delivery};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::NAME_LIMIT;
use crate::app::App;
use crate::body::{self, sentence};
use crate::error::Problem;

/// Longest message and context, in characters: a list shows all of a user's jobs at once.
const TEXT_LIMIT: usize = 20_000;
/// Longest id of a chat, in characters.
const ID_LIMIT: usize = 512;
/// Longest name of a channel.
const CHANNEL_LIMIT: usize = 64;
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
}

/// Reads an action. Whether its channel is there is asked where the job is stored.
///
/// # Errors
/// 400 naming the key that is wrong or missing.
pub fn read(given: &Map<String, Value>) -> Result<Action, Problem> {
    let value = Value::Object(given.clone());
    match ActionType::of(given) {
        Some(ActionType::ChannelMessage) => {
            let message: ChannelMessage = sentence::read_in("action", value)?;
            channel("action.channel", &message.channel)?;
            recipient("action.recipient", &message.recipient)?;
            text("action.message", &message.message)?;
            Ok(Action::Message(message))
        }
        Some(ActionType::AssistantTask) => {
            let task: AssistantTask = sentence::read_in("action", value)?;
            body::printable("action.agent_id", task.agent_id.as_deref().unwrap_or_default(), NAME_LIMIT)?;
            text("action.context", &task.context)?;
            if let Some(Delivery { channel: name, recipient: to, .. }) = &task.delivery {
                channel("action.delivery.channel", name)?;
                recipient("action.delivery.recipient", to)?;
            }
            Ok(Action::Task(task))
        }
        None => {
            let known = ActionType::ALL.map(ActionType::as_str).join(", ");
            Err(Problem::bad_request(format!("\"action.type\" must be one of: {known}")))
        }
    }
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
