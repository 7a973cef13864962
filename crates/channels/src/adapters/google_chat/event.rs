//! Interaction events as Google Chat posts them, as far as they are read: in the form of an app of its own
//! (<https://developers.google.com/workspace/chat/api/reference/rest/v1/Event>) or in that of a Workspace add-on
//! (<https://developers.google.com/workspace/add-ons/reference/event-object>), of which the first is made.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The type of the event that the app is in a space from now on.
pub(super) const ADDED: &str = "ADDED_TO_SPACE";
/// Where that stands in the body of an add-on's.
const ADDON_ADDED: &str = "addedToSpacePayload";

/// Whether a body may be such an event: to look closer at few bodies only.
pub(super) fn may_be_added(body: &[u8]) -> bool {
    [ADDED, ADDON_ADDED].iter().any(|name| body.windows(name.len()).any(|part| part == name.as_bytes()))
}

/// Reads a body that is known to be genuine.
pub(super) fn read(body: &[u8]) -> Result<Event, String> {
    let posted: Posted = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no event of Google Chat: {error}"))?;
    posted.understood().ok_or_else(|| "the body is no event of Google Chat: it has no type".to_owned())
}

/// An event in either form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    r#type: Option<String>,
    event_time: Option<String>,
    user: Option<User>,
    space: Option<Space>,
    message: Option<Message>,
    common: Option<Common>,
    action: Option<Action>,
    app_command_metadata: Option<AppCommand>,
    thread: Option<Thread>,
    /// An add-on's; the others are missing then.
    chat: Option<Chat>,
    common_event_object: Option<Common>,
}

/// What an add-on is told of Chat: one of the payloads says what happened.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chat {
    user: Option<User>,
    event_time: Option<String>,
    message_payload: Option<Payload>,
    button_clicked_payload: Option<Payload>,
    app_command_payload: Option<Payload>,
    added_to_space_payload: Option<Payload>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Payload {
    space: Option<Space>,
    message: Option<Message>,
    thread: Option<Thread>,
    app_command_metadata: Option<AppCommand>,
}

impl Posted {
    fn understood(self) -> Option<Event> {
        let common = self.common_event_object;
        if let Some(chat) = self.chat {
            return Some(chat.understood(common));
        }
        Some(Event {
            r#type: self.r#type?,
            time: self.event_time,
            user: self.user,
            space: self.space,
            message: self.message,
            common: self.common,
            action: self.action,
            app_command_metadata: self.app_command_metadata,
            thread: self.thread,
        })
    }
}

impl Chat {
    fn understood(self, common: Option<Common>) -> Event {
        let payloads = [
            ("MESSAGE", self.message_payload),
            ("CARD_CLICKED", self.button_clicked_payload),
            ("APP_COMMAND", self.app_command_payload),
            (ADDED, self.added_to_space_payload),
        ];
        let told = payloads.into_iter().find_map(|(kind, payload)| Some((kind, payload?)));
        // An add-on is told of being added apart from the message by which it was.
        let (kind, payload) = told.unwrap_or(("OTHER", Payload::default()));
        let Payload { space, mut message, thread, app_command_metadata: command } = payload;
        // Where an app of its own gets a message with a command in it, an add-on gets the command with its message.
        let is_written =
            command.as_ref().is_some_and(|command| command.kind.as_deref() == Some("SLASH_COMMAND"));
        if let (true, Some(message), Some(command)) = (is_written, &mut message, &command) {
            message.slash_command.get_or_insert_with(|| json!({"commandId": command.app_command_id}));
        }
        let is_message = is_written && message.is_some();
        Event {
            r#type: if is_message { "MESSAGE" } else { kind }.to_owned(),
            time: self.event_time,
            user: self.user,
            space,
            message,
            common,
            action: None,
            app_command_metadata: command,
            thread,
        }
    }
}

/// An event of an app of its own.
pub(super) struct Event {
    pub(super) r#type: String,
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

#[derive(Default, Deserialize)]
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
    /// When its writer edited it last.
    pub(super) last_update_time: Option<String>,
    pub(super) delete_time: Option<String>,
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
    /// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/AppCommandType>).
    #[serde(rename = "appCommandType")]
    pub(super) kind: Option<String>,
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
