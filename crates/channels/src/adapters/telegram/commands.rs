//! Commands that Telegram offers people, by a menu and while they type (<https://core.telegram.org/bots/api#setmycommands>).
//!
//! Must hold: what is there already is not set again, or a channel that is started over and over would be locked out; a channel
//! without commands leaves those alone that its owner gave the bot elsewhere.

use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::Telegram;
use crate::ChannelError;

/// Limits: <https://core.telegram.org/bots/api#setmycommands> and <https://core.telegram.org/bots/api#botcommand>.
const MAX_COMMANDS: usize = 100;
const MAX_NAME: usize = 32;
const MAX_DESCRIPTION: usize = 256;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Command {
    command: String,
    description: String,
}

/// Commands as they are configured, `name: what it does`.
///
/// # Errors
/// [`ChannelError::Config`] for what Telegram would refuse.
pub(super) fn read(lines: &[String]) -> Result<Vec<Command>, ChannelError> {
    if lines.len() > MAX_COMMANDS {
        return Err(ChannelError::Config(format!(
            "commands has more than the {MAX_COMMANDS} that a bot can have"
        )));
    }
    let mut commands: Vec<Command> = Vec::with_capacity(lines.len());
    for line in lines {
        let command = one(line)?;
        if commands.iter().any(|known| known.command == command.command) {
            return Err(ChannelError::Config(format!("commands has {:?} twice", command.command)));
        }
        commands.push(command);
    }
    Ok(commands)
}

fn one(line: &str) -> Result<Command, ChannelError> {
    let (name, description) = line.split_once(':').unwrap_or((line, ""));
    let name = name.trim().trim_start_matches('/');
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(ChannelError::Config(format!(
            "commands: {name:?} is no name of a command: it has 1 to {MAX_NAME} lower-case letters from a to z, digits and _"
        )));
    }
    let description = Some(description.trim()).filter(|text| !text.is_empty()).unwrap_or(name);
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(ChannelError::Config(format!(
            "commands: what {name:?} does is told in at most {MAX_DESCRIPTION} characters"
        )));
    }
    Ok(Command { command: name.to_owned(), description: description.to_owned() })
}

impl Telegram {
    /// Gives the bot the channel's commands, if it has some and Telegram has others. A refusal is logged, and receiving goes on
    /// without: people can write them all the same.
    pub(super) async fn offer_commands(&self) {
        if self.commands.is_empty() {
            return;
        }
        if let Err(error) = self.replace_commands().await {
            warn!(channel.id = %self.deps.channel_id, "the bot's commands are not set: {error}");
        }
    }

    async fn replace_commands(&self) -> Result<(), ChannelError> {
        if self.api.commands().await? == self.commands {
            return Ok(());
        }
        let one = |Command { command, description }: &Command| json!({"command": command, "description": description});
        let commands: Value = self.commands.iter().map(one).collect();
        self.api.set_commands(&json!({"commands": commands})).await?;
        info!(channel.id = %self.deps.channel_id, "the bot has {} commands", self.commands.len());
        Ok(())
    }
}
