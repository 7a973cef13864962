//! A command that somebody gave, as it would be written where platforms have none: `/jobs list all`. Whatever commands the bot has,
//! ours or those that somebody else registered, what was filled in is told
//! (<https://docs.discord.com/developers/interactions/application-commands#application-command-object>).

use serde_json::Value;

use super::event::Attachment;

/// Kinds of options
/// (<https://docs.discord.com/developers/interactions/application-commands#application-command-object-application-command-option-type>).
const SUB_COMMAND: u64 = 1;
const SUB_COMMAND_GROUP: u64 = 2;
const USER: u64 = 6;
const CHANNEL: u64 = 7;
const ROLE: u64 = 8;
const MENTIONABLE: u64 = 9;
const ATTACHMENT: u64 = 11;

/// Its words and the first of the files that were given along.
pub(super) fn read(data: &Value) -> Option<(String, Option<Attachment>)> {
    let mut given = Given { resolved: &data["resolved"], words: Vec::new(), files: Vec::new() };
    given.words.push(format!("/{}", data["name"].as_str()?));
    given.options(&data["options"]);
    // Of a command in the menu of a message or a person: which one.
    if let Some(target) = data["target_id"].as_str() {
        let message = given.resolved["messages"][target]["content"].as_str().map(str::to_owned);
        given.words.extend(message.or_else(|| given.user(target)));
    }
    Some((given.words.join(" "), given.files.into_iter().next()))
}

struct Given<'a> {
    /// What Discord tells of those that are named by their numbers.
    resolved: &'a Value,
    words: Vec<String>,
    files: Vec<Attachment>,
}

impl Given<'_> {
    fn options(&mut self, options: &Value) {
        for option in options.as_array().into_iter().flatten() {
            if matches!(option["type"].as_u64(), Some(SUB_COMMAND | SUB_COMMAND_GROUP)) {
                self.words.extend(option["name"].as_str().map(str::to_owned));
                self.options(&option["options"]);
            } else {
                let word = self.word(option);
                self.words.extend(word);
            }
        }
    }

    /// What was filled in, with a name in place of a number where there is one.
    fn word(&mut self, option: &Value) -> Option<String> {
        let id = option["value"].as_str().unwrap_or_default();
        let named = match option["type"].as_u64() {
            Some(USER) => self.user(id),
            Some(ROLE) => self.named("roles", "name", '@', id),
            Some(MENTIONABLE) => self.user(id).or_else(|| self.named("roles", "name", '@', id)),
            Some(CHANNEL) => self.named("channels", "name", '#', id),
            Some(ATTACHMENT) => self.file(id),
            _ => None,
        };
        named.or_else(|| match &option["value"] {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        })
    }

    fn user(&self, id: &str) -> Option<String> {
        self.named("users", "username", '@', id)
    }

    fn named(&self, kind: &str, key: &str, sign: char, id: &str) -> Option<String> {
        Some(format!("{sign}{}", self.resolved[kind][id][key].as_str()?))
    }

    fn file(&mut self, id: &str) -> Option<String> {
        let file: Attachment = serde_json::from_value(self.resolved["attachments"][id].clone()).ok()?;
        let name = file.filename.clone();
        self.files.push(file);
        name
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(data: &Value) -> String {
        read(data).unwrap().0
    }

    #[test]
    fn what_was_filled_in_is_written_behind_the_command() {
        let text = json!({"type": 3, "name": "text", "value": "a b"});
        assert_eq!(words(&json!({"name": "ask", "options": [text]})), "/ask a b");
        let inner =
            json!([{"type": 4, "name": "n", "value": 3}, {"type": 5, "name": "all", "value": true}, text]);
        let list = json!([{"type": 1, "name": "list", "options": inner}]);
        assert_eq!(words(&json!({"name": "jobs", "options": list})), "/jobs list 3 true a b");
        let group = json!([{"type": 2, "name": "old", "options": list}]);
        assert_eq!(words(&json!({"name": "jobs", "options": group})), "/jobs old list 3 true a b");
        assert_eq!(words(&json!({"name": "ask"})), "/ask");
        assert_eq!(read(&json!({})).map(drop), None);
    }

    #[test]
    fn numbers_become_names_where_discord_tells_them() {
        let resolved = json!({"users": {"1": {"username": "ada"}}, "roles": {"2": {"name": "team"}},
            "channels": {"3": {"name": "general"}},
            "attachments": {"4": {"id": "4", "filename": "a.png", "content_type": "image/png", "url": "https://example.org/a.png"}}});
        let options: Value = [(6, "1"), (8, "2"), (9, "2"), (9, "1"), (7, "3"), (11, "4"), (6, "5")]
            .into_iter()
            .map(|(kind, value)| json!({"type": kind, "name": "x", "value": value}))
            .collect();
        let (words, file) = read(&json!({"name": "c", "resolved": resolved, "options": options})).unwrap();
        assert_eq!(words, "/c @ada @team @team @ada #general a.png 5");
        assert_eq!(file.unwrap().url, "https://example.org/a.png");
    }

    #[test]
    fn a_command_of_a_menu_tells_what_it_was_given_for() {
        let resolved =
            json!({"messages": {"7": {"content": "read this"}}, "users": {"8": {"username": "ada"}}});
        let of = |target: &str| words(&json!({"name": "Sum up", "target_id": target, "resolved": resolved}));
        assert_eq!(
            (of("7"), of("8"), of("9")),
            ("/Sum up read this".into(), "/Sum up @ada".into(), "/Sum up".into())
        );
    }
}
