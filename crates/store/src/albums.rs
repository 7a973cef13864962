//! Albums in groups of which a part was passed on to the backend, because it addresses the bot: the others belong to it, though what was
//! written to one of them is not on them, and though they may come later and to another process.
//!
//! An album is known by a row of `message_keys`, so it is remembered for as long as those and goes with its channel. Only albums in groups
//! where the bot must be addressed have one.

use std::collections::HashSet;

use claw_types::ChannelId;

use crate::{Result, Store};

/// What an album of a conversation is known as within its channel. Always of one length, whatever the platform's ids are.
pub fn key(conversation: &str, album: &str) -> String {
    // The length says where one ends and the other begins.
    let named = format!("{}:{conversation}{album}", conversation.len());
    format!("album:{}", hex::encode(claw_secrets::signature::sha256(named.as_bytes())))
}

impl Store {
    /// Those of these albums ([`key`]) of which a part was passed on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn albums_passed_on(&self, channel: ChannelId, albums: &[String]) -> Result<HashSet<String>> {
        let known: Vec<String> =
            sqlx::query_scalar("select key from message_keys where channel_id = $1 and key = any ($2)")
                .bind(channel.0)
                .bind(albums)
                .fetch_all(&self.pool)
                .await?;
        Ok(known.into_iter().collect())
    }

    /// Takes note of albums ([`key`]) by a part of each that was passed on, beside its key ([`crate::NewMessage::key`]). Comes after
    /// the commit of the parts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn albums_note(&self, channel: ChannelId, parts: &[(String, String)]) -> Result<()> {
        self.keys_add(channel, parts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn albums_of_two_conversations_have_no_key_in_common() {
        assert_eq!(key("room", "7"), key("room", "7"));
        assert_ne!(key("room", "7"), key("roo", "m7"));
        assert_eq!(key(&"x".repeat(100_000), "a\0b").len(), "album:".len() + 64);
    }
}
