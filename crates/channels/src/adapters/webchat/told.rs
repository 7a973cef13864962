//! What a channel's fields say to the pages that are connected: what visitors may do, and what they are offered to write.
//!
//! A page is told each time that it connects, so one that stays open learns of other fields when its socket is a new one.

use serde_json::{Map, Value};

use super::frames::{Frame, Offered};
use crate::kit::commands::{Command, Rules};

/// What can be offered. The page completes a name up to the first space, so a name has none; the rest of it is as other types have it, so
/// that the same commands can be theirs.
pub const RULES: Rules = Rules {
    most: 100,
    name: 32,
    description: 256,
    may_have: |c| c.is_alphanumeric() && !c.is_uppercase() || matches!(c, '-' | '_'),
    characters: "lower-case letters, digits, - and _",
};

/// Of one channel.
pub struct Told {
    /// What the backend is told of beside messages: the field `events`.
    pub deeds: Vec<String>,
    commands: Vec<Command>,
}

impl Told {
    /// Of a channel whose fields passed [`crate::Adapter::new`]; what an older version let pass counts as absent.
    pub fn of(config: &Map<String, Value>) -> Self {
        let texts = |key: &str| -> Vec<String> {
            let listed = config.get(key).and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self { deeds: texts("events"), commands: RULES.read(&texts("commands")).unwrap_or_default() }
    }

    /// The frame that tells a page.
    pub fn ready(&self) -> String {
        let commands = self.commands.iter().map(Offered::of).collect();
        Frame::Ready { can: &self.deeds, receipts: true, commands }.json()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ready(config: &Value) -> Value {
        serde_json::from_str(&Told::of(config.as_object().unwrap()).ready()).unwrap()
    }

    #[test]
    fn a_page_is_told_what_its_visitor_may_do_and_write() {
        let config = json!({"events": ["edits"], "commands": ["/ask: Ask <b>anything</b>", "hülf"]});
        let commands = json!([{"name": "ask", "description": "Ask <b>anything</b>"},
            {"name": "hülf", "description": "hülf"}]);
        assert_eq!(
            ready(&config),
            json!({"type": "ready", "can": ["edits"], "receipts": true, "commands": commands})
        );
    }

    #[test]
    fn what_makes_no_sense_is_not_told() {
        for commands in [json!(["two words"]), json!("ask"), json!([]), json!(null)] {
            let told = ready(&json!({"commands": commands}));
            assert_eq!(told, json!({"type": "ready", "can": [], "receipts": true}), "{commands}");
        }
    }
}
