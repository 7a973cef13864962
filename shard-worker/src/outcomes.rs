//! Who waits for which message, and what became of the last ones.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_store::MessageStatus;
use claw_types::MessageId;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// An answer is kept at least this long for a question that comes late.
const KEEP: Duration = Duration::from_secs(30);

/// The waiting callers and the recent outcomes.
#[derive(Default)]
pub(crate) struct Outcomes(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    waiting: HashMap<MessageId, Vec<oneshot::Sender<MessageStatus>>>,
    young: HashMap<MessageId, MessageStatus>,
    old: HashMap<MessageId, MessageStatus>,
    turned: Option<Instant>,
}

/// A question's answer: there already, or to come.
pub(crate) enum Answer {
    Known(MessageStatus),
    Coming(oneshot::Receiver<MessageStatus>),
}

impl Outcomes {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a message's outcome.
    pub(crate) fn ask(&self, id: MessageId) -> Answer {
        let mut inner = self.inner();
        if let Some(status) = inner.young.get(&id).or_else(|| inner.old.get(&id)) {
            return Answer::Known(status.clone());
        }
        let (sender, receiver) = oneshot::channel();
        let waiting = inner.waiting.entry(id).or_default();
        // Callers that gave up leave their senders behind.
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        Answer::Coming(receiver)
    }

    /// A message is done, one way or another.
    pub(crate) fn tell(&self, id: MessageId, status: &MessageStatus) {
        let mut inner = self.inner();
        for sender in inner.waiting.remove(&id).unwrap_or_default() {
            // Nobody waits any more.
            drop(sender.send(status.clone()));
        }
        let now = Instant::now();
        if inner.turned.is_none_or(|turned| now.duration_since(turned) >= KEEP) {
            inner.old = std::mem::take(&mut inner.young);
            inner.turned = Some(now);
            inner.waiting.retain(|_, waiting| waiting.iter().any(|sender| !sender.is_closed()));
        }
        inner.young.insert(id, status.clone());
    }

    /// A message is worked on once more: what became of it before is no answer.
    pub(crate) fn forget(&self, id: MessageId) {
        let mut inner = self.inner();
        inner.young.remove(&id);
        inner.old.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use claw_types::MessageState;
    use uuid::Uuid;

    use super::*;

    fn done() -> MessageStatus {
        MessageStatus { state: MessageState::Done, platform_message_ids: vec!["7".into()], error: None }
    }

    #[tokio::test]
    async fn early_and_late_questions_get_the_answer() {
        let outcomes = Outcomes::default();
        let id = MessageId(Uuid::from_u128(1));
        let Answer::Coming(early) = outcomes.ask(id) else { panic!("not known yet") };
        outcomes.tell(id, &done());
        assert_eq!(early.await.unwrap(), done());
        assert!(matches!(outcomes.ask(id), Answer::Known(status) if status == done()));
    }

    #[tokio::test]
    async fn a_message_that_is_worked_on_again_is_waited_for_again() {
        let outcomes = Outcomes::default();
        let id = MessageId(Uuid::from_u128(1));
        outcomes.tell(id, &done());
        outcomes.forget(id);
        assert!(matches!(outcomes.ask(id), Answer::Coming(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_are_forgotten_in_the_end() {
        let outcomes = Outcomes::default();
        let id = MessageId(Uuid::from_u128(1));
        outcomes.tell(id, &done());
        for n in 2..4 {
            tokio::time::advance(KEEP).await;
            outcomes.tell(MessageId(Uuid::from_u128(n)), &done());
        }
        assert!(matches!(outcomes.ask(id), Answer::Coming(_)));
    }
}
