//! A session of the gateway: what is needed to go on with it, by whoever has the channel then. It is the channel's cursor.

use serde::{Deserialize, Serialize};

use super::frame::Event;
use super::lost;
use crate::{ChannelError, Sink};

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
    /// Of a stored cursor; one that can't be read is none.
    pub(crate) fn read(cursor: &str) -> Option<Self> {
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

/// The session, and what the database has of it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) session: Option<Session>,
    saved: Option<Session>,
}

impl Kept {
    /// Of what the database has; a session of another key is none.
    pub(crate) fn new(cursor: Option<&str>, key: &str) -> Self {
        let session = cursor.and_then(Session::read).filter(|session| session.key == key);
        Self { saved: session.clone(), session }
    }

    /// Brings the database up to date. Not with each event: those that come again are known by their ids, and a session that is gone
    /// is not worth a write.
    pub(crate) async fn save(&mut self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let Some(session) = self.session.as_ref().filter(|session| self.saved.as_ref() != Some(session))
        else {
            return Ok(());
        };
        let cursor = serde_json::to_string(session)
            .map_err(|error| ChannelError::Permanent(format!("the session can't be written: {error}")))?;
        sink.save_cursor(cursor).await.map_err(lost)?;
        self.saved = Some(session.clone());
        Ok(())
    }
}
