//! What a platform can carry: what its adapter declares is done, and what it does not declare is refused or told of.

use claw_types::MediaKind;
use serde_json::{Value, json};

use super::room::{Room, Sent};
use super::server::Asked;
use super::{Found, Outcome, Requirement};
use crate::kit::plan::plan;
use crate::{Caps, Channel, ChannelError};

/// How a feature is tried.
struct Trial {
    /// Whether the platform is said to have it.
    has: bool,
    /// Messages that need it.
    messages: Vec<Value>,
    /// By what name its lack is told; empty where it is refused.
    key: &'static str,
}

pub(super) async fn works(room: &Room<'_>, requirement: Requirement) -> Found {
    if requirement == Requirement::Typing {
        return typing(room).await;
    }
    let trial = trial(room, requirement)?;
    if !trial.has {
        return lacks(room, requirement, &trial);
    }
    let channel = room.channel()?;
    if requirement == Requirement::ReplyTo {
        return points(room, &*channel, &trial).await;
    }
    for extra in &trial.messages {
        let sent = send(room, &*channel, extra).await?;
        arrived(room, extra, &sent)?;
    }
    Ok(Outcome::Met)
}

/// What is answered is named to the platform: by an answer, and by no text that answers nothing.
async fn points(room: &Room<'_>, channel: &dyn Channel, trial: &Trial) -> Found {
    let plain = json!({"text": "hello"});
    let mut tried = vec![(&plain, Vec::new())];
    tried.extend(trial.messages.iter().map(|answer| (answer, vec![room.examinee.answered_as()])));
    for (extra, expected) in tried {
        let sent = send(room, channel, extra).await?;
        arrived(room, extra, &sent)?;
        let named: Vec<String> = sent.bodies.iter().flat_map(|body| room.examinee.answered(body)).collect();
        if named != expected {
            return Err(format!("the platform is told that {extra} answers {named:?} and not {expected:?}"));
        }
    }
    Ok(Outcome::Met)
}

fn trial(room: &Room<'_>, requirement: Requirement) -> Result<Trial, String> {
    use Requirement as R;
    let caps = room.entry.caps;
    let (_, thread) = room.examinee.chat();
    let id = room.examinee.message_id();
    let one = |has, key, message| Ok(Trial { has, messages: vec![message], key });
    let act = |has, act: Value, text: Option<&str>| one(has, "", json!({"act": act, "text": text}));
    let button = |action: Value| {
        let mut button = json!({"text": "Press"});
        if let (Some(button), Some(action)) = (button.as_object_mut(), action.as_object()) {
            button.extend(action.clone());
        }
        json!({"text": "hello", "buttons": [[button]]})
    };
    match requirement {
        R::Text => one(true, "", json!({"text": "**hello** <b> & _you_"})),
        R::Image => Ok(media(room, MediaKind::Image)),
        R::Video => Ok(media(room, MediaKind::Video)),
        R::Audio => Ok(media(room, MediaKind::Audio)),
        R::Voice => Ok(media(room, MediaKind::Voice)),
        R::File => Ok(media(room, MediaKind::File)),
        R::Albums => one(caps.albums.is_some(), "media", albums(room, caps)),
        R::DataButtons => one(caps.buttons.data, "buttons", button(json!({"data": "y"}))),
        R::UrlButtons => one(caps.buttons.url, "buttons", button(json!({"url": "https://example.org/a"}))),
        R::Location => {
            one(caps.location, "location", json!({"location": {"latitude": 48.5, "longitude": -2.25}}))
        }
        R::Poll => one(caps.polls, "poll", json!({"poll": {"question": "q?", "options": ["a", "b"]}})),
        R::ReplyTo => one(caps.reply_to, "reply_to", json!({"text": "hello", "reply_to": id})),
        R::Threads => {
            one(caps.threads, "thread_id", json!({"text": "hello", "thread_id": thread.unwrap_or("1")}))
        }
        R::Edit => act(caps.edit, json!({"type": "edit", "message_id": id}), Some("hello again")),
        R::Delete => act(caps.delete, json!({"type": "delete", "message_ids": [id]}), None),
        R::Reaction => {
            let emoji = room.examinee.reaction();
            act(caps.reactions, json!({"type": "react", "message_id": id, "emoji": emoji}), None)
        }
        other => Err(format!("{} is no feature", other.name())),
    }
}

fn url(room: &Room<'_>, kind: MediaKind) -> String {
    let server = room.server.url();
    match room.platform() {
        Ok(platform) => platform.media_url(&server, kind),
        Err(_) => format!("{server}{}{}", super::server::FILES, kind.as_str()),
    }
}

fn media(room: &Room<'_>, kind: MediaKind) -> Trial {
    let message = json!({"text": "look", "media": [{"kind": kind.as_str(), "url": url(room, kind)}]});
    Trial { has: room.entry.caps.media.contains(&kind), messages: vec![message], key: "media" }
}

/// A message with as much as can be on its way at once: an attachment, where the platform has them.
pub(super) fn laden(room: &Room<'_>) -> Value {
    let kind = room.entry.caps.media.first();
    let message = kind.and_then(|kind| media(room, *kind).messages.pop());
    message.unwrap_or_else(|| json!({"text": "hello"}))
}

fn albums(room: &Room<'_>, caps: &Caps) -> Value {
    let kind = caps.albums.and_then(|albums| albums.groups.first()?.first().copied());
    let kind = kind.or(caps.media.first().copied()).unwrap_or(MediaKind::Image);
    let one = json!({"kind": kind.as_str(), "url": url(room, kind)});
    json!({"media": [one, one]})
}

/// What is said to be beyond the platform is refused, or the sender is told what becomes of it instead.
fn lacks(room: &Room<'_>, requirement: Requirement, trial: &Trial) -> Found {
    for extra in &trial.messages {
        let planned = plan(&room.message(extra)?, room.entry.caps);
        let told = match &planned {
            Err(_) => trial.key.is_empty(),
            Ok(plan) => plan.degraded.iter().any(|degraded| degraded.feature == trial.key),
        };
        if !told {
            return Err(format!("nobody is told that it can't be done: {extra}"));
        }
    }
    reason(room, requirement)
}

/// Why something is missing, which an adapter must say.
pub(super) fn reason(room: &Room<'_>, requirement: Requirement) -> Found {
    let feature = requirement.feature().ok_or_else(|| format!("{} can't be missing", requirement.name()))?;
    let lack = room.entry.caps.lack(feature).ok_or_else(|| {
        format!("{} is missing, and the `lacks` of the adapter's Caps say no reason", feature.name())
    })?;
    Ok(Outcome::lacking(lack))
}

async fn typing(room: &Room<'_>) -> Found {
    let (recipient, thread) = room.examinee.chat();
    let channel = room.channel()?;
    let typed = channel.answering(recipient, thread, room.examinee.message_id()).await;
    if !room.entry.caps.typing {
        return match typed {
            Err(ChannelError::Unsupported(_)) => reason(room, Requirement::Typing),
            other => Err(format!("a sign that the platform is said not to have came to {other:?}")),
        };
    }
    typed.map_err(|error| room.said(&error))?;
    let shown = if room.platform().is_ok() { room.server.asked().len() } else { room.frames().len() };
    if shown == 0 { Err("nobody is shown anything".to_owned()) } else { Ok(Outcome::Met) }
}

async fn send(room: &Room<'_>, channel: &dyn Channel, extra: &Value) -> Result<Sent, String> {
    let message = room.message(extra)?;
    room.send(channel, &message).await.map_err(|error| format!("{extra}: {}", room.said(&error)))
}

fn arrived(room: &Room<'_>, extra: &Value, sent: &Sent) -> Result<(), String> {
    if sent.bodies.is_empty() {
        return Err(format!("nothing was sent of {extra}"));
    }
    if let Some(empty) = sent.receipts.iter().position(|receipt| receipt.platform_message_id.is_empty()) {
        return Err(format!("part {empty} of {extra} has no id"));
    }
    let Ok(platform) = room.platform() else { return Ok(()) };
    sent.asked.iter().try_for_each(|asked| platform.check(asked).map_err(|why| format!("{extra}: {why}")))
}

pub(super) async fn long_text(room: &Room<'_>) -> Found {
    let caps = room.entry.caps;
    // What a person sees as one character is several in every way of counting.
    let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
    let line = format!("a line of words {family} and some more of them\n");
    let lines = 5 * caps.max_text / 2 / caps.unit.count(&line) + 1;
    let text = line.repeat(lines);
    let channel = room.channel()?;
    let sent = send(room, &*channel, &json!({"text": text, "format": "plain"})).await?;
    let texts: Vec<String> = sent.bodies.iter().flat_map(|body| room.examinee.texts(body)).collect();
    if texts.len() < 3 || sent.receipts.len() != texts.len() {
        return Err(format!("{} texts came of {} parts", texts.len(), sent.receipts.len()));
    }
    if let Some(long) = texts.iter().map(|text| caps.unit.count(text)).find(|count| *count > caps.max_text) {
        return Err(format!("a part has {long} {} of at most {}", caps.unit.name(), caps.max_text));
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if words(&texts.join(" ")) != words(&text) {
        return Err("what arrived is not what was sent".to_owned());
    }
    Ok(Outcome::Met)
}

/// The calls by which messages are received, polls among them, and by which what people attached is opened.
async fn read(room: &Room<'_>, channel: &dyn Channel) -> Result<Vec<Asked>, String> {
    let mut asked = Vec::new();
    for payload in room.examinee.payloads() {
        for message in room.read(payload).await? {
            // What lies at an address of its own is not asked of the platform.
            let Some(media) = message.media.filter(|media| !media.handle.contains("http")) else { continue };
            // Whether the platform of the exam has it does not matter, only how it is asked.
            drop(channel.open_media(&media).await);
        }
        asked.extend(room.server.polled());
        asked.extend(room.server.asked());
    }
    Ok(asked)
}

pub(super) async fn calls_are_described(room: &Room<'_>) -> Found {
    let Ok(platform) = room.platform() else {
        return Ok(Outcome::cant("gateways serve people themselves: there is no platform in between"));
    };
    let Some(_) = platform.described_by() else {
        return Ok(Outcome::cant("there is no official description of its calls"));
    };
    let channel = room.channel()?;
    let mut asked = read(room, &*channel).await?;
    channel.probe().await.map_err(|error| room.said(&error))?;
    asked.extend(room.server.asked());
    for requirement in Requirement::ALL.iter().copied() {
        let Ok(trial) = trial(room, requirement) else { continue };
        for extra in trial.messages.iter().filter(|_| trial.has) {
            asked.extend(send(room, &*channel, extra).await?.asked);
        }
    }
    if room.entry.caps.typing {
        let (recipient, thread) = room.examinee.chat();
        let typed = channel.answering(recipient, thread, room.examinee.message_id()).await;
        typed.map_err(|error| room.said(&error))?;
        asked.extend(room.server.asked());
    }
    asked.iter().try_for_each(|asked| platform.check(asked))?;
    if asked.is_empty() { Err("no call was made".to_owned()) } else { Ok(Outcome::Met) }
}
