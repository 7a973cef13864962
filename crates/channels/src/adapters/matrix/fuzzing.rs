//! Any bytes by the code that reads what a homeserver and people send, for [`crate::Channel::fuzz`].

use serde_json::Value;

use super::rooms::{self, Rooms};
use super::sync::{self, Event, Joined, Page, Sync};
use super::{api, calls, crypto, incoming, mention};
use crate::kit::markdown;

pub(super) fn read(data: &[u8], account: &str) {
    api::fuzz(data);
    crypto::fuzz(data);
    let mut rooms = Rooms::default();
    if let Ok(page) = serde_json::from_slice::<Page>(data) {
        see(&mut rooms, "!page:example.org", &page.chunk, account);
    }
    if let Ok(sync) = serde_json::from_slice::<Sync>(data) {
        for (id, joined) in &sync.rooms.join {
            hear(&mut rooms, id, joined, account);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(markdown::document(text, calls::MAX_CONTENT));
        mention::named_in(text).clear();
    }
}

fn hear(rooms: &mut Rooms, id: &str, joined: &Joined, account: &str) {
    rooms.of(id).note(joined, sync::TOLD);
    see(rooms, id, &joined.timeline.events, account);
    for (upto, person) in rooms::readers(&joined.ephemeral) {
        let room = rooms.of(id);
        let read = room.read_up_to(&upto);
        drop(incoming::read(id, room, &person, &upto, read));
    }
}

fn see(rooms: &mut Rooms, id: &str, events: &[Value], account: &str) {
    for event in Event::all(events) {
        let room = rooms.of(id);
        room.note_state(&event);
        drop(incoming::inbound(&event, id, room, account));
    }
}
