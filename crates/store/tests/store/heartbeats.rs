//! Heartbeats that come by themselves: one timer for each user, in step with the settings, told once.

use chrono::{DateTime, Utc};
use claw_runtime::SystemClock;
use claw_store::{AgentEvent, Heartbeat, NewMessage, Preferences, UserSettings, When};
use claw_types::{ShardCount, UserId};
use serde_json::{Map, json};

use crate::Bench;
use crate::jobs::{actor, ada};
use crate::timers::{DUTY, elect};

fn preferences() -> Preferences {
    let hours = json!({"from": "08:00", "to": "22:00", "tz": "Europe/Berlin"});
    Preferences {
        heartbeat: Some(serde_json::from_value(json!({"text": "Look around."})).unwrap()),
        active_hours: Some(serde_json::from_value(hours).unwrap()),
        ..Preferences::default()
    }
}

async fn save(bench: &Bench, set: &Preferences) -> UserSettings {
    bench.store.settings_save(&ada(), set, &actor()).await.unwrap()
}

/// When the heartbeats of all users are due.
async fn armed(bench: &Bench) -> Vec<DateTime<Utc>> {
    let mut conn = bench.database.connect().await;
    let due = "select due_at from timers where kind = 'heartbeat' order by due_at";
    sqlx::query_scalar(due).fetch_all(&mut conn).await.unwrap()
}

async fn now(bench: &Bench) -> DateTime<Utc> {
    sqlx::query_scalar("select now()").fetch_one(&mut bench.database.connect().await).await.unwrap()
}

async fn make_due(bench: &Bench) {
    let mut conn = bench.database.connect().await;
    let due = "update timers set due_at = date_trunc('second', now()) - interval '1 day'";
    sqlx::query(due).execute(&mut conn).await.unwrap();
}

fn event(bench: &Bench, user: &UserId, source: &str) -> NewMessage {
    let event = AgentEvent {
        user,
        agent_id: "",
        source,
        session: None,
        text: "words".to_owned(),
        metadata: Map::new(),
        chat: None,
        key: None,
    };
    NewMessage::event(event, ShardCount::new(8).unwrap(), &bench.ids, &SystemClock).unwrap()
}

/// What is due, and what becomes of it: told, and moved on.
async fn decided(bench: &Bench) -> Vec<Heartbeat> {
    let due = bench.store.heartbeats_due(10).await.unwrap();
    let beat = |due: &claw_store::DueHeartbeat| Heartbeat {
        timer: due.timer,
        was_due: due.due_at,
        was_changed: due.changed_at,
        next: Some(due.set.as_ref().unwrap().next_heartbeat(&due.user_id, due.now).unwrap()),
        message: Some(event(bench, &due.user_id, "heartbeat")),
        news: None,
    };
    due.iter().map(beat).collect()
}

#[tokio::test]
async fn the_timer_is_in_step_with_the_settings() {
    let bench = Bench::new().await;
    assert!(armed(&bench).await.is_empty());
    let set = save(&bench, &preferences()).await;
    assert_eq!(set.set, preferences());
    assert_eq!(bench.store.settings_of(&ada()).await.unwrap(), set);
    assert_eq!(armed(&bench).await, [set.next_heartbeat_at]);
    let faster = save(&bench, &Preferences { heartbeat_secs: Some(60), ..preferences() }).await;
    assert_eq!(armed(&bench).await, [faster.next_heartbeat_at], "one, moved");
    make_due(&bench).await;
    let due = armed(&bench).await;
    save(&bench, &preferences()).await;
    assert_eq!(armed(&bench).await, due, "what is due is not put off");
    save(&bench, &Preferences { heartbeat: None, ..preferences() }).await;
    assert!(armed(&bench).await.is_empty());
}

#[tokio::test]
async fn a_heartbeat_is_told_once_and_the_next_one_is_in_the_future() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    save(&bench, &preferences()).await;
    assert!(!bench.store.timers_waiting().await.unwrap().heartbeats);
    assert!(bench.store.heartbeats_due(10).await.unwrap().is_empty());
    make_due(&bench).await;
    assert!(bench.store.timers_waiting().await.unwrap().heartbeats);
    assert!(bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap().is_empty(), "no wake-up");
    let beats = decided(&bench).await;
    let fire = async |term| bench.store.heartbeats_fire(DUTY, term, &beats).await.unwrap();
    assert_eq!(fire(term - 1).await.0, 0, "a former leader");
    let (one, two) = tokio::join!(fire(term), fire(term));
    assert_eq!((one.0 + two.0, one.1.len() + two.1.len()), (1, 1), "once, whoever else tries");
    let next = armed(&bench).await;
    assert!(next.len() == 1 && next[0] > now(&bench).await, "none of those that were missed: {next:?}");
    assert_eq!(next[0], bench.store.settings_of(&ada()).await.unwrap().next_heartbeat_at);
    assert!(decided(&bench).await.is_empty());
}

#[tokio::test]
async fn what_waits_for_it_comes_first() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let set = save(&bench, &preferences()).await;
    let waits = event(&bench, &ada(), "wake");
    let woken = bench.store.wake(&waits, When::NextHeartbeat, None).await.unwrap();
    assert_eq!(woken.due_at, Some(set.next_heartbeat_at), "the same heartbeat");
    make_due(&bench).await;
    assert!(decided(&bench).await.is_empty(), "not before the wake-up");
    let wake = bench.store.timers_fire(DUTY, term, 10, &[waits.id.0]).await.unwrap().remove(0);
    let (_, told) = bench.store.heartbeats_fire(DUTY, term, &decided(&bench).await).await.unwrap();
    assert!(told[0].seq > wake.seq);
    assert_eq!(wake.id, waits.id);
}

#[tokio::test]
async fn nothing_is_told_of_settings_that_were_changed_meanwhile() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    save(&bench, &preferences()).await;
    make_due(&bench).await;
    let beats = decided(&bench).await;
    save(&bench, &Preferences { heartbeat_secs: Some(600), ..preferences() }).await;
    assert_eq!(bench.store.heartbeats_fire(DUTY, term, &beats).await.unwrap().0, 0);
    assert_eq!(bench.store.heartbeats_fire(DUTY, term, &decided(&bench).await).await.unwrap().0, 1);
}

#[tokio::test]
async fn a_timer_that_nothing_belongs_to_goes() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    save(&bench, &preferences()).await;
    make_due(&bench).await;
    let mut conn = bench.database.connect().await;
    sqlx::query("delete from user_settings").execute(&mut conn).await.unwrap();
    let due = bench.store.heartbeats_due(10).await.unwrap().remove(0);
    assert_eq!((due.set.unwrap(), due.changed_at), (Preferences::default(), None));
    let ended = Heartbeat {
        timer: due.timer,
        was_due: due.due_at,
        was_changed: None,
        next: None,
        message: None,
        news: None,
    };
    assert_eq!(bench.store.heartbeats_fire(DUTY, term, &[ended]).await.unwrap().0, 1);
    assert!(armed(&bench).await.is_empty());
}
