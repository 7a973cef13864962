//! Turns at what a process does few of at once: how many are under way, in all and of one owner. Webhooks to the backend, posts of
//! events, answers that are streams and attachments that are sent have turns of their own each.
//!
//! With events, turns are destinations'. In a turn a page of events is read and posted for about a second; then whoever
//! waits longest is next. So memory and sockets are bounded, whatever the number of destinations, and nobody's slow
//! destinations keep another's waiting.
//! First the turns of one owner are taken, then those of all: who waits for the former holds none of the latter. What a job's
//! time made has at most half of all: 100,000 jobs may be due in one second, each another owner's, and who writes then must not
//! wait until they are done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claw_types::{UserId, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Destinations served at once: as many posts are in flight, and as many pages in memory. As for the backend's webhooks,
/// it is about our sockets.
const AT_ONCE: usize = 256;
/// Of those, destinations of one owner: it takes more than thirty owners whose destinations all answer late to keep
/// others waiting, and then for the length of a post.
const OF_ONE: usize = 8;

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Something happened just now: somebody wrote.
    Now,
    /// A time came.
    Time,
}

impl Cause {
    /// Why this message is there.
    pub fn of(work: &Work) -> Self {
        if work.scheduled { Self::Time } else { Self::Now }
    }
}

/// `None` is the operator.
type Owner = Option<UserId>;

/// The turns of a process.
#[derive(Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    /// How many of them may be [`Cause::Time`]'s.
    of_time: Arc<Semaphore>,
    of_one: usize,
    owners: Mutex<HashMap<Owner, Arc<Semaphore>>>,
}

/// A turn; the next one's when it is dropped.
#[derive(Debug)]
pub struct Turn {
    // Dropped in this order.
    _all: Option<OwnedSemaphorePermit>,
    _of_time: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
    _seat: Seat,
}

/// Has a turn or waits for one.
#[derive(Debug)]
struct Seat {
    turns: Arc<Turns>,
    owner: Owner,
    own: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self::new(AT_ONCE, OF_ONE)
    }
}

impl Turns {
    /// As many at once, and of them as many of one owner.
    pub fn new(at_once: usize, of_one: usize) -> Self {
        let (all, of_time) = (Semaphore::new(at_once), Semaphore::new(at_once.div_ceil(2)));
        Self { all: Arc::new(all), of_time: Arc::new(of_time), of_one, owners: Mutex::default() }
    }

    /// Waits for a turn of this owner's.
    pub async fn take(self: &Arc<Self>, owner: Option<&UserId>, cause: Cause) -> Turn {
        let seat = self.seat(owner.cloned());
        // The semaphores are never closed.
        let own = Arc::clone(&seat.own).acquire_owned().await.ok();
        let of_time = match cause {
            Cause::Now => None,
            Cause::Time => Arc::clone(&self.of_time).acquire_owned().await.ok(),
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        Turn { _all: all, _of_time: of_time, _own: own, _seat: seat }
    }

    fn seat(self: &Arc<Self>, owner: Owner) -> Seat {
        let mut owners = self.owners();
        let own = owners.entry(owner.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.of_one)));
        Seat { turns: Arc::clone(self), owner, own: Arc::clone(own) }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<Owner, Arc<Semaphore>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut owners = self.turns.owners();
        // The map's and this one: nobody else of this owner is left.
        if Arc::strong_count(&self.own) <= 2 {
            owners.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_owner_does_not_take_all_turns_and_none_is_remembered() {
        let turns = Arc::new(Turns::new(3, 2));
        let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let first = turns.take(Some(&ada), Cause::Now).await;
        let second = turns.take(Some(&ada), Cause::Now).await;
        let mut waits = Box::pin(turns.take(Some(&ada), Cause::Now));
        assert!(waits.as_mut().now_or_never().is_none(), "she has as many as one may have");
        let his =
            turns.take(Some(&bob), Cause::Now).now_or_never().expect("a turn at once, before her third");
        let mut ours = Box::pin(turns.take(None, Cause::Now));
        assert!(ours.as_mut().now_or_never().is_none(), "there are no more");
        drop(first);
        let ours = ours.now_or_never().expect("who waits for all alone comes before who waits for two");
        assert!(waits.as_mut().now_or_never().is_none());
        drop(his);
        let third = waits.now_or_never().expect("her turn");
        let gives_up = turns.take(Some(&bob), Cause::Now);
        assert!(gives_up.now_or_never().is_none());
        drop((second, third, ours));
        assert!(turns.owners().is_empty());
        assert_eq!(turns.all.available_permits(), 3);
    }

    #[tokio::test]
    async fn what_a_time_caused_leaves_half_of_the_turns() {
        let turns = Arc::new(Turns::new(4, 1));
        let users: Vec<UserId> = (0..7).map(|n| format!("user-{n}").parse().unwrap()).collect();
        let of_time = |n: usize| turns.take(Some(&users[n]), Cause::Time);
        let held = [of_time(0).await, of_time(1).await];
        let mut waits = Box::pin(of_time(2));
        assert!(waits.as_mut().now_or_never().is_none(), "two more would leave none");
        let wrote = |n: usize| turns.take(Some(&users[n]), Cause::Now).now_or_never();
        let writers = [wrote(3).expect("a turn at once"), wrote(4).expect("another one")];
        assert!(wrote(5).is_none(), "there are no more");
        drop(held);
        assert!(waits.now_or_never().is_some());
        drop(writers);
    }
}
