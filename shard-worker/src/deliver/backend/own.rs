//! The backends of users' own, all of them in memory, so that no message costs a query to learn where it goes.
//!
//! Read whole when the worker starts, before it owns anything; from then on what changed since the last look, whenever a
//! change is told of and every few seconds. Must hold: a message goes to the backend of its channel or, where that has
//! none, of its user, and to the operator's only where there is neither: one that is switched off or can't be used is
//! still the message's.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_channels::kit::http::Http;
use claw_runtime::Random;
use claw_store::{BackendPlace, LoadedBackend, OwnBackend, chain};
use claw_types::{ChannelId, UserId};
use tokio::sync::Semaphore;
use tracing::debug;

use super::destination::{Destination, Own};
use super::gate::{Away, Gate};
use super::post::{Secrets, Target};
use crate::deliver::turns::Turns;

/// Webhooks to them in flight from one worker: apart from the operator's, so that none of them can take those.
const IN_FLIGHT: usize = 1024;
/// Of those, one tenant's: a few of its backends may be slow, and others of its own still get theirs.
const IN_FLIGHT_OF_ONE: usize = 256;

/// What is known of them.
pub(super) struct Known {
    users: HashMap<UserId, OfUser>,
    /// Of each user's origins that are in use.
    gates: HashMap<(UserId, String), Weak<Gate>>,
    turns: Arc<Turns>,
    http: Http,
    limit: Duration,
    random: Arc<dyn Random>,
}

#[derive(Default)]
struct OfUser {
    all: Option<Entry>,
    channels: HashMap<ChannelId, Entry>,
}

struct Entry {
    destination: Arc<Destination>,
    changed_at: DateTime<Utc>,
}

impl OfUser {
    fn place(&mut self, place: &BackendPlace, entry: Option<Entry>) {
        match (place.channel, entry) {
            (None, entry) => self.all = entry,
            (Some(channel), Some(entry)) => drop(self.channels.insert(channel, entry)),
            (Some(channel), None) => drop(self.channels.remove(&channel)),
        }
    }

    fn get(&self, channel: Option<ChannelId>) -> Option<&Entry> {
        match channel {
            Some(channel) => self.channels.get(&channel),
            None => self.all.as_ref(),
        }
    }

    fn is_empty(&self) -> bool {
        self.all.is_none() && self.channels.is_empty()
    }
}

impl Known {
    pub(super) fn new(http: Http, limit: Duration, random: Arc<dyn Random>) -> Self {
        Self {
            users: HashMap::new(),
            gates: HashMap::new(),
            turns: Arc::new(Turns::new(IN_FLIGHT, IN_FLIGHT_OF_ONE)),
            http,
            limit,
            random,
        }
    }

    /// Where a message of this user and channel goes, if not to the operator's backend.
    pub(super) fn of(&self, user: &UserId, channel: ChannelId) -> Option<&Arc<Destination>> {
        let of_user = self.users.get(user)?;
        let entry = of_user.channels.get(&channel).or(of_user.all.as_ref())?;
        Some(&entry.destination)
    }

    /// Takes over what was read; tells the log of each that is news.
    pub(super) fn apply(&mut self, rows: Vec<LoadedBackend>) {
        for row in rows {
            let known = self.users.get(&row.place.user_id).and_then(|user| user.get(row.place.channel));
            let before = known.and_then(|entry| entry.destination.own.as_ref());
            if row.backend.is_some() && before.is_some_and(|own| own.revision == row.revision) {
                continue;
            }
            if row.backend.is_some() || before.is_some() {
                log(&row);
            }
            let room = before.map(|own| (own.most, Arc::clone(&own.room)));
            let entry = row.backend.map(|(backend, secrets)| Entry {
                destination: Arc::new(self.destination(backend, secrets, room)),
                changed_at: row.updated_at,
            });
            self.users.entry(row.place.user_id.clone()).or_default().place(&row.place, entry);
        }
        self.tidy();
    }

    /// Forgets those of users who were erased: `gone` tells it of a user and a moment.
    pub(super) fn forget(&mut self, gone: impl Fn(&UserId, DateTime<Utc>) -> bool) {
        for (user, backends) in &mut self.users {
            backends.all.take_if(|entry| gone(user, entry.changed_at));
            backends.channels.retain(|_, entry| !gone(user, entry.changed_at));
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.users.retain(|_, backends| !backends.is_empty());
        self.gates.retain(|_, gate| gate.strong_count() > 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    fn destination(
        &mut self,
        backend: OwnBackend,
        secrets: claw_store::Result<Vec<String>>,
        before: Option<(u16, Arc<Semaphore>)>,
    ) -> Destination {
        let most = backend.max_in_flight;
        // Posts that are under way go on counting, unless there is another number to count up to.
        let room = before.filter(|(former, _)| *former == most).map(|(_, room)| room);
        let room = room.unwrap_or_else(|| Arc::new(Semaphore::new(most.into())));
        let target = self.target(&backend.url, secrets);
        let origin = target.as_ref().map_or_else(Clone::clone, |target| origin(&target.url));
        Destination {
            gate: self.gate(backend.place.user_id, origin),
            target,
            turns: Arc::clone(&self.turns),
            own: Some(Own {
                id: backend.id,
                revision: backend.revision,
                disabled: backend.disabled.map(|(reason, _)| reason),
                most,
                room,
            }),
        }
    }

    fn target(&self, url: &str, secrets: claw_store::Result<Vec<String>>) -> Result<Target, String> {
        let secrets = secrets.map_err(|error| format!("the backend's secrets: {}", chain(&error)))?;
        let url = self.http.check(url).map_err(|error| format!("the backend's URL {error}"))?;
        let secrets = Secrets::new(secrets).ok_or("the backend has no secret: give it one")?;
        Ok(Target { client: self.http.calls().clone(), url, secrets, limit: self.limit })
    }

    fn gate(&mut self, user: UserId, origin: String) -> Arc<Gate> {
        let key = (user, origin);
        if let Some(gate) = self.gates.get(&key).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Gate::new(Some(key.0.clone()), key.1.clone(), Arc::clone(&self.random));
        self.gates.insert(key, Arc::downgrade(&gate));
        gate
    }

    /// Those that do not answer.
    pub(super) fn away(&self) -> Vec<Away> {
        self.gates.values().filter_map(Weak::upgrade).filter_map(|gate| gate.away()).collect()
    }
}

fn log(row: &LoadedBackend) {
    let (user, revision) = (&row.place.user_id, row.revision);
    let which = match row.place.channel {
        Some(channel) => format!("channel {channel} of user {user}"),
        None => format!("user {user}"),
    };
    let what = match &row.backend {
        None => "is gone",
        Some((backend, _)) if backend.disabled.is_some() => "is switched off",
        Some(_) => "is in use",
    };
    debug!(user.id = %user, revision, "the backend of {which} {what} (revision {revision})");
}

/// `https://host`, with the port where it is not the scheme's.
pub(super) fn origin(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}
