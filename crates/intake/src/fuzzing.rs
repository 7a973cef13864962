//! Doors for fuzzing: what reads people's words, without the database behind it. The targets of `make fuzz-parsers` are their only
//! callers.

use claw_types::Inbound;
use serde_json::{Value, json};

use crate::addressed::Names;
use crate::pairing;

/// A text as an owner's order, as a code, and as one that may name the bot; its first line is a name that the channel has.
///
/// # Panics
/// When a text that is nothing but the name does not name the bot.
pub fn words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    pairing::fuzz(&text);
    let name = text.lines().next().unwrap_or_default();
    let Value::Object(config) = json!({ "mention_patterns": [name] }) else { return };
    let names = Names::of(&config);
    let of_group = |text: &str| Inbound {
        is_group: true,
        mentioned: Some(false),
        text: Some(text.to_owned()),
        ..Inbound::default()
    };
    let mut messages = [of_group(&text), of_group(name)];
    names.address(&mut messages);
    let is_addressed = messages[1].mentioned == Some(true);
    assert_eq!(is_addressed, !name.trim().is_empty(), "{name:?} names itself");
}
