//! What Slack sends, by whichever road: events (<https://docs.slack.dev/apis/events-api>), slash commands
//! (<https://docs.slack.dev/interactivity/implementing-slash-commands>) and pressed buttons
//! (<https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>). Over a socket each comes as JSON in an envelope that says
//! which it is; posted, an event is JSON and the other two are forms.

use claw_types::{Inbound, Sender};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::event;
use super::message::{at, is_direct, session};

/// Bytes of a question; Slack's have some hundred.
const MAX_QUESTION: usize = 4096;

/// Slack asks whether an address is ours.
#[derive(Deserialize)]
struct Question {
    r#type: String,
    challenge: String,
}

/// Somebody wrote a command.
#[derive(Deserialize)]
struct Command {
    /// With its slash.
    #[serde(rename = "command")]
    name: String,
    #[serde(default)]
    text: String,
    channel_id: String,
    channel_name: Option<String>,
    user_id: String,
    user_name: Option<String>,
    team_id: Option<String>,
    trigger_id: Option<String>,
}

/// Somebody pressed something.
#[derive(Deserialize)]
struct Interaction<'a> {
    r#type: String,
    user: User,
    team: Option<Id>,
    channel: Option<Channel>,
    message: Option<Below>,
    /// Each is read by itself: one of another kind must not hide the others.
    #[serde(borrow, default)]
    actions: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    name: Option<String>,
}

/// The message below which the button stands.
#[derive(Deserialize)]
struct Below {
    ts: String,
    thread_ts: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "action_id")]
    id: String,
    /// When it was pressed.
    #[serde(rename = "action_ts")]
    ts: String,
    /// None on a button that opens an address.
    value: Option<String>,
    text: Option<Words>,
    /// What was chosen from a menu (<https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element>).
    selected_option: Option<Chosen>,
}

#[derive(Deserialize)]
struct Chosen {
    value: String,
    text: Option<Words>,
}

#[derive(Deserialize)]
struct Words {
    text: String,
}

/// Reads a body that is known to be genuine. `is_form`: as its content type says.
pub(super) fn posted(body: &[u8], is_form: bool) -> Result<Vec<Inbound>, String> {
    if !is_form {
        return event::read(body).map_err(|error| format!("the body is not Slack's: {error}"));
    }
    let fields: Vec<_> = form_urlencoded::parse(body).collect();
    if let Some((_, payload)) = fields.iter().find(|(key, _)| key == "payload") {
        return interaction(payload).map_err(|error| format!("the field payload is not Slack's: {error}"));
    }
    let fields: Map<_, _> = fields.into_iter().map(|(key, value)| (key.into_owned(), json!(value))).collect();
    let command = serde_json::from_value(Value::Object(fields));
    let command: Command = command.map_err(|error| format!("the form is not one of Slack's: {error}"))?;
    Ok(vec![command.inbound()])
}

/// Whether a body may be a question for [`challenge`]: told without reading it, because it is not known yet whether it is Slack's.
pub(super) fn may_be_challenge(body: &[u8]) -> bool {
    const TYPE: &[u8] = b"\"url_verification\"";
    body.len() <= MAX_QUESTION && body.windows(TYPE.len()).any(|part| part == TYPE)
}

/// What Slack asks to be told, where it only asks whether the address is ours
/// (<https://docs.slack.dev/reference/events/url_verification>).
pub(super) fn challenge(body: &[u8]) -> Option<String> {
    let asked: Question = serde_json::from_slice(body).ok()?;
    (asked.r#type == "url_verification").then_some(asked.challenge)
}

/// Reads what came over a socket; nothing, where an envelope of this kind is none of ours.
pub(super) fn enveloped(kind: &str, payload: &str) -> serde_json::Result<Vec<Inbound>> {
    match kind {
        "events_api" => event::read(payload.as_bytes()),
        "slash_commands" => Ok(vec![serde_json::from_str::<Command>(payload)?.inbound()]),
        "interactive" => interaction(payload),
        _ => Ok(Vec::new()),
    }
}

impl Command {
    /// The command as the person's message. It is not seen in the chat, and has no id but that of the press of the key.
    fn inbound(self) -> Inbound {
        let is_direct = is_direct(&self.channel_id);
        let mut metadata = session(&self.channel_id, None);
        let optional = [
            ("channel_name", self.channel_name.filter(|_| !is_direct)),
            ("username", self.user_name.clone()),
            ("team_id", self.team_id),
            ("command", Some(self.name.clone())),
        ];
        metadata
            .extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
        let text = format!("{} {}", self.name, self.text);
        Inbound {
            dedup_key: self.trigger_id.map(|trigger| format!("command:{trigger}")),
            sender: Some(Sender {
                display_name: self.user_name.unwrap_or_else(|| self.user_id.clone()),
                platform_id: self.user_id,
                internal_user: None,
            }),
            content_type: "text".to_owned(),
            text: Some(text.trim_end().to_owned()),
            is_group: !is_direct,
            // It is a command of the app's.
            mentioned: Some(true),
            recipient: self.channel_id,
            metadata,
            ..Inbound::default()
        }
    }
}

/// The buttons that were pressed, each as a message of the person's; what is pressed elsewhere than below a message has no chat to
/// answer to.
fn interaction(payload: &str) -> serde_json::Result<Vec<Inbound>> {
    let pressed: Interaction<'_> = serde_json::from_str(payload)?;
    if pressed.r#type != "block_actions" {
        return Ok(Vec::new());
    }
    let (Some(channel), Some(below)) = (&pressed.channel, &pressed.message) else { return Ok(Vec::new()) };
    let actions =
        pressed.actions.iter().filter_map(|action| serde_json::from_str::<Action>(action.get()).ok());
    Ok(actions.filter_map(|action| button(&pressed, channel, below, action)).collect())
}

fn button(pressed: &Interaction<'_>, channel: &Channel, below: &Below, action: Action) -> Option<Inbound> {
    let (data, words) = match action.selected_option {
        Some(chosen) => (chosen.value, chosen.text),
        None => (action.value?, action.text),
    };
    let user = &pressed.user;
    let name = user.name.as_ref().or(user.username.as_ref());
    let is_direct = is_direct(&channel.id);
    let mut metadata = session(&channel.id, below.thread_ts.as_deref());
    let optional = [
        ("callback_data", Some(data.clone())),
        ("message_id", Some(below.ts.clone())),
        ("button_text", words.map(|words| words.text)),
        ("channel_name", channel.name.clone().filter(|_| !is_direct)),
        ("username", user.username.clone()),
        ("team_id", pressed.team.as_ref().map(|team| team.id.clone())),
    ];
    metadata.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    // The same button may be pressed again, and several people may press it at once.
    let press = format!("{}:{}:{}:{}:{}", channel.id, below.ts, user.id, action.id, action.ts);
    Some(Inbound {
        platform_message_id: Some(action.ts.clone()),
        dedup_key: Some(format!("button:{press}")),
        sender: Some(Sender {
            platform_id: user.id.clone(),
            display_name: name.unwrap_or(&user.id).clone(),
            internal_user: None,
        }),
        content_type: "button".to_owned(),
        text: Some(data),
        is_group: !is_direct,
        // It is a button of the bot's.
        mentioned: Some(true),
        timestamp: at(&action.ts),
        recipient: channel.id.clone(),
        thread_id: below.thread_ts.clone(),
        metadata,
        ..Inbound::default()
    })
}
