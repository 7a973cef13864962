use super::super::Census;
use super::*;

fn accepted(seq: i64, conversation: &str, at_ms: i64) -> Work {
    Work { accepted_at_ms: at_ms, ..work(seq, conversation) }
}

#[tokio::test]
async fn what_waits_for_another_attempt_is_not_what_nobody_gets_to() {
    let now = Instant::now();
    let mut queue = settled(now);
    assert_eq!(queue.census(), Census::default());
    for (seq, conversation) in [(1, "a"), (2, "a"), (3, "b")] {
        queue.offer(accepted(seq, conversation, seq * 1_000));
    }
    let both = Census { ready: 2, waiting: 0, oldest_ms: Some(1_000), catching_up: false };
    assert_eq!(queue.census(), both, "conversations, not messages");

    let first = accepted(1, "a", 1_000);
    let key = LaneKey::of(&first);
    assert_eq!(attempt(&mut queue, &key, now), 1);
    assert_eq!(queue.census(), both, "one that is under way is not delivered yet");
    assert!(queue.retry(&key, Work { attempts: 1, ..first }, now + Duration::from_secs(60)));
    let one = Census { ready: 1, waiting: 1, oldest_ms: Some(3_000), catching_up: false };
    assert_eq!(queue.census(), one);

    // Its time has come; it is as old as its backend was away.
    assert_eq!(attempt(&mut queue, &key, now + Duration::from_secs(61)), 1);
    assert_eq!(queue.census(), Census { ready: 2, waiting: 0, ..one });
    assert!(ShardQueue::new().census().catching_up, "a shard that was just claimed");
    assert_eq!(one.and(both), Census { ready: 3, waiting: 1, oldest_ms: Some(1_000), catching_up: false });
}
