//! Slash commands, offered by Discord itself (<https://docs.discord.com/developers/interactions/application-commands>).
//!
//! Must hold: what is there already is not registered again. Discord takes 200 new commands in a day, and a bot that registers at
//! every start has none left after a night of restarts.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::{info, warn};

use super::Discord;
use super::calls::Call;
use crate::kit::commands::{Command, Rules};
use crate::{ChannelError, Sink};

/// Limits: <https://docs.discord.com/developers/interactions/application-commands#application-command-object>.
pub(super) const RULES: Rules = Rules {
    most: 100,
    name: 32,
    description: 100,
    may_have: |c| c.is_alphanumeric() && !c.is_uppercase() || matches!(c, '-' | '_'),
    characters: "lower-case letters, digits, - and _",
};
/// An option that is a text.
const STRING: u64 = 3;

/// A command as Discord has it, with what is typed behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SlashCommand {
    name: String,
    description: String,
    /// Of those that Discord tells of: so one that was made by somebody else is no equal of ours.
    #[serde(default)]
    options: Vec<CommandOption>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    let mut there: Vec<SlashCommand> = bot.api.ask(&Call::get("list_application_commands", &path)).await?;
    let mut wanted: Vec<SlashCommand> = bot.commands.iter().map(SlashCommand::of).collect();
    let body = json!(wanted);
    there.sort_by(|a, b| a.name.cmp(&b.name));
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    if there == wanted {
        return Ok(());
    }
    bot.api.act(&Call::put("bulk_set_application_commands", &path, Some(body))).await?;
    info!(channel.id = %bot.deps.channel_id, "{} slash commands were registered", wanted.len());
    Ok(())
}

impl SlashCommand {
    fn of(Command { name, description }: &Command) -> Self {
        let typed = CommandOption {
            r#type: STRING,
            name: "text".to_owned(),
            description: "What to send along".to_owned(),
            required: false,
        };
        Self { name: name.clone(), description: description.clone(), options: vec![typed] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_discord_would_refuse_is_refused() {
        let read = |line: &str| RULES.read(&[line.to_owned()]);
        for good in ["ask-2_x: Ask", "hülfe", &"x".repeat(32), &format!("x:{}", "y".repeat(100))] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["", "Ask: x", "a b", "a.b", &"x".repeat(33), &format!("x:{}", "y".repeat(101))] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("c{n}")).collect();
        assert!(RULES.read(&many[..100]).is_ok() && RULES.read(&many).is_err());
    }
}
