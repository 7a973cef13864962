//! What a posted body says of an answer of ours: that it arrived, that it was read, or that it will not arrive.
//!
//! Must hold: of an answer it tells what the other system knows, so a reason belongs to a failure alone, and a failure always has one.

use claw_types::{Deed, Named, Receipts};
use serde::Deserialize;

use super::deed::Event;
use super::incoming::Incoming;
use crate::kit::answer::excerpt;

/// Most characters of a reason; what is longer is cut.
const MAX_REASON: usize = 500;
/// The reason of a failure that comes without one.
const UNTOLD: &str = "the other system can't deliver it and gave no reason";

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// The person's device has it.
    Delivered,
    /// The person saw it.
    Read,
    /// The other system took it and can't deliver it after all.
    Failed,
}

/// What became of an answer, and why.
pub(super) struct Told {
    outcome: Outcome,
    reason: Option<String>,
}

impl Told {
    /// Takes it out of a body, if that is a receipt; else a sentence on what is wrong with it.
    pub(super) fn of(incoming: &mut Incoming) -> Result<Option<Self>, String> {
        let (outcome, reason) = (incoming.receipt.take(), incoming.reason.take());
        if incoming.event != Event::Receipt {
            return match (outcome, reason) {
                (None, None) => Ok(None),
                _ => Err("\"receipt\" and \"reason\" belong to \"event\": \"receipt\"".to_owned()),
            };
        }
        let Some(outcome) = outcome else {
            return Err("\"receipt\" is missing: \"delivered\", \"read\" or \"failed\"".to_owned());
        };
        if outcome != Outcome::Failed && reason.is_some() {
            return Err("\"reason\" belongs to \"receipt\": \"failed\"".to_owned());
        }
        Ok(Some(Self { outcome, reason: reason.filter(|reason| !reason.trim().is_empty()) }))
    }

    /// As the deed that tells it of the answer that the other system knows by this id.
    pub(super) fn about(self, message: String) -> Deed {
        let why = || self.reason.as_deref().map_or_else(|| UNTOLD.to_owned(), |why| excerpt(why, MAX_REASON));
        Deed::Received(Receipts {
            messages: vec![Named::Platform(message)],
            read: self.outcome == Outcome::Read,
            failed: (self.outcome == Outcome::Failed).then(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::channel;
    use super::*;

    fn read(extra: Value) -> Result<Receipts, String> {
        let mut body = json!({"event": "receipt", "message_id": "a1", "conversation_id": "room", "sender": {"id": "ann"}});
        let Value::Object(extra) = extra else { panic!("an object") };
        body.as_object_mut().unwrap().extend(extra);
        let message = channel(None).read(body.to_string().as_bytes(), None)?;
        assert_eq!(message.recipient, "room", "an answer is known by its chat and its id");
        match message.deed {
            Deed::Received(receipts) => Ok(receipts),
            deed => panic!("{deed:?}"),
        }
    }

    #[test]
    fn a_receipt_says_what_became_of_an_answer() {
        let of_answer =
            || Receipts { messages: vec![Named::Platform("a1".to_owned())], ..Receipts::default() };
        assert_eq!(read(json!({"receipt": "delivered"})), Ok(of_answer()));
        assert_eq!(read(json!({"receipt": "read"})), Ok(Receipts { read: true, ..of_answer() }));
        let failed = |why: &str| -> Result<Receipts, String> {
            Ok(Receipts { failed: Some(why.to_owned()), ..of_answer() })
        };
        assert_eq!(read(json!({"receipt": "failed", "reason": "no such\u{0}room"})), failed("no such room"));
        assert_eq!(read(json!({"receipt": "failed", "reason": " "})), failed(UNTOLD));
        let cut = failed(&"x".repeat(MAX_REASON));
        assert_eq!(read(json!({"receipt": "failed", "reason": "x".repeat(MAX_REASON + 1)})), cut);
    }

    #[test]
    fn what_does_not_fit_a_receipt_is_refused_with_a_sentence() {
        for (extra, reason) in [
            (json!({}), "\"receipt\" is missing"),
            (json!({"receipt": "read", "message_id": null}), "\"message_id\" is missing"),
            (json!({"receipt": "seen"}), "unknown variant `seen`"),
            (json!({"receipt": "read", "reason": "why not"}), "\"reason\" belongs to"),
            (json!({"receipt": "read", "text": "hi"}), "has no \"text\""),
            (json!({"receipt": "read", "added": ["👍"]}), "\"added\" and \"removed\" belong to"),
            (
                json!({"event": "message", "text": "hi", "receipt": "read"}),
                "\"receipt\" and \"reason\" belong",
            ),
            (json!({"event": "message", "text": "hi", "reason": "why"}), "\"receipt\" and \"reason\" belong"),
        ] {
            let said = read(extra.clone()).unwrap_err();
            assert!(said.contains(reason), "{extra}: {said}");
        }
    }
}
