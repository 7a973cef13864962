//! Each rule can fail, and what is allowed does not.

use std::sync::{Arc, Mutex};

use super::*;

fn accepted(conversation: &str, id: &str) -> Event {
    Event::Accepted { conversation: conversation.into(), id: id.into() }
}

fn delivered(conversation: &str, id: &str) -> Event {
    delivered_as(conversation, id, id, "body")
}

fn delivered_as(conversation: &str, id: &str, key: &str, digest: &str) -> Event {
    let (conversation, id) = (conversation.into(), id.into());
    Event::Delivered { conversation, id, key: key.into(), digest: digest.into() }
}

fn held(bot: &str, by: &str) -> Event {
    Event::Held { bot: bot.into(), by: by.into(), at: 1 }
}

fn let_go(bot: &str, by: &str) -> Event {
    Event::LetGo { bot: bot.into(), by: by.into(), at: 2 }
}

fn verdict(events: impl IntoIterator<Item = Event>) -> Report {
    let mut checker = Checker::default();
    for event in events {
        checker.record(event);
    }
    checker.verdict()
}

#[test]
fn what_is_allowed_is_no_fault() {
    let report = verdict([
        accepted("c", "1"),
        // The receiver may have it before the sender hears that it is in.
        delivered("c", "2"),
        delivered("c", "1"),
        delivered("c", "1"),
        // Its sender never heard of it.
        delivered("c", "unheard"),
        accepted("d", "1d"),
        delivered("d", "1d"),
        Event::Committed { shard: 1, epoch: 3, newest: 3 },
        Event::Committed { shard: 1, epoch: 4, newest: 4 },
        held("b", "one"),
        let_go("b", "one"),
        held("b", "two"),
    ]);
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.accepted, report.delivered, report.again), (2, 4, 1));
}

#[test]
fn a_lost_message_is_found() {
    let mut checker = Checker::default();
    checker.record(accepted("c", "1"));
    checker.record(accepted("c", "2"));
    checker.record(delivered("c", "2"));
    assert_eq!(checker.outstanding(), 1);
    assert_eq!(checker.verdict().lost, ["1 of c"]);
    assert!(checker.verdict().out_of_order.is_empty());
    assert!(!checker.verdict().is_clean());
}

#[test]
fn a_message_that_a_receiver_would_take_twice_is_found() {
    let again =
        |second| verdict([accepted("c", "1"), delivered_as("c", "1", "k", "body"), second]).duplicates.len();
    assert_eq!(again(delivered_as("c", "1", "k", "body")), 0);
    assert_eq!(again(delivered_as("c", "1", "other", "body")), 1);
    assert_eq!(again(delivered_as("c", "1", "k", "another body")), 1);
    assert_eq!(again(delivered_as("d", "1", "k", "body")), 1);
    // A receiver would leave this one out although it never had it.
    assert_eq!(again(delivered_as("c", "2", "k", "body")), 1);
}

#[test]
fn order_is_that_of_acceptance_by_first_deliveries() {
    let order = |ids: [&str; 3]| {
        let all = ["1", "2", "3"].map(|id| accepted("c", id)).into_iter();
        verdict(all.chain(ids.map(|id| delivered("c", id)))).out_of_order
    };
    assert!(order(["1", "2", "3"]).is_empty());
    assert_eq!(order(["2", "1", "3"]), ["c: 2 came before 1"]);
    let again = ["1", "2", "1", "3"].map(|id| delivered("c", id));
    let events = ["1", "2", "3"].map(|id| accepted("c", id)).into_iter().chain(again);
    assert!(verdict(events).is_clean());
}

#[test]
fn a_message_in_another_conversation_is_found() {
    let report = verdict([accepted("c", "1"), accepted("d", "2"), delivered("d", "1"), delivered("d", "2")]);
    assert!(!report.is_clean(), "{report}");
}

#[test]
fn epochs_that_fall_are_found() {
    let committed = |epoch, newest| Event::Committed { shard: 7, epoch, newest };
    assert_eq!(verdict([committed(2, 3)]).stale_writes.len(), 1);
    assert_eq!(verdict([committed(3, 3), committed(2, 2)]).stale_writes.len(), 1);
    let other = Event::Committed { shard: 8, epoch: 1, newest: 1 };
    assert!(verdict([committed(3, 3), other, committed(3, 3)]).is_clean());
}

#[test]
fn a_bot_that_is_held_twice_is_found() {
    assert_eq!(verdict([held("b", "one"), held("b", "two")]).held_twice.len(), 1);
    assert_eq!(verdict([held("b", "one"), held("b", "one")]).held_twice.len(), 1);
    assert_eq!(verdict([let_go("b", "one")]).held_twice.len(), 1);
    assert!(verdict([held("b", "one"), held("c", "one")]).is_clean());
}

/// A file that the test can read while the checker writes.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_verdict_can_be_computed_again_from_the_log() {
    let log = Shared::default();
    let mut checker = Checker::logging_to(log.clone());
    let events =
        [accepted("c", "1"), accepted("c", "2"), delivered("c", "2"), held("b", "one"), held("b", "two")];
    for event in events {
        checker.record(event);
    }
    let written = log.0.lock().unwrap().clone();
    let again = Checker::replay(written.as_slice()).unwrap();
    assert_eq!(again.verdict(), checker.verdict());
    assert!(!again.verdict().is_clean());
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let Err(error) =
        Checker::replay(b"{\"event\":\"let_go\",\"bot\":\"b\",\"by\":\"x\",\"at\":1}\nnonsense\n".as_slice())
    else {
        panic!("nonsense was read")
    };
    assert_eq!(error.to_string(), "line 2 is not an event");
}
