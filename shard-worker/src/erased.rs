//! Users who were erased while messages of theirs were in this worker's memory.
//!
//! Their rows are gone, but a queue still holds what it read before, for as long as another attempt is due: it must not
//! be delivered any more, and what the backend answers to one that was under way must not be stored. A look at the
//! database every few seconds says who they are, so that no message costs a query.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{PoisonError, RwLock};

use claw_store::{Result, Store};
use claw_types::{MessageState, UserId, Work};
use tokio::sync::Notify;

use crate::deliver::Attempt;

/// Who they are.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    /// Up to when what was accepted for a user is gone, in milliseconds since 1970.
    users: RwLock<HashMap<UserId, i64>>,
    /// Rung after each look.
    looked: Notify,
}

impl Erased {
    /// Asks the database who they are, of the last `days`: longer than any message waits for its last attempt.
    pub(crate) async fn look(&self, store: &Store, days: i32) -> Result<()> {
        let users = store.erasures_recent(days).await?;
        let until = users.into_iter().map(|(user, finished)| {
            let until = finished.map_or(i64::MAX, |finished| finished.timestamp_millis());
            (user, until)
        });
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = until.collect();
        self.looked.notify_waiters();
        Ok(())
    }

    /// Waits until this message is erased, which most never are: for what takes so long that it must not be found out at its end.
    pub(crate) async fn wait_for(&self, work: &Work) {
        loop {
            let mut looked = pin!(self.looked.notified());
            // From here on no look is missed.
            looked.as_mut().enable();
            if self.has(work) {
                return;
            }
            looked.await;
        }
    }

    /// Whether this message was erased. One that came after the erasure's end was not.
    pub(crate) fn has(&self, work: &Work) -> bool {
        self.is_gone(&work.user_id, work.accepted_at_ms)
    }

    /// Whether what was of this user at a moment, in milliseconds since 1970, was erased.
    pub(crate) fn is_gone(&self, user: &UserId, at_ms: i64) -> bool {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.get(user).is_some_and(|until| at_ms <= *until)
    }

    /// How the lane is done with it. There is no row that this could be written to.
    pub(crate) fn over() -> Attempt {
        Attempt::Over { state: MessageState::Failed, error: Some("its user was erased".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::work;

    fn accepted(user: &str, at_ms: i64) -> Work {
        Work { user_id: user.parse().unwrap(), accepted_at_ms: at_ms, ..work() }
    }

    #[test]
    fn what_came_after_an_erasure_is_a_new_beginning() {
        let erased = Erased::default();
        assert!(!erased.has(&accepted("ada", 0)));
        let until = [("ada".parse().unwrap(), 1_000), ("bob".parse().unwrap(), i64::MAX)];
        *erased.users.write().unwrap() = HashMap::from(until);
        for (user, at_ms, gone) in [
            ("ada", 999, true),
            ("ada", 1_000, true),
            ("ada", 1_001, false),
            ("bob", 1_001, true),
            ("cy", 0, false),
        ] {
            assert_eq!(erased.has(&accepted(user, at_ms)), gone, "{user} at {at_ms}");
        }
    }
}
