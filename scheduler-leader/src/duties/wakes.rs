//! What waits for its user's heartbeat becomes a message at it.
//!
//! One that nobody led for comes late, but once. Outside of its user's hours it does not come: the agent may not be woken then, so
//! it goes on waiting, for the first heartbeat of the next hours.

use chrono::{DateTime, Utc};
use claw_store::{DueHeartbeat, PutOff, Result, chain};
use claw_telemetry::metrics::Counter;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::heartbeats::comes;
use super::timers::Timers;
use crate::elector::DUTY;

/// Wake-ups in one statement; after a full one the leader looks again at once.
const BATCH: i64 = 500;

/// Fires all that are due, as long as this process leads. Answers how many that were.
pub(super) async fn fire_all(timers: &Timers, stop: &CancellationToken) -> Result<u64> {
    let mut all = 0;
    while let Some(term) = timers.leadership.term().filter(|_| !stop.is_cancelled()) {
        let (within, put_off) = look(&timers.store.wakes_late(BATCH).await?);
        let mut moved = 0;
        if !put_off.is_empty() {
            moved = timers.store.wakes_put_off(DUTY, term, &put_off).await?;
            info!(moved, "{moved} late wake-ups wait for their users' next hours");
        }
        let fired = timers.store.timers_fire(DUTY, term, BATCH, &within).await?;
        let many = u64::try_from(fired.len()).unwrap_or(u64::MAX);
        if many > 0 {
            Counter::TimersFired.add_many(&[], many);
            info!(fired = many, "fired {many} timers");
        }
        timers.bus.publish_made(&fired).await;
        all += many;
        // What somebody holds is looked at again with the next tick.
        if many < BATCH.unsigned_abs() && moved == 0 {
            break;
        }
    }
    Ok(all)
}

/// Those of the late ones that come now, and those that wait on.
fn look(late: &[DueHeartbeat]) -> (Vec<Uuid>, Vec<PutOff>) {
    let (mut within, mut put_off) = (Vec::new(), Vec::new());
    for wake in late {
        match later(wake) {
            Ok(Some(next)) => put_off.push(PutOff {
                timer: wake.timer,
                was_due: wake.due_at,
                was_changed: wake.changed_at,
                next,
            }),
            Ok(None) => within.push(wake.timer),
            Err(why) => {
                warn!(user.id = %wake.user_id, "a late wake-up comes whatever its user's hours are, which can't be read: {why}");
                within.push(wake.timer);
            }
        }
    }
    (within, put_off)
}

/// When a late one comes; `None` for now.
fn later(wake: &DueHeartbeat) -> std::result::Result<Option<DateTime<Utc>>, String> {
    let set = wake.set.as_ref().map_err(|error| chain(error))?;
    if comes(set, wake).map_err(|error| chain(&error))? {
        return Ok(None);
    }
    set.next_heartbeat(&wake.user_id, wake.now).map(Some).map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use claw_store::{Error, Preferences};
    use claw_types::preferences::Hours;

    use super::*;

    fn wake(now: &str, set: Result<Preferences>) -> DueHeartbeat {
        DueHeartbeat {
            timer: Uuid::from_u128(1),
            user_id: "ada".parse().unwrap(),
            due_at: "2026-11-27T21:30:00Z".parse().unwrap(),
            set,
            changed_at: None,
            now: now.parse().unwrap(),
        }
    }

    fn days(tz: &str) -> Preferences {
        let (from, to) = ("08:00".to_owned(), "22:00".to_owned());
        let hours = Hours { from, to, tz: tz.to_owned(), days: None };
        Preferences { active_hours: Some(hours), ..Preferences::default() }
    }

    #[test]
    fn a_late_one_comes_within_the_hours_and_waits_for_the_next_ones_outside() {
        let looked = |now, set| look(&[wake(now, set)]);
        let (within, put_off) = looked("2026-11-27T21:45:00Z", Ok(days("")));
        assert_eq!((within.len(), put_off.len()), (1, 0));
        let (within, put_off) = looked("2026-11-27T23:00:00Z", Ok(days("")));
        assert_eq!((within.len(), put_off.len()), (0, 1));
        let next = put_off[0].next;
        assert!(next >= "2026-11-28T08:00:00Z".parse::<DateTime<Utc>>().unwrap(), "{next}");
        for unreadable in [Ok(days("Moon/Base")), Err(Error::NotFound("setting"))] {
            let (within, put_off) = looked("2026-11-27T23:00:00Z", unreadable);
            assert_eq!((within.len(), put_off.len()), (1, 0), "it is not kept for ever");
        }
    }
}
