//! Interaction events as Google Chat posts them, as far as they are read
//! (<https://developers.google.com/workspace/chat/api/reference/rest/v1/Event>).

use serde::Deserialize;
use serde_json::{Map, Value};

/// Reads a body that is known to be genuine.
pub(super) fn read(body: &[u8]) -> Result<Event, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is no event of Google Chat: {error}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) r#type: String,
    #[serde(rename = "eventTime")]
    pub(super) time: Option<String>,
    pub(super) user: Option<User>,
    pub(super) space: Option<Space>,
    pub(super) message: Option<Message>,
    /// What a pressed button sends.
    pub(super) common: Option<Common>,
    /// The same, where it is of an older form.
    pub(super) action: Option<Action>,
    pub(super) app_command_metadata: Option<AppCommand>,
    pub(super) thread: Option<Thread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) email: Option<String>,
    /// `HUMAN` or `BOT`.
    pub(super) r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Space {
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    /// `DM` or `ROOM`; of an older form than `kind`.
    pub(super) r#type: Option<String>,
    /// `DIRECT_MESSAGE`, `GROUP_CHAT` or `SPACE`.
    #[serde(rename = "spaceType")]
    pub(super) kind: Option<String>,
    /// Whether messages are in threads.
    #[serde(rename = "spaceThreadingState")]
    pub(super) threading: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) sender: Option<User>,
    pub(super) create_time: Option<String>,
    pub(super) text: Option<String>,
    /// The text without mentions of the app and without its command.
    pub(super) argument_text: Option<String>,
    pub(super) thread: Option<Thread>,
    /// Whether it answers within a thread.
    pub(super) thread_reply: Option<bool>,
    pub(super) space: Option<Space>,
    /// Read one by one: what can't be read must not hide the others.
    pub(super) annotations: Option<Vec<Value>>,
    pub(super) attachment: Option<Vec<Value>>,
    pub(super) quoted_message_metadata: Option<Quoted>,
    pub(super) slash_command: Option<Value>,
    #[serde(default)]
    pub(super) cards_v2: Value,
}

#[derive(Deserialize)]
pub(super) struct Thread {
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Quoted {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Common {
    pub(super) parameters: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) struct Action {
    pub(super) parameters: Option<Vec<Parameter>>,
}

#[derive(Deserialize)]
pub(super) struct Parameter {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppCommand {
    /// A number, as a number or in quotes.
    pub(super) app_command_id: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Annotation {
    pub(super) user_mention: Option<Mention>,
    pub(super) slash_command: Option<SlashCommand>,
}

#[derive(Deserialize)]
pub(super) struct Mention {
    pub(super) user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlashCommand {
    pub(super) command_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub(super) content_name: Option<String>,
    #[serde(default)]
    pub(super) content_type: String,
    /// What Chat keeps; what is on Drive is not handed out to apps.
    #[serde(rename = "attachmentDataRef")]
    pub(super) data: Option<DataRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataRef {
    pub(super) resource_name: Option<String>,
}
