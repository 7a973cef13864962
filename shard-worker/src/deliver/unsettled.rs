//! How many messages may be handed over and not be written down as that.
//!
//! Handing over is quicker than writing it down: of 100,000 jobs due in one second a third stood in the queue to the database
//! when all were handed over, and so the second message of everybody who chatted meanwhile waited for seconds until its first
//! one was written down. And what is not written down is handed over again when this worker dies. So whoever has room to post
//! waits while there is much of that, and what a time caused does not take the place of what somebody just wrote.

use std::sync::Arc;

use claw_types::Work;
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
pub(crate) struct Handed(
    #[expect(dead_code, reason = "counts until it is dropped")] Option<OwnedSemaphorePermit>,
);

impl Default for Unsettled {
    fn default() -> Self {
        Self { now: Arc::new(Semaphore::new(MOST)), time: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Unsettled {
    fn of(&self, work: &Work) -> &Arc<Semaphore> {
        match Cause::of(work) {
            Cause::Now => &self.now,
            Cause::Time => &self.time,
        }
    }

    /// Waits until there are few. Who asks has room to post already: as many more than the most can come as there are rooms.
    pub(crate) async fn few(&self, work: &Work) {
        // The semaphores are never closed.
        drop(self.of(work).acquire().await);
    }

    /// Counts one more. While there are too many it waits, and holds up nobody but its own conversation.
    pub(crate) async fn one(&self, work: &Work) -> Handed {
        Handed(Arc::clone(self.of(work)).acquire_owned().await.ok())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::testing::work;

    #[tokio::test]
    async fn whoever_posts_waits_while_much_is_not_written_down_and_a_cause_does_not_wait_for_the_other() {
        let unsettled = Unsettled::default();
        let (written, scheduled) = (work(), Work { scheduled: true, ..work() });
        let mut handed = Vec::new();
        for _ in 0..MOST {
            unsettled.few(&scheduled).now_or_never().expect("there are few");
            handed.push(unsettled.one(&scheduled).await);
        }
        assert!(unsettled.few(&scheduled).now_or_never().is_none(), "there are many");
        assert!(unsettled.one(&scheduled).now_or_never().is_none());
        unsettled.few(&written).now_or_never().expect("what somebody wrote waits for no job");
        handed.pop();
        unsettled.few(&scheduled).now_or_never().expect("one was written down");
    }
}
