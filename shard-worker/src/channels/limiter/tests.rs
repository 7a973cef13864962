use std::sync::Arc;

use claw_channels::{Limits, Rate};
use futures::future::join_all;

use super::*;

/// Ten in a second in all, one in a second into a chat, two at once; four in a minute into a group.
static LIMITS: Limits = Limits {
    bot: Rate { every: Duration::from_millis(200), burst: 5 },
    chat: Rate { every: Duration::from_secs(1), burst: 2 },
    group: Rate { every: Duration::from_secs(30), burst: 2 },
};

fn limiter() -> Arc<Limiter> {
    Arc::new(Limiter::new(Some(&LIMITS)))
}

/// When each of these passed, in seconds, when all are asked for at once.
async fn passed(limiter: &Limiter, turns: impl IntoIterator<Item = (String, bool)>) -> Vec<f64> {
    let began = Instant::now();
    let turns = turns.into_iter().map(async |(chat, group)| {
        limiter.turn(&chat, group, 1).await;
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
    let busy = (0..50).map(|_| ("busy".to_owned(), false));
    let calm = async {
        // The busy chat has asked for all its turns by now.
        tokio::time::sleep(Duration::from_secs(5)).await;
        passed(&limiter, [("calm".to_owned(), false)]).await[0]
    };
    let (_, calm) = tokio::join!(passed(&limiter, busy), calm);
    assert!(calm < 0.01, "{calm}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_for_those_that_wait_already() {
    let limiter = limiter();
    let waiting = passed(&limiter, (0..20).map(|n| (format!("chat {n}"), false)));
    let pausing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        limiter.pause(Duration::from_secs(7));
        // A shorter one that is heard later takes nothing back.
        limiter.pause(Duration::from_secs(1));
    };
    let (passed, ()) = tokio::join!(waiting, pausing);
    assert_eq!(passed.iter().filter(|at| **at < 7.1).count(), 5, "{passed:?}");
    // And then one after another: they do not fall upon the platform together.
    assert!(most_within(&passed[5..], 1.0) <= 6, "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn without_limits_only_pauses_count() {
    let limiter = Limiter::new(None);
    let free = passed(&limiter, (0..1_000).map(|_| ("1".to_owned(), true))).await;
    assert!(free[999] < 0.01);
    limiter.pause(Duration::from_secs(2));
    assert!(passed(&limiter, [("1".to_owned(), false)]).await[0] >= 1.99);
}

#[tokio::test(start_paused = true)]
async fn chats_that_are_quiet_again_are_forgotten() {
    let limiter = limiter();
    for n in 0..2_000 {
        limiter.turn(&format!("chat {n}"), false, 1).await;
    }
    assert!(limiter.state().chats.len() <= 2 * CHATS, "{}", limiter.state().chats.len());
}
