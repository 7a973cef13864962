//! Each part of the rule can fail, and what is allowed does not.

use super::*;

const MINUTE: i64 = 60_000;
/// Some whole minute.
const NOON: i64 = 1_800_000_000_000 / MINUTE * MINUTE;

/// Every ten seconds from a moment that is no whole second.
const OFTEN: Plan = Plan::Every { anchor: NOON + 137, every: 10_000 };

fn for_time(job: u64, due: i64) -> Arrival {
    Arrival { job, due: Some(due), key: format!("{job}/{due}"), at: due + 40 }
}

fn shown(job: u64, key: &str, at: i64) -> Arrival {
    Arrival { job, due: None, key: key.to_owned(), at }
}

/// On the minute after noon.
fn verdict(plan: Plan, arrivals: impl IntoIterator<Item = Arrival>) -> Verdict {
    let mut jobs = Jobs::default();
    jobs.plan(1, plan);
    arrivals.into_iter().for_each(|arrival| jobs.arrived(arrival));
    let verdict = jobs.verdict(NOON, NOON + MINUTE);
    assert_eq!(jobs.outstanding(NOON, NOON + MINUTE), verdict.missed.len());
    verdict
}

/// All that [`OFTEN`] has in that minute.
fn all() -> Vec<Arrival> {
    (1..=5).map(|k| for_time(1, NOON + 137 + k * 10_000)).collect()
}

#[test]
fn times_are_those_after_the_beginning_and_up_to_the_end() {
    let times = |plan: Plan, from, to| plan.times(from, to).collect::<Vec<_>>();
    let often = Plan::Every { anchor: 100, every: 50 };
    assert_eq!(times(often, 0, 260), [150, 200, 250]);
    assert_eq!(times(often, 150, 250), [200, 250]);
    assert!(times(often, 260, 260).is_empty());
    assert_eq!(times(Plan::EACH_MINUTE, NOON, NOON + 2 * MINUTE), [NOON + MINUTE, NOON + 2 * MINUTE]);
    assert_eq!(times(Plan::At { at: 7 }, 6, 7), [7]);
    assert!(times(Plan::At { at: 7 }, 7, 9).is_empty());
    assert!(times(Plan::At { at: 7 }, 0, 6).is_empty());
}

#[test]
fn each_time_once_is_no_fault() {
    let good = verdict(OFTEN, all());
    assert!(good.is_clean(), "{good}");
    assert_eq!(
        (good.due, good.again, good.late.as_slice()),
        (5, 0, [Duration::from_millis(40); 5].as_slice())
    );
    // The same message again is one that a receiver leaves out; what comes after the span is not waited for.
    let again = verdict(OFTEN, all().into_iter().chain([all().remove(2), for_time(1, NOON + 137 + 60_000)]));
    assert!(again.is_clean(), "{again}");
    assert_eq!(again.again, 1);
    // A time at the very end of the span belongs to it.
    assert!(verdict(Plan::EACH_MINUTE, [for_time(1, NOON + MINUTE)]).is_clean());
}

#[test]
fn nothing_due_proves_nothing() {
    assert!(!verdict(Plan::At { at: NOON - 1 }, []).is_clean());
}

#[test]
fn a_missed_time_is_found() {
    let mut arrivals = all();
    arrivals.remove(3);
    let bad = verdict(OFTEN, arrivals);
    assert_eq!(bad.missed, [format!("job 1 at {}", NOON + 137 + 40_000)]);
    assert!(!bad.is_clean());
    assert_eq!(verdict(Plan::At { at: NOON + 5 }, []).missed.len(), 1);
}

#[test]
fn a_second_message_for_a_time_is_found() {
    let other = Arrival { key: "another".to_owned(), ..all().remove(0) };
    let bad = verdict(OFTEN, all().into_iter().chain([other]));
    assert_eq!((bad.twice.len(), bad.missed.len()), (1, 0));
    assert!(!bad.is_clean());
    // Whenever it comes.
    let late = for_time(1, NOON + 137 + 60_000);
    let other = Arrival { key: "another".to_owned(), ..late.clone() };
    assert_eq!(verdict(OFTEN, all().into_iter().chain([late, other])).twice.len(), 1);
}

#[test]
fn a_time_that_the_plan_does_not_have_is_found() {
    let bad = verdict(OFTEN, all().into_iter().chain([for_time(1, NOON + 138 + 10_000)]));
    assert_eq!(bad.unplanned.len(), 1);
    // The anchor is no time of its own.
    assert_eq!(verdict(OFTEN, all().into_iter().chain([for_time(1, NOON + 137)])).unplanned.len(), 1);
    assert_eq!(verdict(OFTEN, all().into_iter().chain([for_time(2, NOON + 137)])).unplanned.len(), 1);
    assert!(!bad.is_clean());
}

#[test]
fn a_time_whose_message_a_receiver_leaves_out_is_missed() {
    let mut arrivals = all();
    arrivals[1].key = arrivals[0].key.clone();
    let bad = verdict(OFTEN, arrivals);
    assert_eq!((bad.again, bad.missed.len()), (1, 1));
}

#[test]
fn a_message_before_its_time_is_found() {
    let mut arrivals = all();
    arrivals[0].at = NOON + 10_000;
    let bad = verdict(OFTEN, arrivals);
    assert_eq!(bad.early.len(), 1);
    assert!(!bad.is_clean());
}

#[test]
fn what_does_not_say_its_time_is_for_one_after_the_other() {
    let times: Vec<i64> = OFTEN.times(NOON, NOON + MINUTE).collect();
    let seen = |times: &[i64]| {
        let arrivals = times.iter().enumerate().map(|(n, at)| shown(1, &n.to_string(), at + 60));
        verdict(OFTEN, arrivals.collect::<Vec<_>>())
    };
    assert!(seen(&times).is_clean());
    // One that is missing makes those behind it come before their time.
    let lost = seen(&[&times[..1], &times[2..]].concat());
    assert!(!lost.is_clean() && lost.missed.len() == 1, "{lost}");
    // So does one too many.
    let twice = seen(&[&times[..1], &times[..]].concat());
    assert!(!twice.early.is_empty(), "{twice}");
    // Once more after the last time of all.
    let once = Plan::At { at: NOON + 5 };
    assert!(verdict(once, [shown(1, "a", NOON + 9)]).is_clean());
    assert_eq!(verdict(once, [shown(1, "a", NOON + 9), shown(1, "b", NOON + 10)]).unplanned.len(), 1);
    assert_eq!(verdict(once, [shown(1, "a", NOON + 9), shown(1, "a", NOON + 10)]).again, 1);
}

#[test]
fn late_ones_are_told_in_order() {
    let mut arrivals = all();
    arrivals[1].at += 700;
    let late = verdict(OFTEN, arrivals).late;
    assert_eq!(late.last(), Some(&Duration::from_millis(740)));
    assert_eq!(late[0], Duration::from_millis(40));
}
