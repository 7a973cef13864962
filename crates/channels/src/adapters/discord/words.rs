//! What a message says in words, so that a backend which reads only text is told something of each: what was written, else what
//! its embeds or components show, what it forwards, the names of its stickers, its poll.

use serde_json::Value;

use super::components;
use super::event::{Message, User};

/// What it is, if nothing is attached.
pub(super) fn kind(message: &Message) -> &'static str {
    if message.stickers().next().is_some() {
        "sticker"
    } else if message.poll.is_some() {
        "poll"
    } else if text(message).is_some() {
        "text"
    } else {
        "other"
    }
}

/// `None` for what has no words.
pub(super) fn text(message: &Message) -> Option<String> {
    let mut lines = said(&message.content, &message.mentions, &message.embeds, &message.components);
    for one in message.forwarded() {
        lines.extend(said(&one.content, &one.mentions, &one.embeds, &one.components));
    }
    lines.extend(message.stickers().map(|sticker| sticker.name.clone()));
    if let Some(poll) = &message.poll {
        let answers = poll.answers.iter().map(|answer| &answer.poll_media);
        lines.extend(std::iter::once(&poll.question).chain(answers).filter_map(|line| line.text.clone()));
    }
    lines.retain(|line| !line.is_empty());
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What was written. Embeds below it are previews of its links; where nothing was written they are what there is to read.
fn said(content: &str, mentions: &[User], embeds: &Value, shown: &Value) -> Vec<String> {
    if !content.is_empty() {
        return vec![readable(content, mentions)];
    }
    let mut lines = Vec::new();
    components::texts(shown, &mut lines);
    for one in embeds.as_array().into_iter().flatten() {
        embed(one, &mut lines);
    }
    lines
}

/// The text with names in place of numbers: `<@42>` is how Discord writes a mention
/// (<https://docs.discord.com/developers/reference#message-formatting>).
pub(super) fn readable(content: &str, mentions: &[User]) -> String {
    let mut text = content.to_owned();
    for user in mentions {
        for mention in [format!("<@{}>", user.id), format!("<@!{}>", user.id)] {
            text = text.replace(&mention, &format!("@{}", user.username));
        }
    }
    text
}

/// <https://docs.discord.com/developers/resources/message#embed-object>
fn embed(embed: &Value, lines: &mut Vec<String>) {
    let texts = [&embed["author"]["name"], &embed["title"], &embed["url"], &embed["description"]];
    lines.extend(texts.into_iter().filter_map(Value::as_str).map(str::to_owned));
    for field in embed["fields"].as_array().into_iter().flatten() {
        let parts = [&field["name"], &field["value"]];
        let parts: Vec<&str> = parts.into_iter().filter_map(Value::as_str).collect();
        lines.push(parts.join(": "));
    }
    lines.extend(embed["footer"]["text"].as_str().map(str::to_owned));
}
