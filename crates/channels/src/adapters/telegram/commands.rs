//! Commands that Telegram offers people, by a menu and while they type (<https://core.telegram.org/bots/api#setmycommands>).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Telegram;
use crate::ChannelError;
use crate::kit::commands::{Command, Rules, offer};

/// Limits: <https://core.telegram.org/bots/api#setmycommands> and <https://core.telegram.org/bots/api#botcommand>.
pub(super) const RULES: Rules = Rules {
    most: 100,
    name: 32,
    description: 256,
    may_have: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
    characters: "lower-case letters from a to z, digits and _",
};

/// A command as Telegram has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BotCommand {
    command: String,
    description: String,
}

impl BotCommand {
    fn of(Command { name, description }: &Command) -> Self {
        Self { command: name.clone(), description: description.clone() }
    }
}

impl Telegram {
    /// Gives the bot the channel's commands, if it has some and Telegram has others.
    pub(super) async fn offer_commands(&self) {
        offer(self.deps.channel_id, &self.commands, self.replace_commands()).await;
    }

    async fn replace_commands(&self) -> Result<bool, ChannelError> {
        let wanted: Vec<BotCommand> = self.commands.iter().map(BotCommand::of).collect();
        if self.api.commands().await? == wanted {
            return Ok(false);
        }
        self.api.set_commands(&json!({"commands": wanted})).await?;
        Ok(true)
    }
}
