//! Whether what was written in a room of several people is meant for the bot.
//!
//! Programs of today say so beside the text (<https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions>); older ones
//! write the name, as a link or not. A person who types the name at the beginning without choosing it from a list means the bot, too,
//! although their program says that nobody is mentioned.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The bot as a room knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// Its id, like `@bot:example.org`.
    pub(super) id: &'a str,
    /// The name that people see there.
    pub(super) name: Option<&'a str>,
}

impl<'a> Own<'a> {
    /// Whether a message's content addresses the bot. `body` and `html` are its two forms without what it quotes: who answers somebody that
    /// named the bot does not name it.
    pub(super) fn is_addressed_by(self, content: &Value, body: &str, html: &str) -> bool {
        let told = content.get("m.mentions").filter(|told| told.is_object());
        let listed = told.and_then(|told| told["user_ids"].as_array());
        if listed.is_some_and(|ids| ids.iter().any(|id| id == self.id)) {
            return true;
        }
        if self.is_linked_in(html) || has_word(body, self.id) {
            return true;
        }
        let is_named = |name: &str| match told {
            Some(_) => begins_with(body, name),
            None => has_word(body, name),
        };
        self.names().any(is_named)
    }

    /// What people call it: by its name, or by its id without the server.
    fn names(self) -> impl Iterator<Item = &'a str> {
        let local = self.id.strip_prefix('@').and_then(|id| id.split(':').next());
        self.name.into_iter().chain(local).filter(|name| !name.trim().is_empty())
    }

    /// As a link that clients show as a person (<https://spec.matrix.org/latest/appendices/#uris>).
    fn is_linked_in(self, html: &str) -> bool {
        let html = percent_decode_str(html).decode_utf8_lossy();
        let bare = self.id.trim_start_matches('@');
        [format!("https://matrix.to/#/{}", self.id), format!("matrix:u/{bare}")].iter().any(|link| {
            html.match_indices(link.as_str())
                .any(|(at, _)| html[at + link.len()..].starts_with(['"', '\'', '?']))
        })
    }
}

/// Whether a text has this name, and not only within another word. Letters count alike whether they are capital or not.
fn has_word(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let bounds = |at: usize| {
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    text.match_indices(&name).any(|(at, _)| bounds(at))
}

/// Whether a text begins with this name, as when one calls somebody.
fn begins_with(text: &str, name: &str) -> bool {
    let text = text.trim_start().trim_start_matches(['@', '!']).to_lowercase();
    let rest = text.strip_prefix(&name.to_lowercase());
    rest.is_some_and(|rest| !rest.chars().next().is_some_and(is_word))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The people whom a text of ours names by their ids, like `@ada:example.org`: they are told of it.
pub(super) fn named_in(text: &str) -> Vec<&str> {
    /// More would be a list, and not a message to them.
    const MOST: usize = 20;
    let words = text.split(|c: char| c.is_whitespace() || "()[]<>\"'`,;*".contains(c));
    let mut named: Vec<_> =
        words.map(|word| word.trim_end_matches(['.', ':', '!', '?'])).filter(|word| is_id(word)).collect();
    named.sort_unstable();
    named.dedup();
    named.truncate(MOST);
    named
}

/// Whether it is a person's id (<https://spec.matrix.org/latest/appendices/#user-identifiers>).
pub(super) fn is_id(text: &str) -> bool {
    let Some((local, server)) = text.strip_prefix('@').and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let of = |text: &str, signs: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
    };
    text.len() <= 255 && of(local, "._=/+-") && of(server, ".-:[]")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn addressed(content: Value) -> bool {
        let Value::Object(content) = content else { panic!("an object") };
        let text = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (body, html) = (text("body"), text("formatted_body"));
        let own = Own { id: "@helper:example.org", name: Some("Helper Bot") };
        own.is_addressed_by(&Value::Object(content), &body, &html)
    }

    #[test]
    fn what_programs_say_beside_the_text_counts() {
        let with = |ids: Value, body: &str| json!({"body": body, "m.mentions": ids});
        assert!(addressed(with(json!({"user_ids": ["@ada:example.org", "@helper:example.org"]}), "hi")));
        assert!(!addressed(with(json!({"user_ids": ["@ada:example.org"]}), "ask the helper bot")));
        assert!(!addressed(with(json!({"room": true}), "hello all")));
        for called in ["Helper Bot: hi", "@helper hi", "helper, are you there?", "helper bot"] {
            assert!(addressed(with(json!({}), called)), "{called}");
        }
        assert!(!addressed(with(json!({}), "helpers are nice")));
    }

    #[test]
    fn older_programs_write_the_name_or_a_link() {
        for body in ["so, Helper Bot, what now?", "thanks @helper:example.org!", "is helper here?"] {
            assert!(addressed(json!({"body": body})), "{body}");
        }
        for body in ["a helperbot", "helpers", "nobody", "@helper2:example.org"] {
            assert!(!addressed(json!({"body": body})), "{body}");
        }
        for link in [
            "https://matrix.to/#/@helper:example.org",
            "https://matrix.to/#/%40helper%3Aexample.org",
            "matrix:u/helper:example.org",
        ] {
            let html = format!("<a href=\"{link}\">x</a> hi");
            assert!(addressed(json!({"body": "x hi", "formatted_body": html})), "{link}");
        }
        let other = "<a href=\"https://matrix.to/#/@helper:example.org.evil.org\">x</a>";
        assert!(!addressed(json!({"body": "x", "formatted_body": other})));
    }

    #[test]
    fn people_are_named_by_their_ids_only() {
        let text = "ask @ada:example.org, (@bob:b.org:8448) or @ada; mail x@y.org. @ada:example.org!";
        assert_eq!(named_in(text), ["@ada:example.org", "@bob:b.org:8448"]);
    }
}
