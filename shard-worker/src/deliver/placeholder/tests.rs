use claw_types::Direction;
use futures::FutureExt as _;
use uuid::Uuid;

use super::*;
use crate::testing::work;

fn id(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

fn answer(n: u128, seq: i64) -> Work {
    Work { id: id(n), seq, direction: Direction::Out, ..work() }
}

/// Shown at these places, each for the question of the same number.
fn shown(places: &[i64]) -> Placeholders {
    let all = Placeholders::default();
    for seq in places {
        all.add(one(*seq), Instant::now() + AGE, None);
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
        question_id: Some(id(100 + u128::try_from(seq).unwrap())),
        asker: Some(if seq < 10 { "bob" } else { "eve" }.to_owned()),
        taken: None,
    }
}

fn body(reply_to: Option<&str>) -> Outbound {
    Outbound { reply_to: reply_to.map(str::to_owned), ..Outbound::default() }
}

/// What an answer takes of these, and whether that becomes it.
fn takes(all: &Placeholders, work: &Work, reply_to: Option<&str>) -> Vec<(String, bool)> {
    let (mine, _) = all.choose(work, &body(reply_to), true);
    mine.into_iter().map(|mine| (mine.platform_id, mine.in_place)).collect()
}

/// As [`takes`], of who takes one at most.
fn chosen(all: &Placeholders, work: &Work, reply_to: Option<&str>) -> Option<(String, bool)> {
    let mut takes = takes(all, work, reply_to);
    assert!(takes.len() <= 1, "{takes:?}");
    takes.pop()
}

fn only(chosen: (Vec<Mine>, bool)) -> (Mine, bool) {
    let (mut mine, is_new) = chosen;
    assert_eq!(mine.len(), 1, "{mine:?}");
    (mine.remove(0), is_new)
}

#[test]
fn the_only_one_becomes_the_answer_and_of_several_persons_the_oldest_goes() {
    let place = |id: &str, in_place| Some((id.to_owned(), in_place));
    let several = || shown(&[1, 11]);
    assert_eq!(chosen(&shown(&[]), &answer(9, 9), None), None);
    assert_eq!(chosen(&shown(&[1]), &answer(9, 9), None), place("p1", true));
    assert_eq!(chosen(&several(), &answer(20, 20), None), place("p1", false));
    assert_eq!(chosen(&several(), &answer(20, 20), Some("q11")), place("p11", true));
    assert_eq!(chosen(&shown(&[1]), &answer(9, 9), Some("else")), None, "it answers something else");
    assert_eq!(chosen(&shown(&[1, 8]), &answer(9, 5), None), place("p1", true), "one came after it");
    let (attachment, _) = only(shown(&[1]).choose(&answer(9, 9), &body(None), false));
    assert!(!attachment.in_place, "a text can't become an attachment");
}

#[test]
fn of_one_persons_the_newest_becomes_the_answer_and_the_others_go() {
    let place = |id: &str, in_place| (id.to_owned(), in_place);
    let all = shown(&[1, 2, 3]);
    let taken = [place("p3", true), place("p1", false), place("p2", false)];
    assert_eq!(takes(&all, &answer(9, 9), None), taken);
    assert_eq!(takes(&all, &answer(9, 9), Some("q2")), [place("p2", true)], "it says whose it is");
    // Who asked is not known of what a version before showed.
    let unknown = Placeholders::default();
    for seq in [1, 2] {
        unknown.add(Placeholder { asker: None, ..one(seq) }, Instant::now() + AGE, None);
    }
    assert_eq!(takes(&unknown, &answer(9, 9), None), [place("p1", false)]);
    let (mine, _) = all.choose(&answer(9, 9), &body(None), true);
    for mine in &mine {
        all.take(&answer(9, 9), mine);
    }
    let (mut again, is_new) = all.choose(&answer(9, 9), &body(None), true);
    again.sort_by_key(|mine| !mine.in_place);
    assert_eq!((again, is_new), (mine, false), "tried again, it takes the same ones");
    assert!(takes(&all, &answer(10, 10), None).is_empty());
}

#[test]
fn what_a_jobs_time_sends_takes_none() {
    let all = shown(&[1]);
    let reminder = Work { scheduled: true, ..answer(9, 9) };
    assert_eq!(chosen(&all, &reminder, None), None);
    assert_eq!(chosen(&all, &reminder, Some("q1")), None);
    // What a version before this one has begun is brought to its end.
    all.take(&reminder, &all.choose(&answer(9, 9), &body(None), true).0[0]);
    assert_eq!(chosen(&all, &reminder, None), Some(("p1".to_owned(), true)));
}

#[test]
fn an_answer_that_is_tried_again_takes_the_same_one_and_nobody_else_does() {
    let all = shown(&[1]);
    let (mine, is_new) = only(all.choose(&answer(9, 9), &body(None), true));
    assert!(is_new);
    all.take(&answer(9, 9), &mine);
    assert_eq!(only(all.choose(&answer(9, 9), &body(None), true)), (mine.clone(), false));
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
        all.add(old, Instant::now(), None);
    }
    assert_eq!(all.known().chats.len(), 1, "of so many, only the last, which nobody looked at yet");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_tried_for_hours_still_finds_its_own() {
    let all = shown(&[1]);
    let (mine, _) = only(all.choose(&answer(9, 9), &body(None), true));
    all.take(&answer(9, 9), &mine);
    tokio::time::advance(AGE + AGE).await;
    for n in 0..2 * CHATS {
        all.add(Placeholder { conversation: n.to_string(), ..one(1) }, Instant::now(), None);
    }
    assert_eq!(only(all.choose(&answer(9, 9), &body(None), true)), (mine, false));
}

#[test]
fn a_preview_is_its_own_answers_alone() {
    let named = |n| Outbound { replaces: Some(id(n)), ..Outbound::default() };
    let all = shown(&[1, 2]);
    let seen = all.reserve(&answer(7, 7), id(1)).unwrap();
    assert_eq!((seen.platform_id.as_str(), seen.seq), ("p1", 1));
    assert_eq!(chosen(&all, &answer(9, 9), None), Some(("p2".to_owned(), true)), "the only other one");
    assert_eq!(chosen(&all, &answer(9, 9), Some("q1")), None, "whoever names its question, too");
    let place = |n, text_first| all.choose(&answer(9, 9), &named(n), text_first).0.pop();
    assert_eq!(place(1, true).unwrap().platform_id, "p1");
    assert!(!place(1, false).unwrap().in_place, "an answer that begins with an attachment");
    assert_eq!(place(3, true), None, "it was never shown, so the answer is a message of its own");
    all.take(&answer(8, 8), &place(1, true).unwrap());
    assert_eq!(place(1, true), None, "it is another's");
    let (late, is_new) = only(all.choose(&answer(8, 8), &named(1), true));
    assert_eq!((late.platform_id.as_str(), is_new), ("p1", false));
}

#[test]
fn where_what_we_store_is_seen_every_placeholder_is_taken_away_by_its_own_answer() {
    let named = |n| Outbound { replaces: Some(id(n)), ..Outbound::default() };
    let all = shown(&[1, 2]);
    // What a page saw as a draft names its question.
    let takes = |body: &Outbound| -> Vec<(String, bool)> {
        let (mine, _) = all.choose(&answer(9, 9), body, false);
        mine.into_iter().map(|mine| (mine.platform_id, mine.in_place)).collect()
    };
    let gone = |id: &str| (id.to_owned(), false);
    assert_eq!(takes(&named(101)), [gone("p1")], "the other question is still to be answered");
    assert!(takes(&named(103)).is_empty(), "nothing stood for its answer");
    assert_eq!(takes(&body(None)), [gone("p2"), gone("p1")]);
}

#[tokio::test]
async fn an_answer_waits_for_a_change_that_is_under_way_and_then_there_is_none() {
    let all = shown(&[1]);
    let seen = all.seen(&answer(7, 7), id(1)).await;
    let change = seen.edits.begin().await;
    assert!(change.is_some());
    let body = Outbound { replaces: Some(id(1)), ..body(None) };
    let (mine, _) = only(all.choose(&answer(9, 9), &body, true));
    let edits = all.take(&answer(9, 9), &mine).unwrap();
    let mut taking = Box::pin(edits.end());
    assert!((&mut taking).now_or_never().is_none(), "the change might land upon the answer");
    drop(change);
    taking.await;
    assert!(seen.edits.begin().await.is_none());
}

#[tokio::test]
async fn who_waits_for_one_hears_when_it_is_shown() {
    let all = Placeholders::default();
    let (question, mut one_of_two) = (answer(7, 7), one(2));
    let mut seen = Box::pin(all.seen(&question, id(1)));
    assert!((&mut seen).now_or_never().is_none());
    one_of_two.platform_id = "another".to_owned();
    all.add(one_of_two, Instant::now() + AGE, None);
    assert!((&mut seen).now_or_never().is_none());
    all.add(one(1), Instant::now() + AGE, Some(id(7)));
    assert_eq!(seen.await.platform_id, "p1");
    assert_eq!((all.begun(&question), all.begun(&answer(8, 8))), (Some(id(1)), None));
}
