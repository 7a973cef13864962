use claw_types::{Direction, ShardId};
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::*;

fn id(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

fn answer(n: u128, seq: i64) -> Work {
    Work {
        id: id(n),
        seq,
        shard: ShardId(0),
        user_id: "ada".parse().unwrap(),
        channel_id: ChannelId(Uuid::from_u128(2)),
        direction: Direction::Out,
        conversation: "chat".to_owned(),
        payload: to_raw_value("").unwrap(),
        media: None,
        attempts: 0,
        platform_message_ids: Vec::new(),
        accepted_at_ms: 0,
        retries: 0,
        retried_at_ms: 0,
        ahead: Vec::new(),
        debounce_ms: 0,
        burst: None,
    }
}

/// Shown at these places, each for the question of the same number.
fn shown(places: &[i64]) -> Placeholders {
    let all = Placeholders::default();
    for seq in places {
        all.add(one(*seq), Instant::now() + AGE);
    }
    all
}

fn one(seq: i64) -> Placeholder {
    Placeholder {
        message: id(u128::try_from(seq).unwrap()),
        user: "ada".parse().unwrap(),
        channel: ChannelId(Uuid::from_u128(2)),
        conversation: "chat".to_owned(),
        seq,
        platform_id: format!("p{seq}"),
        question: Some(format!("q{seq}")),
        taken: None,
    }
}

fn chosen(all: &Placeholders, work: &Work, reply_to: Option<&str>) -> Option<(String, bool)> {
    all.choose(work, reply_to, true).map(|(mine, _)| (mine.platform_id, mine.in_place))
}

#[test]
fn the_only_one_becomes_the_answer_and_of_several_the_oldest_goes() {
    let place = |id: &str, in_place| Some((id.to_owned(), in_place));
    assert_eq!(chosen(&shown(&[]), &answer(9, 9), None), None);
    assert_eq!(chosen(&shown(&[1]), &answer(9, 9), None), place("p1", true));
    assert_eq!(chosen(&shown(&[1, 2]), &answer(9, 9), None), place("p1", false));
    assert_eq!(chosen(&shown(&[1, 2]), &answer(9, 9), Some("q2")), place("p2", true));
    assert_eq!(chosen(&shown(&[1]), &answer(9, 9), Some("else")), None, "it answers something else");
    assert_eq!(chosen(&shown(&[1, 8]), &answer(9, 5), None), place("p1", true), "one came after it");
    let attachment = shown(&[1]).choose(&answer(9, 9), None, false).unwrap().0;
    assert!(!attachment.in_place, "a text can't become an attachment");
}

#[test]
fn an_answer_that_is_tried_again_takes_the_same_one_and_nobody_else_does() {
    let all = shown(&[1]);
    let (mine, is_new) = all.choose(&answer(9, 9), None, true).unwrap();
    assert!(is_new);
    all.take(&answer(9, 9), &mine);
    assert_eq!(all.choose(&answer(9, 9), None, true), Some((mine.clone(), false)));
    assert_eq!(chosen(&all, &answer(10, 10), None), None);
    all.forget(&answer(9, 9), mine.message);
    assert!(all.known().chats.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_left_and_forgotten() {
    let all = shown(&[1]);
    tokio::time::advance(AGE).await;
    assert_eq!(chosen(&all, &answer(9, 9), None), None);
    all.known().forget_old(Instant::now());
    assert_eq!(all.known().chats.len(), 1, "one is no trouble");
    for n in 0..CHATS {
        let old = Placeholder { conversation: n.to_string(), ..one(1) };
        all.add(old, Instant::now());
    }
    assert_eq!(all.known().chats.len(), 1, "of so many, only the last, which nobody looked at yet");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_tried_for_hours_still_finds_its_own() {
    let all = shown(&[1]);
    let (mine, _) = all.choose(&answer(9, 9), None, true).unwrap();
    all.take(&answer(9, 9), &mine);
    tokio::time::advance(AGE + AGE).await;
    for n in 0..2 * CHATS {
        all.add(Placeholder { conversation: n.to_string(), ..one(1) }, Instant::now());
    }
    assert_eq!(all.choose(&answer(9, 9), None, true), Some((mine, false)));
}
