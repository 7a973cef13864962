//! Being in the cluster's list: a row with a heartbeat, so that operators see this gateway and its version.
//!
//! Nothing depends on it: a gateway owns nothing, and one that can't write its heartbeat goes on serving. Two processes of
//! one name are a mistake all the same, for nobody could tell them apart: the second one does not start, and one whose
//! name was taken while it was away for long ends.

use std::time::Duration;

use claw_runtime::Lifecycle;
use claw_store::{Error, Member, Store, chain};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};
use uuid::Uuid;

/// How often the row is written; a row that is 6 s old is a dead process's.
const EVERY: Duration = Duration::from_secs(2);
/// The name of a process that crashed is free again within this.
const NAME_LIMIT: Duration = Duration::from_secs(12);
/// How soon a name that is taken is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// Leaving must not hold up the end of the process.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// A gateway's place in the list.
pub struct Membership {
    store: Store,
    member: Member,
    /// What tells this process from another one of its name.
    incarnation: Uuid,
}

impl Membership {
    /// Joins, and waits for a name whose process crashed a moment ago.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when another gateway of this name lives; otherwise when the database fails.
    pub async fn join(store: Store, member: Member, incarnation: Uuid) -> Result<Self, Error> {
        let deadline = Instant::now() + NAME_LIMIT;
        loop {
            match store.member_join(&member, incarnation).await {
                Err(Error::NameTaken(_)) if Instant::now() < deadline => tokio::time::sleep(AGAIN).await,
                Err(error) => return Err(error),
                Ok(()) => return Ok(Self { store, member, incarnation }),
            }
        }
    }

    /// Says that it is alive until the process stops; then leaves.
    pub async fn stay(self, lifecycle: Lifecycle) {
        let soft = lifecycle.soft();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut silent, mut lost) = (false, None);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = soft.cancelled() => break,
            }
            match self.beat().await {
                Ok(()) => (silent, lost) = (false, None),
                Err(error @ Error::NameTaken(_)) => {
                    if lost.get_or_insert_with(Instant::now).elapsed() > NAME_LIMIT {
                        return lifecycle.fail(error.to_string());
                    }
                }
                // Told once: the database has other ways of being missed.
                Err(error) if !silent => {
                    silent = true;
                    warn!("the heartbeat can't be written, serving on: {}", chain(&error));
                }
                Err(_) => {}
            }
        }
        let leaving = self.store.member_leave(&self.member.name, self.incarnation);
        if !matches!(tokio::time::timeout(LEAVE_LIMIT, leaving).await, Ok(Ok(()))) {
            warn!("the gateway's row stays in the list of members until it is pruned");
        }
    }

    async fn beat(&self) -> Result<(), Error> {
        if !self.store.member_beat(&self.member.name, self.incarnation).await? {
            self.store.member_join(&self.member, self.incarnation).await?;
            info!("in the list of members again");
        }
        Ok(())
    }
}
