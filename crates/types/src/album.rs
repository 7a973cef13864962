//! What makes several messages of a person one: an album, as some platforms call files that are sent and shown together.
//!
//! Such a platform tells each file as a message of its own, in any order, and nothing says how many there will be. Each is
//! accepted by itself. In a channel with `join_albums`, what makes it a part ([`crate::Inbound::album`]) is in its `metadata`, where
//! whoever owns its shard finds it whatever became of the process that took it; in others, each file is a message.

use serde_json::{Map, Value};

/// The key of `metadata` that names the album of a message.
pub const KEY: &str = "album";

/// For how many milliseconds a part waits for the next one. They arrive within some hundred, also at different gateways.
pub const WAIT_MS: u32 = 1_000;

/// The album that a stored message is part of.
pub fn of(metadata: &Map<String, Value>) -> Option<&str> {
    metadata.get(KEY).and_then(Value::as_str).filter(|album| !album.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_album_is_named_by_a_text() {
        let read = |value: Value| of(&Map::from_iter([(KEY.to_owned(), value)])).map(str::to_owned);
        assert_eq!(read(json!("13577")), Some("13577".to_owned()));
        for none in [json!(""), json!(13577), Value::Null] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
        assert_eq!(of(&Map::new()), None);
    }
}
