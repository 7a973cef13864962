//! Receiving: one long poll after the other, each committed before its place is saved.
//!
//! A place is a token of the homeserver's, kept with the account that it belongs to. Receiving begins with one look at all rooms,
//! without what was written there: it tells who is in them, and in a new channel it is the place to begin at, so that no history is
//! taken for news. What was written while nobody listened is more than one answer has; the rest is asked for, room by room and in
//! order, and committed before what came after it.
//!
//! Must hold: nothing that was written since the saved place is left out, up to 20,000 events of a room, and nothing is shown as read before it is committed; a room
//! that can't be entered or told something does not keep the messages of others waiting for more than [`super::aside::LIMIT`].

use std::collections::HashSet;
use std::time::Duration;

use claw_runtime::Backoff;
use claw_types::{Deed, Inbound};
use tracing::{debug, warn};

use super::aside::Aside;
use super::crypto::Late;
use super::rooms::{self, Rooms};
use super::sync::{self, Event, Joined, Sync, TIMELINE};
use super::{HOLD, Matrix, incoming};
use crate::{ChannelError, Sink};

/// Pages of a room's history that are read at a time, of a hundred events each: a homeserver whose history has no end must not keep
/// all other rooms waiting for ever.
const PAGES: usize = 200;

/// What one run of receiving knows.
struct Listening<'a> {
    matrix: &'a Matrix,
    sink: &'a dyn Sink,
    rooms: Rooms,
    aside: Aside,
}

impl Matrix {
    pub(super) async fn listen_for_ever(&self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let mut listening =
            Listening { matrix: self, sink, rooms: Rooms::default(), aside: Aside::default() };
        let (mut since, mut failed): (Option<String>, u32) = (None, 0);
        loop {
            let next = match &since {
                None => listening.begin().await,
                Some(since) => listening.round(since).await,
            };
            match next {
                Ok(next) => {
                    if failed > 0 {
                        sink.trouble(None).await;
                    }
                    (failed, since) = (0, Some(next));
                }
                Err(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    failed += 1;
                    sink.trouble(Some(&error.to_string())).await;
                    tokio::time::sleep(self.pause(&error, failed)).await;
                }
            }
        }
    }

    fn pause(&self, error: &ChannelError, failed: u32) -> Duration {
        match error {
            ChannelError::RateLimited(wait) => *wait,
            _ => Backoff::RECONNECT.wait(failed, &*self.deps.random).unwrap_or(Duration::from_secs(5)),
        }
    }
}

impl Listening<'_> {
    /// Looks at all rooms; the place to go on from.
    async fn begin(&mut self) -> Result<String, ChannelError> {
        let filter = sync::filter(&self.matrix.allowed, false);
        // Synapse gives the same answer to the same request for two minutes (`sync_response_cache_duration`), which would be how things
        // were before; it never holds this one open, so the time to do so can make another request of it.
        let now = self.matrix.deps.clock.now().timestamp_millis().rem_euclid(30_000);
        let other = Duration::from_millis(now.unsigned_abs());
        let look = self.matrix.api.sync(None, &filter, other).await?;
        for (id, joined) in &look.rooms.join {
            self.rooms.of(id).note(joined, self.matrix.notice());
        }
        self.want_invited(&look);
        let stored = self.sink.cursor().await?;
        if let Some(place) = stored.as_deref().and_then(|stored| self.place_of(stored)) {
            return Ok(place.to_owned());
        }
        // What is there for the device is told again with the saved place; in a new channel it is not.
        if let Some(crypto) = &self.matrix.crypto {
            crypto.receive(&self.matrix.api, &look).await?;
        }
        self.save(&look.next_batch).await?;
        Ok(look.next_batch)
    }

    /// One long poll, committed; the place behind it.
    async fn round(&mut self, since: &str) -> Result<String, ChannelError> {
        let filter = sync::filter(&self.matrix.allowed, true);
        let sync = self.matrix.api.sync(Some(since), &filter, HOLD).await?;
        let (mut messages, late) = self.of_device(&sync).await?;
        for (id, joined) in &sync.rooms.join {
            self.aside.wanted.remove(id);
            if self.matrix.allows(id) {
                messages.extend(self.of_room(id, joined, since).await?);
            }
        }
        self.commit(messages).await?;
        if let (Some(crypto), false) = (&self.matrix.crypto, late.is_empty()) {
            crypto.settle(&self.matrix.api, &late).await?;
        }
        self.save(&sync.next_batch).await?;
        sync.rooms.leave.keys().for_each(|id| self.rooms.forget(id));
        self.want_invited(&sync);
        self.aside.done(self.matrix, &mut self.rooms).await;
        Ok(sync.next_batch)
    }

    /// What is there for the device alone, saved; and the messages that waited for it.
    async fn of_device(&mut self, sync: &Sync) -> Result<(Vec<Inbound>, Vec<Late>), ChannelError> {
        let Some(crypto) = &self.matrix.crypto else { return Ok((Vec::new(), Vec::new())) };
        crypto.receive(&self.matrix.api, sync).await?;
        let late = crypto.late(&self.matrix.api).await?;
        let mut messages = Vec::new();
        for Late { room, id, event } in &late {
            match event {
                Some(event) => messages.extend(self.taken(room, std::slice::from_ref(event)).await?),
                None => self.cant_read(room, id),
            }
        }
        Ok((messages, late))
    }

    /// What is new in a room. What does not fit the answer is committed on the way.
    async fn of_room(
        &mut self,
        id: &str,
        joined: &Joined,
        since: &str,
    ) -> Result<Vec<Inbound>, ChannelError> {
        let is_new = !self.rooms.has(id);
        self.rooms.of(id).note(joined, self.matrix.notice());
        let events = Event::all(&joined.timeline.events);
        let beginning = self.beginning_of(&events);
        if joined.timeline.limited && beginning.is_none() && !is_new {
            let later: HashSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
            self.catch_up(id, since, joined.timeline.prev_batch.as_deref(), &later).await?;
        }
        let mut messages = self.understood(id, &events, beginning.unwrap_or(0)).await?;
        for (upto, person) in rooms::readers(&joined.ephemeral) {
            let read =
                if person == self.matrix.account { Vec::new() } else { self.rooms.of(id).read_up_to(&upto) };
            if !read.is_empty() {
                messages.push(incoming::read(id, self.rooms.of(id), &person, &upto, read));
            }
        }
        Ok(messages)
    }

    /// Where what concerns the bot begins, in a room that it came into meanwhile: when it was invited, because who invites it may write
    /// before it is there. What was written before that was not meant for it.
    fn beginning_of(&self, events: &[Event]) -> Option<usize> {
        let account = &self.matrix.account;
        let entry = events.iter().rposition(|event| event.is_entry_of(account))?;
        let invited = events[..entry].iter().rposition(|event| event.is_membership_of(account, "invite"));
        Some(invited.unwrap_or(entry))
    }

    /// Takes what was written in a room after `since` and before the answer that had no place for it, page by page.
    async fn catch_up(
        &mut self,
        id: &str,
        since: &str,
        until: Option<&str>,
        later: &HashSet<&str>,
    ) -> Result<(), ChannelError> {
        let filter = sync::timeline_filter(TIMELINE);
        let mut from = since.to_owned();
        for _ in 0..PAGES {
            let page = self.matrix.api.messages(id, &from, until, &filter).await?;
            for event in Event::all(&page.state) {
                self.rooms.of(id).note_state(&event);
            }
            if let Some(crypto) = &self.matrix.crypto {
                crypto.note(&self.matrix.api, id, &Event::all(&page.chunk)).await?;
            }
            let mut events = Event::all(&page.chunk);
            let end = events.iter().position(|event| later.contains(event.id.as_str()));
            events.truncate(end.unwrap_or(events.len()));
            let beginning = self.beginning_of(&events).unwrap_or(0);
            let messages = self.understood(id, &events, beginning).await?;
            self.commit(messages).await?;
            match page.end {
                Some(next) if end.is_none() && next != from => from = next,
                _ => return Ok(()),
            }
        }
        warn!(channel.id = %self.matrix.deps.channel_id, chat = id, "history without an end: the rest of it is left out");
        Ok(())
    }

    /// The messages and deeds in events from one on, in order. What any of them tells of the room is noted: whose name is in the timeline
    /// is not told beside it.
    async fn understood(
        &mut self,
        id: &str,
        events: &[Event],
        beginning: usize,
    ) -> Result<Vec<Inbound>, ChannelError> {
        let (before, events) = events.split_at(beginning);
        for event in before {
            self.rooms.of(id).note_state(event);
        }
        let Some(crypto) = &self.matrix.crypto else { return self.taken(id, events).await };
        let read = crypto.read(&self.matrix.api, id, events).await?;
        read.lost.iter().for_each(|event| self.cant_read(id, event));
        self.taken(id, &read.events).await
    }

    /// Has the people of a room told that a message can't be read, if they were not yet.
    fn cant_read(&mut self, id: &str, event: &str) {
        if !self.rooms.of(id).is_told {
            self.aside.unreadable.insert(id.to_owned(), event.to_owned());
        }
    }

    /// The messages and deeds in events that are read as far as they can be.
    async fn taken(&mut self, id: &str, events: &[Event]) -> Result<Vec<Inbound>, ChannelError> {
        let mut messages = Vec::new();
        for event in events {
            self.rooms.of(id).note_state(event);
            if event.sender != self.matrix.account {
                match event.r#type.as_str() {
                    "m.room.encrypted" => self.cant_read(id, &event.id),
                    "m.room.tombstone" => self.want_successor(event),
                    _ => {}
                }
            }
            let understood = incoming::inbound(event, id, self.rooms.of(id), &self.matrix.account);
            let Some(mut message) = understood else {
                debug!(channel.id = %self.matrix.deps.channel_id, kind = event.r#type, "an event without anything to take");
                continue;
            };
            if !message.is_own {
                self.aside.read.insert(id.to_owned(), event.id.clone());
                self.ask_whose_is_answered(id, &mut message).await;
            }
            match &message.deed {
                Deed::Edited(original) if !self.wrote(id, original, &event.sender).await? => {}
                _ => messages.push(message),
            }
        }
        Ok(messages)
    }

    /// Whether a person wrote a message: nobody else can change it.
    async fn wrote(&mut self, id: &str, message: &str, person: &str) -> Result<bool, ChannelError> {
        if let Some(author) = self.rooms.of(id).author_of(message) {
            return Ok(author == person);
        }
        match self.matrix.api.event(id, message).await {
            Ok(event) => Ok(event["sender"].as_str() == Some(person)),
            // Not to be found: then it is nobody's message here, either.
            Err(ChannelError::Permanent(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// An answer to a message of ours from before receiving began addresses the bot, too.
    async fn ask_whose_is_answered(&self, id: &str, message: &mut Inbound) {
        let Some(answered) = &mut message.answers else { return };
        if !message.is_group || message.mentioned == Some(true) || answered.is_own.is_some() {
            return;
        }
        match self.matrix.api.event(id, &answered.message_id).await {
            Ok(event) => {
                let is_own = event["sender"].as_str() == Some(&self.matrix.account);
                answered.is_own = Some(is_own);
                message.mentioned = Some(is_own);
            }
            // Not to be found, or not now: what else it says has to do.
            Err(error) => {
                debug!(channel.id = %self.matrix.deps.channel_id, "whose message is answered is not known: {error}");
            }
        }
    }

    async fn commit(&self, messages: Vec<Inbound>) -> Result<(), ChannelError> {
        if messages.is_empty() { Ok(()) } else { Ok(self.sink.accept(messages).await?) }
    }

    /// Saves a place, with whose it is: those of another account would be nonsense to this one's homeserver.
    async fn save(&self, place: &str) -> Result<(), ChannelError> {
        Ok(self.sink.save_cursor(format!("{} {place}", self.matrix.account)).await?)
    }

    fn place_of<'s>(&self, stored: &'s str) -> Option<&'s str> {
        stored.split_once(' ').filter(|(account, _)| *account == self.matrix.account).map(|(_, place)| place)
    }

    fn want_invited(&mut self, sync: &Sync) {
        for id in sync.rooms.invite.keys().filter(|id| self.matrix.enters(id)) {
            self.aside.wanted.entry(id.clone()).or_insert((None, 0));
        }
    }

    /// A room that was replaced by another one, as its people's servers agreed
    /// (<https://spec.matrix.org/latest/client-server-api/#room-upgrades>).
    fn want_successor(&mut self, tombstone: &Event) {
        let Some(next) = tombstone.text("replacement_room").filter(|next| self.matrix.enters(next)) else {
            return;
        };
        let server = tombstone.sender.split_once(':').map(|(_, server)| server.to_owned());
        self.aside.wanted.entry(next.to_owned()).or_insert((server, 0));
    }
}
