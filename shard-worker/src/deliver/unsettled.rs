//! How many messages may be handed over to backends and not be written down as that.
//!
//! Handing over is quicker than writing it down: of 100,000 jobs due in one second a third stood in the queue to the database
//! when all were handed over, and so the second message of everybody who chatted meanwhile waited for seconds until its first
//! one was written down. And what is not written down is handed over again when this worker dies. So whoever has room to post
//! waits while there is much of that, and what a time caused does not take the place of what somebody just wrote. What an
//! agent sends is not counted: its platform's limits are far below what is written down, and it may not hold up what people write.

use std::sync::Arc;

use claw_types::{Direction, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::turns::Cause;

/// As many as one statement settles, of each cause.
const MOST: usize = 500;

/// What this worker has handed over and not written down.
pub(crate) struct Unsettled {
    now: Arc<Semaphore>,
    time: Arc<Semaphore>,
}

/// One of them, until it is dropped.
pub(crate) struct Handed(#[expect(dead_code, reason = "counts until it is dropped")] OwnedSemaphorePermit);

impl Default for Unsettled {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl Unsettled {
    /// As many of each cause.
    fn new(most: usize) -> Self {
        Self { now: Arc::new(Semaphore::new(most)), time: Arc::new(Semaphore::new(most)) }
    }

    fn of(&self, work: &Work) -> &Arc<Semaphore> {
        match Cause::of(work) {
            Cause::Now => &self.now,
            Cause::Time => &self.time,
        }
    }

    /// Waits until there are few. Who asks has room to post already, so that not all who wait for that come at once.
    pub(crate) async fn until_few(&self, work: &Work) {
        // The semaphores are never closed.
        drop(self.of(work).acquire().await);
    }

    /// Counts one more. While there are too many it waits, and holds up nobody but its own conversation. `None` for what is not
    /// counted.
    pub(crate) async fn count(&self, work: &Work) -> Option<Handed> {
        if work.direction == Direction::Out && !work.scheduled {
            return None;
        }
        Arc::clone(self.of(work)).acquire_owned().await.ok().map(Handed)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::testing::work;

    #[tokio::test]
    async fn whoever_posts_waits_while_much_is_not_written_down_and_a_cause_does_not_wait_for_the_other() {
        let unsettled = Unsettled::new(2);
        let (written, scheduled) = (inbound(), Work { scheduled: true, ..inbound() });
        let mut handed = Vec::new();
        for _ in 0..2 {
            unsettled.until_few(&scheduled).now_or_never().expect("there are few");
            handed.push(unsettled.count(&scheduled).await.expect("it counts"));
        }
        assert!(unsettled.until_few(&scheduled).now_or_never().is_none(), "there are many");
        assert!(unsettled.count(&scheduled).now_or_never().is_none());
        unsettled.until_few(&written).now_or_never().expect("what somebody wrote waits for no job");
        handed.pop();
        unsettled.until_few(&scheduled).now_or_never().expect("one was written down");
    }

    #[tokio::test]
    async fn what_goes_to_people_holds_up_nobody() {
        let unsettled = Unsettled::new(1);
        let answer = Work { direction: Direction::Out, ..inbound() };
        assert!(unsettled.count(&answer).await.is_none() && unsettled.count(&answer).await.is_none());
        unsettled.until_few(&inbound()).now_or_never().expect("nothing is counted");
    }

    fn inbound() -> Work {
        Work { direction: Direction::In, ..work() }
    }
}
