//! The places of jobs' webhooks: how many are under way, in all, of one user and to one receiver, and which receivers are left
//! alone. All of it is apart from the backend's, so that no receiver's slowness keeps a person's message waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use claw_runtime::Random;
use claw_types::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::deliver::backend::Gate;
use crate::deliver::turns::{Cause, Turn, Turns};
use crate::erased::Erased;

/// Posts in flight from one worker: as for the backend's, it is about our sockets.
const IN_FLIGHT: usize = 256;
/// Of those, one user's.
const OF_ONE: usize = 32;
/// Of those, one receiver's.
const OF_PLACE: usize = 8;
/// So many receivers are remembered; with more, those that nobody posts to right now are forgotten. It costs some attempts at one
/// that does not answer.
const MOST: usize = 1_024;

/// Where posts of a worker go.
pub(crate) struct Places {
    known: Mutex<HashMap<(UserId, String), Arc<Place>>>,
    turns: Arc<Turns>,
}

/// A receiver: an origin, for one user.
pub(super) struct Place {
    pub(super) gate: Arc<Gate>,
    room: Arc<Semaphore>,
    /// When the first post was accepted that this worker knows of, in milliseconds since 1970.
    since_ms: i64,
}

/// Room for one post; the next one's when it is dropped.
pub(super) struct Room {
    // Dropped in this order.
    _turn: Turn,
    _own: Option<OwnedSemaphorePermit>,
}

impl Default for Places {
    fn default() -> Self {
        Self { known: Mutex::default(), turns: Arc::new(Turns::new(IN_FLIGHT, OF_ONE)) }
    }
}

impl Places {
    /// The receiver at this origin, of a post that was accepted at this time.
    pub(super) fn place(
        &self,
        user: &UserId,
        origin: &str,
        accepted_at_ms: i64,
        random: &Arc<dyn Random>,
    ) -> Arc<Place> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (user.clone(), origin.to_owned());
        if let Some(place) = known.get(&key) {
            return Arc::clone(place);
        }
        if known.len() >= MOST {
            known.retain(|_, place| Arc::strong_count(place) > 1);
        }
        let gate = Gate::new(Some(user.clone()), origin.to_owned(), Arc::clone(random));
        let place =
            Arc::new(Place { gate, room: Arc::new(Semaphore::new(OF_PLACE)), since_ms: accepted_at_ms });
        known.insert(key, Arc::clone(&place));
        place
    }

    /// Waits for room for one more post. First what the receiver may have, then what the user may have of all: a slow receiver holds
    /// none of the latter for those that wait for it.
    pub(super) async fn room(&self, place: &Place, user: &UserId) -> Room {
        // The semaphore is never closed.
        let own = Arc::clone(&place.room).acquire_owned().await.ok();
        // All of them are time's doing; none need be left for anything else.
        Room { _turn: self.turns.take(Some(user), Cause::Now).await, _own: own }
    }

    /// How many receivers do not answer.
    pub(crate) fn away(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|place| place.gate.away().is_some()).count()
    }

    /// Forgets the receivers of users who were erased.
    pub(crate) fn forget(&self, erased: &Erased) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(user, _), place| !erased.is_gone(user, place.since_ms));
    }
}

#[cfg(test)]
mod tests {
    use claw_runtime::SeededRandom;
    use futures::FutureExt as _;

    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_receiver_has_its_own_places_and_no_two_users_share_one() {
        let (places, random): (_, Arc<dyn Random>) = (Places::default(), Arc::new(SeededRandom::new(1)));
        let hers = places.place(&user("ada"), "https://a.org", 0, &random);
        assert!(Arc::ptr_eq(&hers, &places.place(&user("ada"), "https://a.org", 0, &random)));
        let others = [
            places.place(&user("bob"), "https://a.org", 0, &random),
            places.place(&user("ada"), "https://b.org", 0, &random),
        ];
        assert!(others.iter().all(|other| !Arc::ptr_eq(other, &hers)));
        let mut held = Vec::new();
        for _ in 0..OF_PLACE {
            held.push(places.room(&hers, &user("ada")).await);
        }
        assert!(places.room(&hers, &user("ada")).now_or_never().is_none());
        assert!(places.room(&others[1], &user("ada")).now_or_never().is_some());
        held.clear();
        assert!(places.room(&hers, &user("ada")).now_or_never().is_some());
    }

    #[test]
    fn receivers_are_not_remembered_without_end() {
        let (places, random): (_, Arc<dyn Random>) = (Places::default(), Arc::new(SeededRandom::new(1)));
        let in_use = places.place(&user("ada"), "https://kept.org", 0, &random);
        for n in 0..MOST * 2 {
            places.place(&user("ada"), &format!("https://{n}.org"), 0, &random);
        }
        assert!(places.known.lock().unwrap().len() <= MOST);
        assert!(Arc::ptr_eq(&in_use, &places.place(&user("ada"), "https://kept.org", 0, &random)));
    }
}
