//! What becomes of a person's message once its adapter has understood it: accepted, kept as context for the next message of its
//! group, held until its sender is let in, or ignored and counted.
//!
//! The one place for it, for messages that gateways take as well as for those that workers poll, so a policy means the
//! same on every platform. Made when a channel is loaded and kept with it: a direct message costs some comparisons, no query.
//!
//! Must hold: what is ignored is never an error to the platform, which would send it again; it is counted by its reason,
//! so that no silence is without an explanation.

mod addressed;
mod batch;
mod bots;
mod debounce;
mod deeds;
pub mod fuzzing;
mod made;
pub mod pairing;
mod policy;

use std::sync::Arc;

use claw_telemetry::metrics::Counter;
use claw_types::Inbound;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::debug;

use self::addressed::Names;
pub use self::batch::Desk;
pub use self::bots::{Pace, WINDOW as PACE_WINDOW};
use self::debounce::Debounce;
use self::deeds::Told;
pub use self::made::Made;
pub use self::policy::{Policy, Reason};

/// One channel's.
#[derive(Debug)]
pub struct Intake {
    policy: Policy,
    names: Names,
    pace: Arc<Pace>,
    debounce: Debounce,
    told: Told,
}

impl Intake {
    /// Of a channel with these fields, in which so much was written lately.
    pub fn new(config: &Map<String, Value>, pace: Arc<Pace>) -> Self {
        Self {
            policy: Policy::of(config),
            names: Names::of(config),
            pace,
            debounce: Debounce::of(config),
            told: Told::of(config),
        }
    }

    /// Whether messages of groups are kept that do not address the bot.
    fn keeps_context(&self) -> bool {
        self.policy.requires_mention()
    }

    /// Whether a message is accepted.
    ///
    /// # Errors
    /// Why it is not; [`Reason::NotPaired`] when that depends on whether its sender was let in.
    fn admit(&self, message: &Inbound) -> Result<(), Reason> {
        self.policy.admit(message).and_then(|()| self.admit_at_pace(message))
    }

    /// Whether no program writes on and on.
    ///
    /// # Errors
    /// [`Reason::BotPace`] when one may.
    fn admit_at_pace(&self, message: &Inbound) -> Result<(), Reason> {
        if self.pace.admits(message, Instant::now()) { Ok(()) } else { Err(Reason::BotPace) }
    }
}

/// Counts a message that is ignored.
fn ignored(reason: Reason) {
    Counter::MessagesIgnored.add(&[reason.as_str()]);
    debug!(reason = reason.as_str(), "a message is ignored: {}", reason.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a channel whose platform tells which messages programs wrote.
    fn telling(config: &Map<String, Value>) -> Intake {
        Intake::new(config, Arc::new(Pace::new(true)))
    }

    fn from_bot(chat: &str) -> Inbound {
        Inbound { sender_is_bot: true, recipient: chat.to_owned(), ..Inbound::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn own_messages_are_not_answered_in_a_loop() {
        let own = Inbound { is_own: true, recipient: "room".to_owned(), ..Inbound::default() };
        let config = Map::from_iter([("ignore_bots".to_owned(), Value::Bool(false))]);
        assert_eq!(telling(&config).admit(&own), Err(Reason::Own));
        assert_eq!(telling(&Map::new()).admit(&from_bot("room")), Err(Reason::Bot));
    }

    #[tokio::test(start_paused = true)]
    async fn two_programs_that_answer_each_other_are_slowed_down() {
        let config = Map::from_iter([("ignore_bots".to_owned(), Value::Bool(false))]);
        let intake = telling(&config);
        for _ in 0..bots::PACE {
            assert_eq!(intake.admit(&from_bot("room")), Ok(()));
        }
        assert_eq!(intake.admit(&from_bot("room")), Err(Reason::BotPace));
        assert_eq!(intake.admit(&from_bot("another room")), Ok(()));
        let person = Inbound { recipient: "room".to_owned(), ..Inbound::default() };
        assert_eq!(intake.admit(&person), Ok(()));
        tokio::time::advance(PACE_WINDOW).await;
        assert_eq!(intake.admit(&from_bot("room")), Ok(()));
    }

    /// A number or an account may be another service's bot, and its platform does not say so.
    #[tokio::test(start_paused = true)]
    async fn two_programs_that_nobody_tells_from_people_end_too() {
        let pace = Arc::new(Pace::new(false));
        let intake = Intake::new(&Map::new(), Arc::clone(&pace));
        let direct = |chat: &str| Inbound { recipient: chat.to_owned(), ..Inbound::default() };
        for _ in 0..bots::UNTOLD_PACE {
            assert_eq!(intake.admit(&direct("42")), Ok(()));
        }
        assert_eq!(intake.admit(&direct("42")), Err(Reason::BotPace));
        assert_eq!(intake.admit(&direct("7")), Ok(()));
        let group = Inbound { is_group: true, ..direct("42") };
        assert_eq!(intake.admit(&group), Ok(()), "in groups many people write");
        let loaded_anew = Intake::new(&Map::new(), pace);
        assert_eq!(loaded_anew.admit(&direct("42")), Err(Reason::BotPace));
        tokio::time::advance(PACE_WINDOW).await;
        assert_eq!(intake.admit(&direct("42")), Ok(()));

        let told = telling(&Map::new());
        for _ in 0..=bots::UNTOLD_PACE {
            assert_eq!(told.admit(&direct("42")), Ok(()), "where programs are told, this is a person");
        }
    }
}
