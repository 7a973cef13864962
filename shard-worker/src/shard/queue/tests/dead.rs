//! Conversations without number whose messages nobody takes.

use super::super::tenants::{TENANT_WAITING, TENANT_WINDOW};
use super::*;

const CONVERSATIONS: i64 = 100_000;

/// Does what is next for a lane whose conversation has this one message, which is refused, until it waits or is gone.
fn refuse(queue: &mut ShardQueue, lane: &LaneKey, only: &Work, now: Instant) {
    loop {
        match queue.next(lane, now, 0) {
            Next::Load { .. } => queue.loaded(lane, vec![only.clone()], false),
            Next::Attempt(work) => {
                let again = Work { attempts: work.attempts + 1, ..*work };
                if !queue.retry(lane, again, now + Duration::from_secs(3_600)) {
                    return;
                }
            }
            Next::WaitUntil(_) | Next::Finished => return,
            other @ (Next::Burst(_) | Next::Gather { .. }) => panic!("not {other:?}"),
        }
    }
}

/// A shard in which that many tenants have conversations whose messages are refused, each a message.
fn dead(tenants: i64, now: Instant) -> ShardQueue {
    let mut queue = settled(now);
    for seq in 1..=CONVERSATIONS {
        let only = of(&format!("dead-{}", seq % tenants), work(seq, &seq.to_string()));
        if let Some(lane) = queue.offer(only.clone()) {
            refuse(&mut queue, &lane, &only, now);
        }
    }
    queue
}

/// Whether a message of another tenant and conversation is attempted at once.
fn serves_others(queue: &mut ShardQueue, now: Instant) -> bool {
    let one = of("alive", work(CONVERSATIONS + 1, "alive"));
    let Some(lane) = queue.offer(one.clone()) else { return false };
    if let Next::Load { .. } = queue.next(&lane, now, 0) {
        queue.loaded(&lane, vec![one], false);
    }
    attempt(queue, &lane, now) == CONVERSATIONS + 1
}

#[tokio::test]
async fn a_tenants_dead_conversations_take_its_share_and_no_more() {
    let now = Instant::now();
    let mut queue = dead(1, now);
    let most = TENANT_WINDOW + TENANT_WAITING;
    assert!(queue.lanes.len() <= most && queue.known.len() <= most, "{} lanes", queue.lanes.len());
    assert!(queue.has_room(), "the sweep reads what else there is");
    assert!(serves_others(&mut queue, now));
    let waits = CONVERSATIONS / 2;
    queue.begin_page(waits, now);
    let stored =
        due(vec![of("dead-0", work(waits, &waits.to_string())), of("other", work(waits + 1, "other"))]);
    let started = queue.end_page(stored, false, now);
    assert_eq!(
        started.len(),
        1,
        "what others have in the database, and nothing of the dead ones: {started:?}"
    );
}

#[tokio::test]
async fn dead_conversations_of_many_tenants_are_bounded_and_new_ones_of_others_are_served() {
    let now = Instant::now();
    let mut queue = dead(100, now);
    let most = SHARD_WINDOW + WAITING + RESERVE;
    assert!(queue.lanes.len() <= most && queue.known.len() <= most, "{} lanes", queue.lanes.len());
    assert_eq!(queue.beside, 0, "none of them keeps a place in the reserve");
    assert!(serves_others(&mut queue, now));
    assert!(queue.catching_up, "what left the memory is read from the database when there is room");
}

#[tokio::test]
async fn what_left_the_memory_comes_back_when_there_is_room() {
    let now = Instant::now();
    let mut queue = dead(100, now);
    let gone = (1..=CONVERSATIONS).find(|seq| !queue.holds(work(*seq, "").id)).unwrap();
    let later = now + Duration::from_secs(3_600);
    for lane in queue.lanes.keys().cloned().collect::<Vec<_>>() {
        attempt(&mut queue, &lane, later);
        queue.finished(&lane, later);
        assert!(matches!(queue.next(&lane, later, 0), Next::Finished));
    }
    assert_eq!((queue.waiting, queue.beside, queue.known.len()), (0, 0, 0));
    assert!(queue.wants_pass());
    assert_eq!(
        queue.begin_page(CONVERSATIONS, later),
        0,
        "from the very beginning: it may lie before the floor"
    );
    let again = of(&format!("dead-{}", gone % 100), Work { attempts: 1, ..work(gone, &gone.to_string()) });
    queue.end_page(vec![(again, Duration::from_secs(60))], false, later);
    assert!(queue.holds(work(gone, "").id) || !queue.passed_over().is_empty());
}
