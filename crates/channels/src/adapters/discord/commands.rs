//! Slash commands, offered by Discord itself (<https://docs.discord.com/developers/interactions/application-commands>).
//!
//! Must hold: what is there already is not registered again. Discord takes 200 new commands in a day, and a bot that registers at
//! every start has none left after a night of restarts.

use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::Discord;
use super::calls::Call;
use crate::{ChannelError, Sink};

/// Limits: <https://docs.discord.com/developers/interactions/application-commands#application-command-object>.
const MAX_COMMANDS: usize = 100;
const MAX_NAME: usize = 32;
const MAX_DESCRIPTION: usize = 100;
/// An option that is a text.
const STRING: u64 = 3;

/// One command, with what is typed behind it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Command {
    name: String,
    description: String,
    /// Of those that Discord tells of: so one that was made by somebody else is no equal of ours.
    #[serde(default)]
    options: Vec<CommandOption>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct CommandOption {
    r#type: u64,
    name: String,
    description: String,
    #[serde(default)]
    required: bool,
}

#[derive(Deserialize)]
struct Application {
    id: String,
}

/// Commands as they are configured, `name: what it does`; the error says what to change.
pub(super) fn read(lines: &[String]) -> Result<Vec<Command>, String> {
    if lines.len() > MAX_COMMANDS {
        return Err(format!("commands has more than the {MAX_COMMANDS} that a bot can have"));
    }
    let mut commands: Vec<Command> = Vec::with_capacity(lines.len());
    for line in lines {
        let command = one(line)?;
        if commands.iter().any(|known| known.name == command.name) {
            return Err(format!("commands has {:?} twice", command.name));
        }
        commands.push(command);
    }
    Ok(commands)
}

fn one(line: &str) -> Result<Command, String> {
    let (name, description) = line.split_once(':').unwrap_or((line, ""));
    let name = name.trim().trim_start_matches('/').to_owned();
    let plain = |c: char| c.is_alphanumeric() && !c.is_uppercase() || matches!(c, '-' | '_');
    let length = name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || !name.chars().all(plain) {
        return Err(format!(
            "commands: {name:?} is no name of a command: it has 1 to {MAX_NAME} lower-case letters, digits, - and _"
        ));
    }
    let description = description.trim();
    let description = if description.is_empty() { name.as_str() } else { description };
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(format!("commands: what {name:?} does is told in at most {MAX_DESCRIPTION} characters"));
    }
    let description = description.to_owned();
    let typed = CommandOption {
        r#type: STRING,
        name: "text".to_owned(),
        description: "What to send along".to_owned(),
        required: false,
    };
    Ok(Command { name, description, options: vec![typed] })
}

/// Registers the channel's commands, if it has some and Discord has others. A refusal is told, and receiving goes on without.
///
/// # Errors
/// When Discord does not know the token.
pub(super) async fn register(bot: &Discord, sink: &dyn Sink) -> Result<(), ChannelError> {
    if bot.commands.is_empty() {
        return Ok(());
    }
    match replace(bot).await {
        Ok(()) => Ok(()),
        Err(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => Err(error),
        Err(error) => {
            warn!(channel.id = %bot.deps.channel_id, "the slash commands were not registered: {error}");
            sink.trouble(Some(&format!("the slash commands were not registered: {error}"))).await;
            Ok(())
        }
    }
}

async fn replace(bot: &Discord) -> Result<(), ChannelError> {
    let application: Application =
        bot.api.ask(&Call::get("get_my_application", &["applications", "@me"])).await?;
    let path = ["applications", application.id.as_str(), "commands"];
    let mut there: Vec<Command> = bot.api.ask(&Call::get("list_application_commands", &path)).await?;
    let mut wanted = bot.commands.clone();
    there.sort_by(|a, b| a.name.cmp(&b.name));
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    if there == wanted {
        return Ok(());
    }
    let body: Value = bot.commands.iter().map(Command::to_json).collect();
    bot.api.act(&Call::put("bulk_set_application_commands", &path, Some(body))).await?;
    info!(channel.id = %bot.deps.channel_id, "{} slash commands were registered", wanted.len());
    Ok(())
}

impl Command {
    fn to_json(&self) -> Value {
        let option = |option: &CommandOption| {
            json!({"type": option.r#type, "name": option.name, "description": option.description,
                "required": option.required})
        };
        let options: Value = self.options.iter().map(option).collect();
        json!({"name": self.name, "description": self.description, "options": options})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_name_and_what_it_does() {
        let read = |line: &str| read(&[line.to_owned()]).map(|mut all| all.remove(0));
        let ask = read(" /ask : Ask: anything ").unwrap();
        assert_eq!((ask.name.as_str(), ask.description.as_str()), ("ask", "Ask: anything"));
        assert_eq!(read("help").unwrap().description, "help");
        for bad in ["", ":", "Ask: x", "a b", &"x".repeat(33), &format!("x:{}", "y".repeat(101))] {
            assert!(read(bad).unwrap_err().starts_with("commands"), "{bad}");
        }
        assert!(super::read(&["a".to_owned(), "a: b".to_owned()]).unwrap_err().contains("twice"));
        assert!(super::read(&vec!["a".to_owned(); 101]).unwrap_err().contains("100"));
    }
}
