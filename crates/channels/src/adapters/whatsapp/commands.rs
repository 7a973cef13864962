//! Commands that WhatsApp offers people when they write `/`
//! (<https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/conversational-components>).
//!
//! Must hold: what else of a number is set by the same call, its ice breakers and whether a greeting is asked for, stays as its owner set
//! it. Meta does not say what becomes of what the call leaves out, so it is given back as it was read.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::WhatsApp;
use crate::ChannelError;
use crate::kit::commands::{Command, Rules, offer};
use crate::kit::graph::api::Twice;

/// Limits: `ConversationalAutomationRequest` and `BotCommand` of Meta's description. The page has 32 characters for a name, and no emoji.
pub(super) const RULES: Rules = Rules {
    most: 30,
    name: 30,
    description: 256,
    may_have: |c| c.is_ascii_alphanumeric() || c == '_',
    characters: "letters from a to z, digits and _",
};

/// Where it is set, and the name of the number's field by which it is read.
const AUTOMATION: &str = "conversational_automation";

#[derive(Deserialize)]
struct Number {
    /// Missing where nothing was ever set.
    conversational_automation: Option<Automation>,
}

#[derive(Default, Deserialize)]
struct Automation {
    commands: Option<Vec<BotCommand>>,
    prompts: Option<Value>,
    enable_welcome_message: Option<Value>,
}

/// A command as WhatsApp has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BotCommand {
    command_name: String,
    command_description: String,
}

impl BotCommand {
    fn of(Command { name, description }: &Command) -> Self {
        Self { command_name: name.clone(), command_description: description.clone() }
    }
}

impl WhatsApp {
    /// Gives the number the channel's commands, if it has some and WhatsApp has others.
    pub(super) async fn offer_commands(&self) {
        offer(self.api.deps().channel_id, &self.commands, self.replace_commands()).await;
    }

    async fn replace_commands(&self) -> Result<bool, ChannelError> {
        let number: Number = self.api.get(&[&self.number], &[("fields", AUTOMATION)]).await?;
        let Automation { commands, prompts, enable_welcome_message } =
            number.conversational_automation.unwrap_or_default();
        let wanted: Vec<BotCommand> = self.commands.iter().map(BotCommand::of).collect();
        if commands.unwrap_or_default() == wanted {
            return Ok(false);
        }
        let mut body = Map::from_iter([("commands".to_owned(), json!(wanted))]);
        let kept = [("prompts", prompts), ("enable_welcome_message", enable_welcome_message)];
        body.extend(kept.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        let path = [self.number.as_str(), AUTOMATION];
        self.api.post::<IgnoredAny>(&path, &Value::Object(body), Twice::Harmless).await?;
        Ok(true)
    }
}
