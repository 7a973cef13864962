//! Sessions of the gateway: what is needed to go on with them, by whoever has the channel then. They are the channel's cursor.

use serde::{Deserialize, Serialize};

use super::frame::Event;
use crate::{ChannelError, Sink};

/// Connections of one channel at most: each takes memory, and who chose `api_url` may have chosen a server that wants a million.
/// Discord has bots in more than 150,000 servers sharded in another way
/// (<https://docs.discord.com/developers/events/gateway#sharding-for-large-bots>), and recommends a shard for about 1,000.
pub(crate) const MAX_SHARDS: usize = 256;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Its id.
    pub(crate) id: String,
    /// Where it is to be resumed.
    pub(crate) url: String,
    /// The last event that was committed.
    pub(crate) seq: u64,
    /// The bot's own user id, which only the beginning of a session tells.
    pub(crate) bot: String,
    /// What it was begun with: bot, server and intents. A session keeps its intents for ever, and its address is not to get another
    /// server's token.
    pub(crate) key: String,
}

/// What of the event `READY` is kept (<https://docs.discord.com/developers/events/gateway-events#ready>).
#[derive(Deserialize)]
struct Ready {
    session_id: String,
    resume_gateway_url: String,
    user: Own,
}

#[derive(Deserialize)]
struct Own {
    id: String,
}

impl Session {
    /// Of a cursor that is one session; one that can't be read is none.
    fn read(cursor: &str) -> Option<Self> {
        serde_json::from_str(cursor).ok()
    }

    /// Of the event with which it begins.
    pub(crate) fn begun(event: Event<'_>, key: &str) -> Option<Self> {
        let ready: Ready = serde_json::from_str(event.data).ok()?;
        Some(Self {
            id: ready.session_id,
            url: ready.resume_gateway_url,
            seq: event.seq,
            bot: ready.user.id,
            key: key.to_owned(),
        })
    }
}

/// What the database has of a bot's sessions, one for each of its shards.
pub(crate) struct Stored {
    /// Held while it is written, so that of two shards the one with less does not write last.
    sessions: tokio::sync::Mutex<Vec<Option<Session>>>,
}

/// Sessions as they are stored when there are several. One alone is stored as itself: versions that know no shards read it, too.
#[derive(Serialize, Deserialize)]
struct Cursor {
    sessions: Vec<Option<Session>>,
}

/// The sessions of a stored cursor, in the order of their shards; those of another key, and what can't be read, are none. There is
/// one shard at least.
pub(crate) fn read(cursor: Option<&str>, key: &str) -> Vec<Option<Session>> {
    let Some(cursor) = cursor else { return vec![None] };
    let mut sessions = match serde_json::from_str::<Cursor>(cursor) {
        Ok(cursor) => cursor.sessions,
        Err(_) => vec![Session::read(cursor)],
    };
    for session in &mut sessions {
        session.take_if(|session| session.key != key);
    }
    // Without any, Discord says anew how many there are to be.
    let is_known = sessions.len() <= MAX_SHARDS && sessions.iter().any(Option::is_some);
    if is_known { sessions } else { vec![None] }
}

/// Their cursor.
fn written(sessions: &[Option<Session>]) -> Result<String, ChannelError> {
    let cursor = match sessions {
        [Some(one)] => serde_json::to_string(one),
        several => serde_json::to_string(&Cursor { sessions: several.to_vec() }),
    };
    cursor.map_err(|error| ChannelError::Permanent(format!("the session can't be written: {error}")))
}

impl Stored {
    /// Of what was [`read`].
    pub(crate) fn new(sessions: Vec<Option<Session>>) -> Self {
        Self { sessions: tokio::sync::Mutex::new(sessions) }
    }

    /// As many sessions as there are shards from now on, all of which are still to begin.
    pub(crate) async fn renumbered(&self, shards: usize) {
        *self.sessions.lock().await = vec![None; shards];
    }

    /// Brings the database up to date with one shard's session. Not with each event: those that come again are known by their ids,
    /// and a session that is gone is not worth a write.
    pub(crate) async fn save(
        &self,
        sink: &dyn Sink,
        shard: usize,
        session: Option<&Session>,
    ) -> Result<(), ChannelError> {
        let Some(session) = session else { return Ok(()) };
        let mut stored = self.sessions.lock().await;
        if stored.get(shard).is_none_or(|known| known.as_ref() == Some(session)) {
            return Ok(());
        }
        let mut now = stored.clone();
        now[shard] = Some(session.clone());
        sink.save_cursor(written(&now)?).await?;
        *stored = now;
        Ok(())
    }

    /// The same with all of them.
    pub(crate) async fn save_all(
        &self,
        sink: &dyn Sink,
        sessions: &[Option<Session>],
    ) -> Result<(), ChannelError> {
        let mut stored = self.sessions.lock().await;
        if *stored == sessions || sessions.iter().all(Option::is_none) {
            return Ok(());
        }
        sink.save_cursor(written(sessions)?).await?;
        *stored = sessions.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, seq: u64) -> Session {
        let text = |text: &str| text.to_owned();
        Session { id: text(id), url: text("wss://a"), seq, bot: text("1"), key: text("k") }
    }

    /// What versions without shards have written, and can still read.
    #[test]
    fn one_session_is_stored_as_it_always_was() {
        let stored = r#"{"id":"s","url":"wss://a","seq":5,"bot":"1","key":"k"}"#;
        assert_eq!(read(Some(stored), "k"), [Some(session("s", 5))]);
        assert_eq!(written(&[Some(session("s", 5))]).unwrap(), stored);
        assert_eq!(read(Some(stored), "another"), [None]);
    }

    #[test]
    fn several_sessions_are_read_as_they_were_written() {
        let several = [Some(session("a", 5)), None, Some(session("c", 7))];
        let stored = written(&several).unwrap();
        assert_eq!(read(Some(&stored), "k"), several);
        assert_eq!(read(Some(&stored), "another"), [None], "Discord is asked how many there are to be");
    }

    #[test]
    fn what_is_no_cursor_is_one_session_to_begin() {
        let many = format!(r#"{{"sessions": [{}null]}}"#, "null,".repeat(MAX_SHARDS));
        for odd in [None, Some(""), Some("{}"), Some(r#"{"sessions": []}"#), Some(many.as_str())] {
            assert_eq!(read(odd, "k"), [None], "{odd:?}");
        }
    }
}
