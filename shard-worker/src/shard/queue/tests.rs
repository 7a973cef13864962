use claw_types::{ChannelId, Direction};
use futures::FutureExt as _;
use uuid::Uuid;

use super::*;
use crate::testing::{self, place};

fn work(seq: i64, conversation: &str) -> Work {
    Work {
        id: MessageId(Uuid::from_u128(seq.unsigned_abs().into())),
        seq,
        user_id: "u".parse().unwrap(),
        conversation: conversation.to_owned(),
        ..testing::work()
    }
}

mod bursts;
mod census;
mod dead;
mod tenants;

fn due(works: Vec<Work>) -> Vec<(Work, Duration)> {
    works.into_iter().map(|work| (work, Duration::ZERO)).collect()
}

/// A queue that has caught up.
fn settled(now: Instant) -> ShardQueue {
    let mut queue = ShardQueue::new();
    queue.begin_page(0, now);
    queue.end_page(Vec::new(), false, now);
    assert!(!queue.wants_sweep());
    queue
}

fn attempt(queue: &mut ShardQueue, key: &LaneKey, now: Instant) -> i64 {
    match queue.next(key, now, 0) {
        Next::Attempt(work) => work.seq,
        other => panic!("an attempt, not {other:?}"),
    }
}

/// As one that was accepted while these were pending.
fn behind(seq: i64, conversation: &str, ahead: &[i64]) -> Work {
    let ahead = ahead.iter().map(|seq| work(*seq, conversation).id).collect();
    Work { ahead, ..work(seq, conversation) }
}

#[tokio::test]
async fn a_shard_with_much_in_memory_is_looked_through_less_often() {
    let start = Instant::now();
    let mut queue = settled(start);
    let after = |seconds: u64| start + Duration::from_secs(seconds);
    for seq in 1..=i64::try_from(MUCH).unwrap() {
        assert!(queue.offer(work(seq, &format!("chat {seq}"))).is_some());
    }
    assert!(queue.wants_look(after(1)), "that much is read quickly");
    queue.offer(work(100, "one more"));
    assert!(!queue.wants_look(after(1)));
    assert!(queue.wants_look(after(5)), "a lost publish is found all the same");
    queue.begin_page(100, after(5));
    queue.end_page(Vec::new(), false, after(5));
    assert!(!queue.wants_look(after(9)));
    queue.leave_to_sweep();
    assert!(queue.wants_sweep(), "what is known to be missing is read at once");
}

#[tokio::test]
async fn a_message_does_not_overtake_one_that_another_publisher_lost() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(behind(2, "a", &[1])).expect("a runner to read it");
    assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 0, .. }));
    queue.loaded(&lane, vec![work(1, "a"), work(2, "a")], false);
    assert!(queue.offer(behind(3, "a", &[1, 2])).is_none(), "both are known");
    assert!(queue.offer(behind(5, "a", &[3, 4])).is_none(), "it has a runner");
    for seq in 1..=3 {
        assert_eq!(attempt(&mut queue, &lane, now), seq);
        queue.finished(&lane, now);
    }
    assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 0, .. }));
    queue.loaded(&lane, vec![work(4, "a"), work(5, "a")], false);
    for seq in 4..=5 {
        assert_eq!(attempt(&mut queue, &lane, now), seq);
        queue.finished(&lane, now);
    }
    assert!(matches!(queue.next(&lane, now, 0), Next::Finished));
    assert!(queue.offer(behind(6, "a", &[5])).is_some(), "done meanwhile, and remembered");
    assert!(!queue.wants_sweep());
}

#[tokio::test]
async fn a_conversation_is_worked_off_in_order_by_one_runner() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).unwrap();
    assert!(queue.offer(work(3, "a")).is_none(), "one runner is enough");
    assert!(queue.offer(work(2, "a")).is_none());
    assert!(queue.offer(work(4, "b")).is_some(), "another conversation has its own");
    for seq in 1..=3 {
        assert_eq!(attempt(&mut queue, &lane, now), seq);
        queue.finished(&lane, now);
    }
    assert!(matches!(queue.next(&lane, now, 0), Next::Finished));
    assert_eq!(queue.known.len(), 1);
}

#[tokio::test]
async fn what_is_done_is_not_done_again_when_it_arrives_late() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).unwrap();
    queue.finished(&lane, now);
    assert!(matches!(queue.next(&lane, now, 0), Next::Finished));
    assert!(queue.offer(work(1, "a")).is_none());
    queue.begin_page(1, now);
    assert!(queue.end_page(due(vec![work(1, "a")]), false, now).is_empty());
    assert!(queue.known.is_empty());
}

#[tokio::test]
async fn what_is_set_back_to_work_is_done_once_more() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).unwrap();
    queue.offer(work(2, "a"));
    let revived = |seq| Work { id: work(1, "a").id, retries: 1, ..work(seq, "a") };
    assert!(queue.offer(revived(3)).is_none());
    queue.finished(&lane, now);
    assert_eq!(attempt(&mut queue, &lane, now), 2, "it came before it was known to have ended");
    queue.begin_page(3, now);
    assert!(
        queue.end_page(due(vec![work(2, "a"), revived(3)]), false, now).is_empty(),
        "the lane has a runner"
    );
    queue.finished(&lane, now);
    assert_eq!(attempt(&mut queue, &lane, now), 3, "the pass found it, behind what was in flight");
    queue.finished(&lane, now);
    assert!(matches!(queue.next(&lane, now, 0), Next::Finished));
    assert!(queue.offer(revived(3)).is_none() && queue.offer(work(1, "a")).is_none(), "and only once");
    let again = Work { retries: 2, ..revived(4) };
    assert_eq!(queue.offer(again), Some(lane), "until somebody does so again");
}

#[tokio::test]
async fn after_a_gap_the_sweep_keeps_the_order() {
    let now = Instant::now();
    let mut queue = settled(now);
    queue.leave_to_sweep();
    assert!(queue.offer(behind(2, "a", &[1])).is_none(), "1 was lost; 2 must not overtake it");
    assert!(queue.wants_sweep());
    queue.begin_page(2, now);
    let lanes = queue.end_page(due(vec![work(1, "a"), work(2, "a")]), false, now);
    assert_eq!(attempt(&mut queue, &lanes[0], now), 1);
    assert!(!queue.wants_sweep());
}

#[tokio::test]
async fn what_is_left_during_a_page_needs_another_one() {
    let now = Instant::now();
    let mut queue = ShardQueue::new();
    queue.begin_page(0, now);
    queue.offer(behind(5, "a", &[4]));
    queue.end_page(Vec::new(), false, now);
    assert!(queue.wants_sweep(), "the page was read before message 5 was committed");
    queue.begin_page(5, now);
    assert_eq!(queue.end_page(due(vec![work(5, "a")]), false, now).len(), 1);
    assert!(!queue.wants_sweep());
}

#[tokio::test]
async fn a_long_conversation_is_read_on_from_the_database() {
    let now = Instant::now();
    let mut queue = ShardQueue::new();
    queue.begin_page(100, now);
    let lane = queue.end_page(due((1..=100).map(|seq| work(seq, "a")).collect()), false, now).remove(0);
    assert_eq!(queue.known.len(), LANE_WINDOW);
    let mut seen = Vec::new();
    loop {
        match queue.next(&lane, now, 0) {
            Next::Attempt(work) => {
                seen.push(work.seq);
                queue.finished(&lane, now);
            }
            Next::Load { after, limit } => {
                let found: Vec<_> = (after + 1..=100).take(limit).map(|seq| work(seq, "a")).collect();
                let full = found.len() == limit;
                queue.loaded(&lane, found, full);
            }
            other @ (Next::WaitUntil(_) | Next::Burst(_) | Next::Gather { .. }) => panic!("not {other:?}"),
            Next::Finished => break,
        }
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failing_conversation_holds_one_message_in_memory() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).unwrap();
    queue.offer(work(2, "a"));
    queue.offer(work(3, "a"));
    let again = Work { attempts: 1, ..work(1, "a") };
    let later = now + Duration::from_secs(60);
    queue.retry(&lane, again, later);
    assert_eq!(queue.known.len(), 1);
    assert!(matches!(queue.next(&lane, now, 0), Next::WaitUntil(at) if at == later));
    queue.offer(work(4, "a"));
    assert_eq!(queue.known.len(), 1, "the rest waits in the database");
    assert_eq!(attempt(&mut queue, &lane, later), 1);
    queue.finished(&lane, later);
    assert!(matches!(queue.next(&lane, later, 0), Next::Load { after: 1, .. }));
    queue.loaded(&lane, vec![work(2, "a"), work(3, "a"), work(4, "a")], false);
    assert_eq!(attempt(&mut queue, &lane, later), 2);
}

/// Works the lane off as its runner does, with these messages still pending in the database; tells their places.
fn work_off(queue: &mut ShardQueue, lane: &LaneKey, mut pending: Vec<i64>, now: Instant) -> Vec<i64> {
    let mut seen = Vec::new();
    loop {
        match queue.next(lane, now, 0) {
            Next::Attempt(work) => {
                seen.push(work.seq);
                pending.retain(|seq| *seq != work.seq);
                queue.finished(lane, now);
            }
            Next::Load { after, limit } => {
                let found = pending.iter().filter(|seq| **seq > after).take(limit);
                let found: Vec<_> = found.map(|seq| work(*seq, "a")).collect();
                let full = found.len() == limit;
                queue.loaded(lane, found, full);
            }
            other @ (Next::WaitUntil(_) | Next::Burst(_) | Next::Gather { .. }) => panic!("not {other:?}"),
            Next::Finished => return seen,
        }
    }
}

#[tokio::test]
async fn one_that_arrived_late_is_next_after_a_failure() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(6, "a")).unwrap();
    queue.offer(work(5, "a"));
    queue.offer(work(7, "a"));
    for attempts in 1..=2 {
        queue.retry(&lane, Work { attempts, ..work(6, "a") }, now);
    }
    assert_eq!(work_off(&mut queue, &lane, vec![5, 6, 7], now), [6, 5, 7]);
}

#[tokio::test]
async fn one_that_arrives_while_the_lane_waits_is_next() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(6, "a")).unwrap();
    queue.offer(work(7, "a"));
    queue.retry(&lane, work(6, "a"), now);
    queue.offer(work(5, "a"));
    assert_eq!(work_off(&mut queue, &lane, vec![5, 6, 7], now), [6, 5, 7]);
}

#[tokio::test]
async fn many_that_arrive_late_are_all_next() {
    let now = Instant::now();
    let (mut queue, last) = (settled(now), 100);
    let lane = queue.offer(work(last, "a")).unwrap();
    for seq in (1..last).rev() {
        queue.offer(work(seq, "a"));
    }
    queue.retry(&lane, work(last, "a"), now);
    queue.offer(work(last + 1, "a"));
    let expected: Vec<_> = [last].into_iter().chain(1..last).chain([last + 1]).collect();
    assert_eq!(work_off(&mut queue, &lane, (1..=last + 1).collect(), now), expected);
}

#[tokio::test]
async fn one_that_arrives_late_during_a_load_is_loaded_next() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(6, "a")).unwrap();
    queue.offer(work(7, "a"));
    queue.retry(&lane, work(6, "a"), now);
    queue.finished(&lane, now);
    assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 6, .. }));
    queue.offer(work(5, "a"));
    queue.loaded(&lane, vec![work(7, "a")], false);
    assert_eq!(work_off(&mut queue, &lane, vec![5, 7, 8], now), [7, 5, 8]);
}

#[tokio::test]
async fn what_is_left_during_a_load_is_loaded_next() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).unwrap();
    queue.offer(work(2, "a"));
    queue.retry(&lane, work(1, "a"), now);
    queue.finished(&lane, now);
    assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 1, .. }));
    queue.offer(work(3, "a"));
    queue.loaded(&lane, vec![work(2, "a")], false);
    assert_eq!(attempt(&mut queue, &lane, now), 2);
    queue.finished(&lane, now);
    assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 2, .. }));
}

/// As one of this tenant's.
fn of(user: &str, work: Work) -> Work {
    Work { user_id: user.parse().unwrap(), ..work }
}

/// A queue whose window is full of conversations of several tenants with one message each, numbered from 1.
fn full(now: Instant) -> ShardQueue {
    let mut queue = settled(now);
    for seq in 1..=i64::try_from(SHARD_WINDOW).unwrap() {
        let user = format!("tenant-{}", seq % 8);
        assert!(queue.offer(of(&user, work(seq, &seq.to_string()))).is_some());
    }
    queue
}

#[tokio::test]
async fn a_full_window_leaves_the_rest_to_the_sweep() {
    let now = Instant::now();
    let mut queue = full(now);
    assert!(queue.offer(behind(5_000, "a", &[4_000])).is_none());
    assert_eq!(queue.known.len(), SHARD_WINDOW);
    assert!(!queue.wants_sweep(), "no room yet");
    for seq in 1..1_100 {
        let lane = LaneKey::of(&work(seq, &seq.to_string()));
        queue.finished(&lane, now);
        assert!(matches!(queue.next(&lane, now, 0), Next::Finished));
    }
    assert!(queue.wants_sweep());
}

#[tokio::test]
async fn a_backlog_does_not_delay_a_conversation_that_has_no_part_in_it() {
    let now = Instant::now();
    for mut queue in [full(now), ShardQueue::new()] {
        let lane = queue.offer(work(6_002, "a")).expect("a runner at once");
        assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 0, .. }));
        queue.offer(behind(6_003, "a", &[6_002]));
        // 6,001 was accepted in the same statement as 6,002, so that one does not know of it.
        assert_eq!(work_off(&mut queue, &lane, vec![6_001, 6_002, 6_003], now), [6_001, 6_002, 6_003]);
        assert!(queue.offer(work(6_002, "a")).is_none(), "done, and remembered");
        assert!(queue.offer(behind(6_004, "a", &[6_003])).is_some(), "what was ahead of it is done");
        assert!(
            queue.offer(behind(7_001, "b", &[5_000])).is_none(),
            "its conversation is part of the backlog"
        );
    }
}

#[tokio::test]
async fn what_the_sweep_brings_to_a_lane_beside_it_does_not_change_the_order() {
    let now = Instant::now();
    let mut queue = ShardQueue::new();
    queue.begin_page(9, now);
    let lane = queue.offer(work(6, "a")).unwrap();
    assert!(matches!(queue.next(&lane, now, 0), Next::Load { after: 0, .. }));
    assert!(queue.end_page(due(vec![work(5, "a"), work(6, "a")]), false, now).is_empty());
    queue.loaded(&lane, vec![work(5, "a"), work(6, "a")], false);
    assert_eq!(work_off(&mut queue, &lane, vec![5, 6], now), [5, 6]);
}

#[tokio::test]
async fn the_reserve_beside_a_backlog_is_bounded_and_comes_free() {
    let now = Instant::now();
    let mut queue = ShardQueue::new();
    let user = |seq| format!("tenant-{}", seq % 8);
    let lanes = (1..=1_000).filter_map(|seq| queue.offer(of(&user(seq), work(seq, &seq.to_string()))));
    let lanes: Vec<_> = lanes.collect();
    assert_eq!(lanes.len(), RESERVE);
    queue.loaded(&lanes[0], vec![of(&user(1), work(1, "1"))], false);
    queue.retry(&lanes[0], Work { attempts: 1, ..of(&user(1), work(1, "1")) }, now + Duration::from_secs(60));
    assert!(queue.offer(work(2_001, "a")).is_some(), "one that fails leaves it");
    assert!(queue.offer(work(2_002, "b")).is_none());
    queue.loaded(&lanes[1], Vec::new(), false);
    assert!(matches!(queue.next(&lanes[1], now, 0), Next::Finished));
    assert!(queue.offer(work(2_002, "b")).is_some());
}

#[tokio::test]
async fn passes_start_where_everything_has_settled() {
    let now = Instant::now();
    let mut queue = settled(now);
    assert_eq!(queue.begin_page(500, now), 0);
    queue.end_page(Vec::new(), false, now);
    let soon = now + Duration::from_secs(10);
    assert_eq!(queue.begin_page(900, soon), 0, "a transaction begun before may still commit");
    queue.end_page(Vec::new(), false, soon);
    let later = now + Duration::from_secs(31);
    queue.begin_page(950, later);
    queue.end_page(Vec::new(), false, later);
    assert_eq!(queue.begin_page(960, later), 500);
    queue.end_page(Vec::new(), false, later);
    assert_eq!(queue.begin_page(960, later + LOOK_AT_ALL), 0, "what was set back by hand is found");
}

#[tokio::test]
async fn what_waits_while_it_is_alone_hears_of_what_comes_behind_it() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).unwrap();
    assert_eq!(attempt(&mut queue, &lane, now), 1);
    let news = queue.alone(&lane).expect("nothing is behind it");
    queue.offer(work(2, "b"));
    assert!(news.notified().now_or_never().is_none(), "another conversation's");
    queue.offer(work(3, "a"));
    news.notified().now_or_never().expect("something came");
    assert!(queue.alone(&lane).is_none());
    queue.finished(&lane, now);
    assert_eq!(attempt(&mut queue, &lane, now), 3);
    assert!(queue.alone(&lane).is_some());
}

#[tokio::test]
async fn a_page_that_is_full_goes_on_behind_its_last_row() {
    let now = Instant::now();
    let mut queue = ShardQueue::new();
    assert_eq!(queue.begin_page(9, now), 0);
    queue.end_page(due(vec![work(1, "a"), work(4, "b")]), true, now);
    assert!(queue.wants_sweep());
    assert_eq!(queue.begin_page(9, now), 4);
}

#[tokio::test]
async fn a_message_that_is_not_due_waits() {
    let now = Instant::now();
    let mut queue = ShardQueue::new();
    queue.begin_page(9, now);
    let later = Duration::from_secs(40);
    let lane = queue.end_page(vec![(Work { attempts: 3, ..work(1, "a") }, later)], false, now).remove(0);
    assert!(matches!(queue.next(&lane, now, 0), Next::WaitUntil(at) if at == now + later));
}

#[tokio::test]
async fn a_look_at_known_messages_ends_without_reading_them() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(work(1, "a")).expect("a lane");
    queue.offer(work(2, "a"));
    assert!(!queue.is_catching_up());
    queue.begin_page(2, now);
    assert!([1, 2].iter().all(|seq| queue.knows(&place(&work(*seq, "a")))));
    assert!(!queue.knows(&place(&work(3, "a"))), "what a lost publish left behind");
    queue.end_known_page(Some(2), false, now);
    assert!(!queue.wants_sweep());
    assert_eq!(attempt(&mut queue, &lane, now), 1);
    queue.finished(&lane, now);
    assert!(queue.knows(&place(&work(1, "a"))), "a late look at what is done");
    assert!(!queue.knows(&place(&Work { retries: 1, ..work(1, "a") })), "it was set back to work since");
    queue.begin_page(2, now);
    queue.end_known_page(Some(2), true, now);
    assert_eq!(queue.begin_page(9, now), 2, "the next page of a full one");
}

#[tokio::test]
async fn what_waits_behind_a_failure_is_known_unless_a_load_may_have_passed_it_by() {
    let now = Instant::now();
    let mut queue = settled(now);
    let knows = |queue: &ShardQueue, work: &Work| queue.knows(&place(work));
    let lane = queue.offer(work(5, "a")).expect("a lane");
    queue.offer(work(6, "a"));
    let later = now + Duration::from_secs(60);
    assert!(queue.retry(&lane, Work { attempts: 1, ..work(5, "a") }, later));
    assert!(knows(&queue, &work(5, "a")), "it is in memory");
    assert!(knows(&queue, &work(6, "a")), "it was, and is read in its turn");
    assert!(knows(&queue, &work(7, "a")), "though its publish was lost");
    assert!(!knows(&queue, &work(4, "a")), "one that was committed late is read from where it lies");
    let outbound = Work { direction: Direction::Out, ..work(7, "a") };
    let elsewhere = Work { channel_id: ChannelId::NONE, ..work(7, "a") };
    assert!([work(7, "b"), outbound, elsewhere].iter().all(|other| !knows(&queue, other)), "of other lanes");
    assert_eq!(attempt(&mut queue, &lane, later), 5);
    assert!(knows(&queue, &work(7, "a")), "while it is attempted, too");
    queue.finished(&lane, later);
    assert!(matches!(queue.next(&lane, later, 0), Next::Load { after: 5, .. }));
    assert!(!knows(&queue, &work(7, "a")), "the load may have begun before it was committed");
    queue.loaded(&lane, vec![work(6, "a")], false);
    assert!(!knows(&queue, &work(7, "a")), "and that was the last one");
    queue.begin_page(7, later);
    queue.end_page(due(vec![work(6, "a"), work(7, "a")]), false, later);
    assert_eq!(work_off(&mut queue, &lane, vec![6, 7], later), [6, 7]);
}
