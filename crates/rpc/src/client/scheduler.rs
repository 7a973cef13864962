//! Calling schedulers.

use std::time::Duration;

use claw_proto::v1::{self, scheduler_client::SchedulerClient};

use super::{CallError, Peers, QUICK, Repeat, timed};
use crate::{RanNow, SchedulerStatus, SteppedDown};

/// A resignation waits for a statement of the database that is under way (2.5 s) and takes another one.
const RESIGNATION: Duration = Duration::from_secs(6);
/// Housekeeping goes on in portions of 30 s.
const DUTIES: Duration = Duration::from_secs(60);

impl Peers {
    /// What the scheduler at `address` says of itself.
    ///
    /// # Errors
    /// When it does not answer within 2 s.
    pub async fn scheduler_status(&self, address: &str) -> Result<SchedulerStatus, CallError> {
        let call = |line, left| async move {
            SchedulerClient::new(line).status(timed(v1::SchedulerStatusRequest {}, left)).await
        };
        let status = self.call(address, Repeat::Harmless, QUICK, call).await?;
        let leading = status.leading.then_some(status.term);
        Ok(SchedulerStatus { name: status.name, version: status.version, leading })
    }

    /// Has the leader resign and stand by, so that another one is elected.
    ///
    /// # Errors
    /// [`CallError::Refused`] when it does not lead; otherwise when it does not answer within 6 s.
    pub async fn step_down(&self, address: &str) -> Result<SteppedDown, CallError> {
        let call = |line, left| async move {
            SchedulerClient::new(line).step_down(timed(v1::StepDownRequest {}, left)).await
        };
        let done = self.call(address, Repeat::Never, RESIGNATION, call).await?;
        let stands_by = Duration::from_millis(u64::from(done.stands_by_ms));
        Ok(SteppedDown { term: done.term, stands_by })
    }

    /// Has the leader do its duties now.
    ///
    /// # Errors
    /// [`CallError::Refused`] when it does not lead; otherwise when it is not done within a minute, what it did until
    /// then being done.
    pub async fn run_now(&self, address: &str) -> Result<RanNow, CallError> {
        let call = |line, left| async move {
            SchedulerClient::new(line).run_now(timed(v1::RunNowRequest {}, left)).await
        };
        let ran = self.call(address, Repeat::Never, DUTIES, call).await?;
        Ok(RanNow { fired: ran.fired, forgotten: ran.forgotten })
    }
}
