use std::sync::Arc;

use claw_channels::{Limits, Rate};
use futures::future::join_all;

use super::state::CHATS;
use super::*;

/// Ten in a second in all, one in a second into a chat, two at once; four in a minute into a group.
static LIMITS: Limits = Limits {
    bot: Rate { every: Duration::from_millis(200), burst: 5 },
    chat: Rate { every: Duration::from_secs(1), burst: 2 },
    group: Rate { every: Duration::from_secs(30), burst: 2 },
};

/// Nothing passes together.
static SINGLE: Limits = Limits {
    bot: Rate { every: Duration::from_millis(200), burst: 1 },
    chat: Rate { every: Duration::from_secs(1), burst: 1 },
    group: Rate { every: Duration::from_secs(1), burst: 1 },
};

fn limiter() -> Arc<Limiter> {
    Arc::new(Limiter::new(Some(&LIMITS)))
}

/// When each of these passed, in seconds, when all are asked for at once.
async fn passed(limiter: &Limiter, turns: impl IntoIterator<Item = (String, bool)>) -> Vec<f64> {
    let began = Instant::now();
    let turns = turns.into_iter().map(async |(chat, group)| {
        limiter.turn(Priority::Answer, &chat, group, 1).await;
        began.elapsed().as_secs_f64()
    });
    let mut passed = join_all(turns).await;
    passed.sort_by(f64::total_cmp);
    passed
}

/// The most that passed within any stretch of so many seconds.
fn most_within(passed: &[f64], seconds: f64) -> usize {
    let within = |from: f64| passed.iter().filter(|at| (from..from + seconds - 0.002).contains(*at)).count();
    passed.iter().map(|at| within(*at)).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_bot_keeps_its_pace_over_all_chats() {
    let passed = passed(&limiter(), (0..100).map(|n| (format!("chat {n}"), false))).await;
    assert_eq!(most_within(&passed, 0.001 + 0.002), 5, "at once: {passed:?}");
    assert!(most_within(&passed, 1.0) <= 10, "{passed:?}");
    let last = passed.last().unwrap();
    assert!((18.9..19.3).contains(last), "95 at five in a second: {last}");
}

#[tokio::test(start_paused = true)]
async fn a_chat_and_a_group_have_paces_of_their_own() {
    let alone = passed(&limiter(), (0..5).map(|_| ("1".to_owned(), false))).await;
    assert!(most_within(&alone, 1.0) <= 3 && alone[4] >= 2.99, "{alone:?}");
    let group = passed(&limiter(), (0..6).map(|_| ("-1".to_owned(), true))).await;
    assert!(most_within(&group, 60.0) <= 4 && group[5] >= 119.9, "{group:?}");
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_waits_takes_nothing_from_another() {
    let limiter = limiter();
    let busy = (0..500).map(|_| ("busy".to_owned(), false));
    let calm = async {
        // The busy chat has asked for all its turns by now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        passed(&limiter, [("calm".to_owned(), false)]).await[0]
    };
    let (_, calm) = tokio::join!(passed(&limiter, busy), calm);
    assert!(calm < 0.01, "{calm}");
}

#[tokio::test(start_paused = true)]
async fn a_silence_holds_for_those_that_wait_already() {
    let limiter = limiter();
    let waiting = passed(&limiter, (0..20).map(|n| (format!("chat {n}"), false)));
    let pausing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        limiter.silence(Duration::from_secs(7));
        // A shorter one that is heard later takes nothing back.
        limiter.silence(Duration::from_secs(1));
    };
    let (passed, ()) = tokio::join!(waiting, pausing);
    assert_eq!(passed.iter().filter(|at| **at < 7.1).count(), 5, "{passed:?}");
    // And then one after another: they do not fall upon the platform together.
    assert!(most_within(&passed[5..], 1.0) <= 6, "{passed:?}");
}

/// Not one for the process: what a platform refuses to one bot says nothing of another.
#[tokio::test(start_paused = true)]
async fn each_bot_has_a_limiter_of_its_own() {
    let (refused, well) = (limiter(), limiter());
    refused.silence(Duration::from_secs(60));
    let turns = || (0..5).map(|n| (format!("chat {n}"), false));
    let (of_refused, of_well) = tokio::join!(passed(&refused, turns()), passed(&well, turns()));
    assert!(of_refused[0] >= 59.9, "{of_refused:?}");
    assert!(of_well[4] < 0.01, "it has its whole pace, too: {of_well:?}");
}

#[tokio::test(start_paused = true)]
async fn without_limits_only_silences_count() {
    let limiter = Limiter::new(None);
    let free = passed(&limiter, (0..1_000).map(|_| ("1".to_owned(), true))).await;
    assert!(free[999] < 0.01);
    limiter.silence(Duration::from_secs(2));
    assert!(passed(&limiter, [("1".to_owned(), false)]).await[0] >= 1.99);
    limiter.silence_chat("1", Duration::from_secs(3), true);
    let both = passed(&limiter, [("1".to_owned(), false), ("2".to_owned(), false)]).await;
    assert!(both[0] < 0.01 && both[1] >= 2.99, "{both:?}");
}

#[tokio::test(start_paused = true)]
async fn chats_that_are_quiet_again_are_forgotten() {
    let limiter = limiter();
    for n in 0..2_000 {
        limiter.turn(Priority::Answer, &format!("chat {n}"), false, 1).await;
    }
    assert!(limiter.state().chats.len() <= 2 * CHATS, "{}", limiter.state().chats.len());
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_is_told_to_wait_waits_alone() {
    let limiter = limiter();
    let chats = || (0..4).map(|n| (format!("chat {n}"), false));
    limiter.silence_chat("chat 0", Duration::from_secs(9), true);
    limiter.silence_chat("chat 1", Duration::from_secs(9), true);
    let passed = passed(&limiter, chats()).await;
    assert!(passed[1] < 0.01, "two chats are free: {passed:?}");
    assert!(passed[2] >= 8.99 && passed[3] < 9.5, "two are silent: {passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silence_of_a_chat_holds_for_those_that_wait_for_it_already() {
    let limiter = limiter();
    let waiting = passed(&limiter, (0..4).map(|_| ("1".to_owned(), false)));
    let silencing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        limiter.silence_chat("1", Duration::from_secs(20), false);
    };
    let (passed, ()) = tokio::join!(waiting, silencing);
    assert_eq!(passed.iter().filter(|at| **at < 20.5).count(), 2, "before it was said: {passed:?}");
    assert!(passed[3] - passed[2] >= 0.99, "and then at the chat's pace: {passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_chat_that_is_refused_shows_that_the_bot_is_meant() {
    let limiter = limiter();
    let third = || [("3".to_owned(), false)];
    limiter.silence_chat("1", Duration::from_secs(5), false);
    // Of the same chat again it tells nothing new.
    limiter.silence_chat("1", Duration::from_secs(6), false);
    assert!(passed(&limiter, third()).await[0] < 0.01);
    limiter.silence_chat("2", Duration::from_secs(4), false);
    assert!(passed(&limiter, third()).await[0] >= 3.99);
    // When the first is heard again before the second is refused, neither says anything about the bot.
    tokio::time::sleep(Duration::from_secs(10)).await;
    limiter.silence_chat("1", Duration::from_secs(1), false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    limiter.silence_chat("2", Duration::from_secs(30), false);
    assert!(passed(&limiter, third()).await[0] < 0.01);
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_previews() {
    let limiter = limiter();
    let previews = async {
        // A chat whose message changes as often as it may, and many others beside it.
        let one = async {
            for _ in 0..20 {
                limiter.turn(Priority::Preview, "streamed", false, 1).await;
            }
        };
        let others = (0..100).map(async |n| {
            limiter.turn(Priority::Preview, &format!("chat {n}"), false, 1).await;
        });
        tokio::join!(one, join_all(others));
    };
    let answers = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            let began = Instant::now();
            limiter.turn(Priority::Answer, "streamed", false, 1).await;
            assert!(began.elapsed() < Duration::from_millis(10), "{:?}", began.elapsed());
        }
    };
    tokio::join!(previews, answers);
}

#[tokio::test(start_paused = true)]
async fn a_preview_waits_for_all_answers_that_came_before_it() {
    let limiter = limiter();
    let answers = passed(&limiter, (0..10).map(|_| ("1".to_owned(), false)));
    let preview = async {
        let began = Instant::now();
        limiter.turn(Priority::Preview, "1", false, 1).await;
        began.elapsed().as_secs_f64()
    };
    let (answers, preview) = tokio::join!(answers, preview);
    assert!(preview >= answers[9], "{preview} {answers:?}");
    // And keeps the platform's pace: with it, no more pass than without.
    let all: Vec<f64> = answers.into_iter().chain([preview]).collect();
    assert!(most_within(&all, 1.0) <= 3, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn previews_keep_the_pace_of_bot_chat_and_group() {
    let limiter = limiter();
    let turn = async |chat: String, group| {
        let began = Instant::now();
        limiter.turn(Priority::Preview, &chat, group, 1).await;
        began.elapsed().as_secs_f64()
    };
    let mut all = join_all((0..60).map(|n| turn(format!("chat {n}"), false))).await;
    all.sort_by(f64::total_cmp);
    assert!(most_within(&all, 1.0) <= 10, "{all:?}");
    let mut group = join_all((0..4).map(|_| turn("-1".to_owned(), true))).await;
    group.sort_by(f64::total_cmp);
    assert!(most_within(&group, 60.0) <= 4 && group[3] >= 89.9, "{group:?}");
    // Where two never pass together there is nothing to spare, and still they pass.
    let limiter = Limiter::new(Some(&SINGLE));
    let began = Instant::now();
    for _ in 0..3 {
        limiter.turn(Priority::Preview, "1", false, 1).await;
    }
    assert!((1.99..2.5).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn typing_is_dropped_rather_than_queued() {
    let limiter = limiter();
    assert!(limiter.may_type("1"), "nothing is on its way");
    // What it took is one place of two: an answer has the other.
    assert!(!limiter.may_type("1"));
    assert!(passed(&limiter, [("1".to_owned(), false)]).await[0] < 0.01);
    // Where answers wait, nobody types.
    let answers = passed(&limiter, (0..5).map(|_| ("2".to_owned(), false)));
    let typing = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(!limiter.may_type("2"));
    };
    tokio::join!(answers, typing);
    // Nor in a silence.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(limiter.may_type("2"));
    limiter.silence_chat("3", Duration::from_secs(9), true);
    assert!(!limiter.may_type("3") && limiter.may_type("4"));
    limiter.silence(Duration::from_secs(9));
    assert!(!limiter.may_type("4"));
}

/// Every other test's clock stands still between two looks at it.
#[tokio::test]
async fn what_is_free_passes_on_a_clock_that_goes_on() {
    for limits in [Some(&LIMITS), None] {
        let limiter = Limiter::new(limits);
        assert!(limiter.may_type("1"));
        limiter.turn(Priority::Preview, "2", false, 1).await;
    }
}
