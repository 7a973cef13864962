//! Messages whose key has not come yet: homeservers hand keys and messages over by different ways, so one may be there before the
//! other. They wait for a while, beyond a restart, too; then their room is told that they can't be read.

use serde::{Deserialize, Serialize};

use super::State;
use super::inbound::Opened;
use crate::ChannelError;
use crate::adapters::matrix::sync::Event;

const ROW: &str = "waiting";
/// How long a message waits.
const PATIENCE_MS: i64 = 5 * 60 * 1000;
/// How many do; of more, the oldest is given up.
const MOST: usize = 200;

#[derive(Serialize, Deserialize)]
struct Waiting {
    room: String,
    event: Event,
    until_ms: i64,
}

/// A message that waits no longer.
pub(in crate::adapters::matrix) struct Late {
    pub(in crate::adapters::matrix) room: String,
    /// The message's id.
    pub(in crate::adapters::matrix) id: String,
    /// What it says; `None` when it is given up.
    pub(in crate::adapters::matrix) event: Option<Event>,
}

impl State {
    /// Has a message wait for its key.
    pub(super) async fn wait(&mut self, room: &str, event: &Event) -> Result<(), ChannelError> {
        let mut all: Vec<Waiting> = self.rows.get(ROW).await?.unwrap_or_default();
        if all.iter().any(|one| one.event.id == event.id) {
            return Ok(());
        }
        let until_ms = self.now_ms() + PATIENCE_MS;
        all.push(Waiting { room: room.to_owned(), event: event.clone(), until_ms });
        let too_many = all.len().saturating_sub(MOST);
        all.iter_mut().take(too_many).for_each(|one| one.until_ms = 0);
        self.rows.put(ROW, &all, None).await
    }

    /// Those that can be read now, and those that are given up; they are kept until [`State::settle`].
    pub(super) async fn late(&mut self) -> Result<Vec<Late>, ChannelError> {
        let all: Vec<Waiting> = self.rows.get(ROW).await?.unwrap_or_default();
        let mut late = Vec::new();
        for Waiting { room, event, until_ms } in all {
            let event_id = event.id.clone();
            let event = match self.open(&room, &event).await? {
                Opened::Said(event) => Some(*event),
                Opened::NoKey if until_ms > self.now_ms() => continue,
                Opened::NoKey | Opened::Lost | Opened::Nothing => None,
            };
            late.push(Late { room, id: event_id, event });
        }
        Ok(late)
    }

    /// Forgets those that are committed or told of.
    pub(super) async fn settle(&mut self, late: &[Late]) -> Result<(), ChannelError> {
        let mut all: Vec<Waiting> = self.rows.get(ROW).await?.unwrap_or_default();
        all.retain(|one| late.iter().all(|late| late.id != one.event.id));
        self.rows.put(ROW, &all, None).await
    }
}
