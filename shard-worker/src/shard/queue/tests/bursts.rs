//! Bursts: what is joined, how long it waits, and that a lane with one behaves as others do.

use claw_types::{Sender, album};
use futures::FutureExt as _;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::super::burst::{Front, MOST, MOST_SAID, front};
use super::*;

const DEBOUNCE_MS: u32 = 1_000;

/// Said at this moment by `by`, and waiting for what they write on.
fn said(seq: i64, at_ms: i64, by: &str, text: &str) -> Work {
    let sender = Sender { platform_id: by.to_owned(), display_name: by.to_owned(), internal_user: None };
    let body = json!({"user_id": "u", "channel": "c", "instance_name": "c_1", "content_type": "text", "text": text,
        "is_group": false, "timestamp": "2026-01-01T00:00:00Z", "metadata": {}, "sender": sender});
    Work {
        accepted_at_ms: at_ms,
        debounce_ms: DEBOUNCE_MS,
        payload: to_raw_value(&body).unwrap(),
        ..work(seq, "a")
    }
}

fn photo(seq: i64, at_ms: i64) -> Work {
    Work { media: Some(to_raw_value(&Value::Null).unwrap()), ..said(seq, at_ms, "ada", "") }
}

/// A part of an album, with what was written to it.
fn part(seq: i64, at_ms: i64, album: &str, text: &str) -> Work {
    let photo = Work { debounce_ms: album::WAIT_MS, ..photo(seq, at_ms) };
    let mut body: Value = serde_json::from_str(photo.payload.get()).unwrap();
    body["metadata"][album::KEY] = json!(album);
    body["text"] = json!(text);
    Work { payload: to_raw_value(&body).unwrap(), ..photo }
}

fn command(seq: i64, at_ms: i64) -> Work {
    Work { debounce_ms: 0, ..said(seq, at_ms, "ada", "/new") }
}

fn sealed(works: Vec<Work>) -> Vec<Work> {
    let last = works.last().unwrap().id;
    works.into_iter().map(|work| Work { burst: Some(last), ..work }).collect()
}

fn seqs(works: &[Work]) -> Vec<i64> {
    works.iter().map(|work| work.seq).collect()
}

#[test]
fn a_burst_is_what_one_person_writes_without_a_pause() {
    let ada = |seq, at| said(seq, at, "ada", "words");
    let long = |seq, chars: usize| said(seq, 0, "ada", &"x".repeat(chars));
    let many = |count: i64| (1..=count).map(|seq| ada(seq, 0)).collect::<Vec<_>>();
    let attempted = Work { attempts: 1, ..ada(2, 10) };
    let set_back = Work { retries: 1, ..ada(2, 10) };
    let odd = Work { payload: to_raw_value("odd").unwrap(), ..ada(2, 10) };
    let table = [
        ("it may go on", vec![ada(1, 0), ada(2, 900)], 1_000, Front::Open(1_900)),
        ("nothing came", vec![ada(1, 0), ada(2, 900)], 1_900, Front::Burst(2)),
        ("a pause divides it", vec![ada(1, 0), ada(2, 1_000)], 1_000, Front::Burst(1)),
        ("so it was if both are old", vec![ada(1, 0), ada(2, 999), ada(3, 9_000)], 99_000, Front::Burst(2)),
        ("an attachment is its end", vec![ada(1, 0), photo(2, 10)], 10, Front::Burst(2)),
        ("nothing is joined to one", vec![photo(1, 0), ada(2, 10)], 10, Front::Burst(1)),
        ("a command does not wait", vec![ada(1, 0), command(2, 10)], 10, Front::Burst(1)),
        ("nor does what others say", vec![ada(1, 0), said(2, 10, "bob", "x")], 10, Front::Burst(1)),
        ("nor what was tried alone", vec![ada(1, 0), attempted.clone()], 10, Front::Burst(1)),
        ("which stays alone", vec![attempted, ada(3, 20)], 20, Front::Burst(1)),
        ("what was set back is another", vec![ada(1, 0), set_back], 10, Front::Burst(1)),
        ("what can't be read is alone", vec![ada(1, 0), odd.clone()], 10, Front::Burst(1)),
        ("also in front", vec![odd, ada(3, 20)], 20, Front::Burst(1)),
        ("there are too many", many(12), 0, Front::Burst(MOST_SAID)),
        ("they are as many as may be", many(10), 0, Front::Burst(MOST_SAID)),
        ("they are too long", vec![long(1, 2_000), long(2, 2_001)], 0, Front::Burst(1)),
        ("they just fit", vec![long(1, 2_000), long(2, 2_000)], 0, Front::Open(1_000)),
        ("a command is alone", vec![command(1, 0), ada(2, 10)], 10, Front::Single),
    ];
    for (why, works, now_ms, expected) in table {
        assert_eq!(front(&works.into(), true, None, now_ms), expected, "{why}");
    }
}

#[test]
fn an_album_is_one_message_wherever_it_was_cut() {
    let ada = |seq, at| said(seq, at, "ada", "words");
    let album = |parts: std::ops::RangeInclusive<i64>, at: i64| {
        parts.map(|seq| part(seq, at, "7", "")).collect::<Vec<_>>()
    };
    let behind = |mut works: Vec<Work>, more: Vec<Work>| {
        works.extend(more);
        works
    };
    let bobs = part(2, 10, "7", "").payload.get().replace("ada", "bob");
    let others = Work { payload: RawValue::from_string(bobs).unwrap(), ..part(2, 10, "7", "") };
    let long = part(2, 10, "7", &"x".repeat(3_000));
    let table = [
        ("more may come", album(1..=2, 0), 999, Front::Open(1_000)),
        ("nothing came", album(1..=2, 0), 1_000, Front::Burst(2)),
        ("one alone is one", album(1..=1, 0), 1_000, Front::Burst(1)),
        ("all of the largest", album(1..=10, 0), 1_000, Front::Burst(10)),
        ("which waits like any", album(1..=10, 0), 0, Front::Open(1_000)),
        ("each is waited for", behind(album(1..=1, 0), album(2..=2, 900)), 1_800, Front::Open(1_900)),
        ("but not for ever", album(1..=25, 0), 0, Front::Burst(MOST)),
        ("what comes too late", behind(album(1..=1, 0), album(2..=2, 1_000)), 1_000, Front::Burst(1)),
        ("another album", behind(album(1..=2, 0), vec![part(3, 10, "8", "")]), 10, Front::Burst(2)),
        ("a text behind it", behind(album(1..=2, 0), vec![ada(3, 10)]), 10, Front::Burst(2)),
        ("a photo alone behind it", behind(album(1..=2, 0), vec![photo(3, 10)]), 10, Front::Burst(2)),
        ("somebody else's", vec![part(1, 0, "7", ""), others], 10, Front::Burst(1)),
        ("what was said before", behind(vec![ada(1, 0)], album(2..=3, 500)), 1_000, Front::Open(1_500)),
        ("is its text", behind(vec![ada(1, 0)], album(2..=3, 500)), 1_500, Front::Burst(3)),
        ("but of a command", vec![ada(1, 0), part(2, 10, "7", "/see")], 10, Front::Burst(1)),
        ("to which all belong", vec![part(1, 0, "7", "/see"), part(2, 10, "7", "")], 1_010, Front::Burst(2)),
        ("words don't divide it", vec![part(1, 0, "7", &"x".repeat(3_000)), long], 1_010, Front::Burst(2)),
    ];
    for (why, works, now_ms, expected) in table {
        assert_eq!(front(&works.into(), true, None, now_ms), expected, "{why}");
    }
    let many: Vec<Work> = (1..=9).map(|seq| ada(seq, 0)).chain(album(10..=19, 10)).collect();
    assert_eq!(
        front(&many.into(), true, None, 1_010),
        Front::Burst(19),
        "much said before takes none of its room"
    );
    let slow: Vec<Work> = (0..8).map(|n| part(n + 1, n * 900, "7", "")).collect();
    assert_eq!(front(&slow.into(), true, None, 5_000), Front::Burst(6), "it is bounded");
}

#[test]
fn an_album_that_begins_late_in_a_burst_is_waited_for_all_the_same() {
    let text = Work { debounce_ms: 100, ..said(1, 0, "ada", "look") };
    let works: VecDeque<Work> = [text, part(2, 90, "7", ""), part(3, 1_000, "7", "")].into();
    assert_eq!(front(&works, true, None, 1_500), Front::Open(2_000));
    assert_eq!(front(&works, true, None, 2_000), Front::Burst(3));
}

#[test]
fn who_types_without_end_is_answered_meanwhile() {
    let works: Vec<Work> = (0..8).map(|n| said(n + 1, n * 900, "ada", "and")).collect();
    assert_eq!(front(&works[..5].to_vec().into(), true, None, 4_000), Front::Open(4_600));
    assert_eq!(front(&works[..6].to_vec().into(), true, None, 4_800), Front::Open(5_000));
    assert_eq!(front(&works[..6].to_vec().into(), true, None, 5_000), Front::Burst(6));
    assert_eq!(front(&works.into(), true, None, 7_000), Front::Burst(6), "what came later is another burst");
}

#[test]
fn what_is_in_the_database_may_belong_to_it() {
    let two = VecDeque::from([said(1, 0, "ada", "a"), said(2, 10, "ada", "b")]);
    assert_eq!(front(&two, false, None, 99_000), Front::Unread);
    let over = VecDeque::from([said(1, 0, "ada", "a"), command(2, 10)]);
    assert_eq!(front(&over, false, None, 10), Front::Burst(1), "whatever there is behind it");
}

#[test]
fn what_was_sealed_stays_together_and_alone() {
    let whole = sealed(vec![said(1, 0, "ada", "a"), said(2, 10, "ada", "b"), said(3, 20, "ada", "c")]);
    let then: VecDeque<_> = whole.iter().cloned().chain([said(4, 30, "ada", "d")]).collect();
    assert_eq!(front(&then, true, None, 30), Front::Burst(3), "late as it may be");
    let part: VecDeque<_> = whole[..2].iter().cloned().collect();
    assert_eq!(front(&part, true, None, 99_000), Front::Unread);
    let reread = Some(whole[2].id);
    assert_eq!(front(&part, true, reread, 99_000), Front::Burst(2), "somebody discarded the last one");
}

#[tokio::test]
async fn a_burst_waits_for_more_and_is_finished_as_one() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(said(1, 0, "ada", "a")).unwrap();
    let Next::Gather { until, news } = queue.next(&lane, now, 0) else { panic!("it waits") };
    assert_eq!(until, now + Duration::from_secs(1));
    assert!(news.notified().now_or_never().is_none());
    assert!(queue.offer(said(2, 500, "ada", "b")).is_none());
    assert!(news.notified().now_or_never().is_some(), "there is something to look at");
    let Next::Gather { until, .. } = queue.next(&lane, now, 500) else { panic!("it waits on") };
    assert_eq!(until, now + Duration::from_secs(1));
    let Next::Burst(works) = queue.next(&lane, now, 1_500) else { panic!("it is over") };
    assert_eq!(seqs(&works), [1, 2]);
    assert!(queue.offer(said(3, 1_600, "ada", "c")).is_none(), "one runner is enough");
    queue.finished(&lane, now);
    assert!(!queue.holds(works[0].id) && !queue.holds(works[1].id));
    assert!(queue.offer(works[0].clone()).is_none(), "late words of what is done");
    let Next::Burst(works) = queue.next(&lane, now, 9_000) else { panic!("the next burst") };
    assert_eq!(seqs(&works), [3]);
    queue.finished(&lane, now);
    assert!(matches!(queue.next(&lane, now, 9_000), Next::Finished));
    assert_eq!((queue.waiting, queue.known.len()), (0, 0));
}

#[tokio::test]
async fn a_command_sends_off_what_waits() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(said(1, 0, "ada", "a")).unwrap();
    let Next::Gather { news, .. } = queue.next(&lane, now, 0) else { panic!("it waits") };
    queue.offer(command(2, 10));
    assert!(news.notified().now_or_never().is_some());
    let Next::Burst(works) = queue.next(&lane, now, 10) else { panic!("at once") };
    assert_eq!(seqs(&works), [1]);
    queue.finished(&lane, now);
    assert_eq!(attempt(&mut queue, &lane, now), 2);
}

#[tokio::test]
async fn a_burst_that_is_tried_again_has_one_message_in_memory_and_the_same_ones_after_the_wait() {
    let now = Instant::now();
    let mut queue = settled(now);
    let works = [said(1, 0, "ada", "a"), said(2, 10, "ada", "b"), said(3, 20, "ada", "c")];
    let lane = queue.offer(works[0].clone()).unwrap();
    for work in &works[1..] {
        queue.offer(work.clone());
    }
    let Next::Burst(tried) = queue.next(&lane, now, 5_000) else { panic!("it is over") };
    queue.offer(said(4, 5_000, "ada", "d"));
    let last = tried.last().unwrap();
    let (failed, at) =
        (Work { attempts: 1, burst: Some(last.id), ..last.clone() }, now + Duration::from_secs(2));
    queue.retry(&lane, failed, at);
    assert_eq!((queue.known.len(), queue.waiting), (1, 1));
    assert!(matches!(queue.next(&lane, now, 5_000), Next::WaitUntil(until) if until == at));
    assert!(matches!(queue.next(&lane, at, 7_000), Next::Load { after: 0, limit } if limit >= MOST));
    assert_eq!(queue.waiting, 0);
    let stored = sealed(works.to_vec()).into_iter().map(|work| Work { attempts: 1, ..work });
    queue.loaded(&lane, stored.chain([said(4, 5_000, "ada", "d")]).collect(), false);
    let Next::Burst(again) = queue.next(&lane, at, 7_000) else { panic!("again") };
    assert_eq!(seqs(&again), [1, 2, 3]);
    queue.finished(&lane, at);
    let Next::Burst(works) = queue.next(&lane, at, 7_000) else { panic!("what came meanwhile") };
    assert_eq!(seqs(&works), [4]);
}

#[tokio::test]
async fn a_burst_of_which_a_part_is_in_the_database_is_read_from_its_beginning() {
    let now = Instant::now();
    let mut queue = settled(now);
    let lane = queue.offer(said(1, 0, "ada", "a")).unwrap();
    assert!(matches!(queue.next(&lane, now, 0), Next::Gather { .. }));
    let missed = said(2, 10, "ada", "b");
    queue.offer(Work { ahead: vec![missed.id], ..said(3, 20, "ada", "c") });
    assert!(matches!(queue.next(&lane, now, 20), Next::Load { after: 0, .. }));
    assert_eq!((queue.waiting, queue.known.len()), (0, 0));
    queue.loaded(&lane, vec![said(1, 0, "ada", "a"), missed, said(3, 20, "ada", "c")], false);
    let Next::Burst(works) = queue.next(&lane, now, 5_000) else { panic!("all of it") };
    assert_eq!(seqs(&works), [1, 2, 3]);
}

#[tokio::test]
async fn a_burst_that_somebody_discarded_leaves_nothing_behind() {
    let now = Instant::now();
    let mut queue = settled(now);
    let burst = sealed(vec![said(1, 0, "ada", "a"), said(2, 10, "ada", "b")]);
    let later = Duration::from_secs(60);
    queue.begin_page(2, now);
    let lane = queue.end_page(vec![(burst[0].clone(), later)], false, now).remove(0);
    assert!(matches!(queue.next(&lane, now, 0), Next::WaitUntil(_)));
    assert!(matches!(queue.next(&lane, now + later, 60_000), Next::Load { .. }));
    queue.loaded(&lane, Vec::new(), false);
    assert!(matches!(queue.next(&lane, now + later, 60_000), Next::Finished));
    assert_eq!((queue.waiting, queue.known.len(), queue.lanes.len()), (0, 0, 0));
    assert!(queue.tenants.room(&"u".parse().unwrap()) > 0);
}

#[tokio::test]
async fn conversations_that_gather_do_not_fill_the_window() {
    let now = Instant::now();
    let mut queue = settled(now);
    let one = |seq: i64| Work {
        conversation: seq.to_string(),
        ..of(&format!("tenant-{}", seq % 8), said(seq, 0, "ada", "a"))
    };
    for seq in 1..=2_000 {
        let lane = queue.offer(one(seq)).expect("room for it");
        assert!(matches!(queue.next(&lane, now, 0), Next::Gather { .. }));
    }
    assert_eq!(queue.held(), 0);
    assert!(queue.offer(work(9_999, "another")).is_some());
}
