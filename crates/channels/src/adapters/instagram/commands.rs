//! The menu that people have in the conversation
//! (<https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/persistent-menu>). Instagram has no commands; an
//! entry that is chosen comes as a pressed button, which here says what the command is on other platforms: `/name`.

use serde_json::{Value, json};

use crate::kit::commands::{Command, Rules};
use crate::kit::graph::messaging::offers::Offers;

/// Limits:
/// <https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/persistent-menu>. What a menu says is told
/// for Messenger only; names are our own, so they have the form of Telegram's.
pub(super) const OFFERS: Offers = Offers {
    rules: Rules {
        most: 20,
        name: 32,
        description: 30,
        may_have: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
        characters: "lower-case letters from a to z, digits and _",
    },
    property: "persistent_menu",
    query: &[("platform", "instagram")],
    of: property,
};

fn property(commands: &[Command]) -> Value {
    json!([{"locale": "default", "call_to_actions": commands.iter().map(entry).collect::<Value>()}])
}

fn entry(Command { name, description }: &Command) -> Value {
    json!({"type": "postback", "title": description, "payload": format!("/{name}")})
}
