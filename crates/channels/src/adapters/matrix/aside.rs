//! What is done beside receiving, once messages are committed: rooms are entered, people are shown that they were read, and told that
//! what is encrypted can't be.
//!
//! Must hold: all of it together takes [`LIMIT`] at most after a poll. What is not done by then is done after the next one, or it is a
//! receipt, for which the next one does.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::calls::Call;
use super::rooms::Rooms;
use super::{Matrix, calls};
use crate::ChannelError;

/// For all that is done after a poll.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Calls at the same time.
const AT_ONCE: usize = 8;
/// How often a room is tried to enter before it is left until receiving begins anew.
const TRIES: u32 = 5;

/// What is to be done.
#[derive(Default)]
pub(super) struct Aside {
    /// Rooms to enter: by which server, and how often that was tried.
    pub(super) wanted: BTreeMap<String, (Option<String>, u32)>,
    /// The last message of each room.
    pub(super) read: BTreeMap<String, String>,
    /// Rooms in which somebody wrote what can't be read, and the message.
    pub(super) unreadable: BTreeMap<String, String>,
}

impl Aside {
    /// Does what there is time for.
    pub(super) async fn done(&mut self, matrix: &Matrix, rooms: &mut Rooms) {
        let read = std::mem::take(&mut self.read);
        let all = async {
            enter(matrix, &mut self.wanted).await;
            tell(matrix, rooms, &mut self.unreadable).await;
            let receipts =
                futures::stream::iter(read).for_each_concurrent(AT_ONCE, |(room, event)| async move {
                    if let Err(error) = matrix.api.read(&room, &event).await {
                        debug!(channel.id = %matrix.deps.channel_id, chat = room, "a message stays unread: {error}");
                    }
                });
            receipts.await;
        };
        drop(timeout(LIMIT, all).await);
    }
}

/// Enters the rooms that are wanted.
async fn enter(matrix: &Matrix, wanted: &mut BTreeMap<String, (Option<String>, u32)>) {
    let tried = futures::stream::iter(wanted.iter_mut()).for_each_concurrent(
        AT_ONCE,
        |(room, (via, tries))| async move {
            *tries += 1;
            match matrix.api.join(room, via.as_deref()).await {
                Ok(()) => *tries = TRIES,
                Err(ChannelError::RateLimited(_)) => *tries -= 1,
                Err(error) => {
                    warn!(channel.id = %matrix.deps.channel_id, chat = room, "a room can't be entered: {error}");
                    if matches!(error, ChannelError::Permanent(_)) {
                        *tries = TRIES;
                    }
                }
            }
        },
    );
    tried.await;
    wanted.retain(|_, (_, tries)| *tries < TRIES);
}

/// Tells the people of encrypted rooms, once each, that the bot can't read what they write. That they were told is kept with the
/// homeserver, so that no other worker tells them again.
async fn tell(matrix: &Matrix, rooms: &mut Rooms, unreadable: &mut BTreeMap<String, String>) {
    while let Some((room, event)) = unreadable.pop_first() {
        let known = rooms.of(&room);
        if known.is_told {
            continue;
        }
        let told = async {
            // Named by the message, so that it is said once even if the note on it is lost.
            let content = if matrix.crypto.is_some() { calls::cant_open() } else { calls::cant_read() };
            let notice = Call { kind: "m.room.message", transaction: format!("encrypted.{event}"), content };
            matrix.put_event(&room, &notice).await?;
            matrix.api.note(&matrix.account, &room, matrix.notice()).await
        };
        match told.await {
            Ok(()) => known.is_told = true,
            // With the next message there.
            Err(error) => {
                warn!(channel.id = %matrix.deps.channel_id, chat = room, "nobody is told that the room can't be read: {error}");
            }
        }
    }
}
