//! Timers fire once, whoever else tries, and only for the present leader.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::SystemClock;
use claw_store::{Actor, AgentEvent, Error, Lease, NewMessage, Once, Preferences, PutOff, When};
use claw_types::{ShardCount, UserId, heartbeat};
use serde_json::Map;

use crate::Bench;

pub const DUTY: &str = "scheduler";

pub async fn elect(bench: &Bench, name: &str) -> i64 {
    let mut lease = Lease::open(bench.database.url(), Bench::member(name)).await.unwrap();
    // The server may still have to see that the former leader's connection is gone.
    claw_testkit::eventually("the election", Duration::from_secs(10), async || {
        lease.elect(DUTY).await.unwrap()
    })
    .await
}

fn event(bench: &Bench, user: &UserId, text: &str) -> NewMessage {
    let event = AgentEvent {
        user,
        agent_id: "",
        source: "wake",
        session: None,
        text: text.to_owned(),
        metadata: Map::new(),
        chat: None,
        key: None,
    };
    NewMessage::event(event, ShardCount::new(8).unwrap(), &bench.ids, &SystemClock).unwrap()
}

fn is_heartbeat(user: &UserId, every: u32, at: DateTime<Utc>) -> bool {
    heartbeat::next(user, every, at - TimeDelta::milliseconds(1)) == at
}

async fn waiting(bench: &Bench) -> i64 {
    let mut conn = bench.database.connect().await;
    sqlx::query_scalar("select count(*) from timers").fetch_one(&mut conn).await.unwrap()
}

async fn make_due(bench: &Bench) {
    let mut conn = bench.database.connect().await;
    let due = sqlx::query("update timers set due_at = now() - interval '1 second'");
    due.execute(&mut conn).await.unwrap();
}

#[tokio::test]
async fn a_wake_up_waits_for_the_heartbeat_and_keeps_its_id_and_its_bytes() {
    let bench = Bench::new().await;
    let ada = "ada".parse().unwrap();
    let term = elect(&bench, "clock").await;
    let event = event(&bench, &ada, "a\0b \u{1F600}");
    let woken = bench.store.wake(&event, When::NextHeartbeat, None).await.unwrap();
    assert_eq!(bench.store.settings_of(&ada).await.unwrap().set.heartbeat_secs, None);
    assert!(is_heartbeat(&ada, heartbeat::DEFAULT_SECS, woken.due_at.unwrap()));
    assert!(woken.work.is_none() && !woken.duplicate);
    assert!(bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap().is_empty(), "not yet");
    assert_eq!(bench.store.census().await.unwrap().overdue, Duration::ZERO);
    make_due(&bench).await;
    let mut admin = bench.database.connect().await;
    for kind in ["run_over", "retry", "wake"] {
        sqlx::query("update timers set kind = $1").bind(kind).execute(&mut admin).await.unwrap();
        assert!(bench.store.census().await.unwrap().overdue >= Duration::from_secs(1), "{kind}");
    }
    let fired = bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap();
    assert_eq!(fired.len(), 1);
    let pending = bench.store.messages_pending(&[(event.shard, 0)], 10).await.unwrap();
    for work in [&fired[0], &pending[0].0] {
        assert_eq!((work.id, work.payload.get()), (event.id, event.payload.get()));
        assert_eq!((work.channel_id, &work.conversation), (event.channel_id, &event.conversation));
    }
    assert_eq!(waiting(&bench).await, 0);
    assert!(bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_way_in_is_told_with_its_source() {
    let bench = Bench::new().await;
    let ada: UserId = "ada".parse().unwrap();
    let start = bench.store.events_now().await.unwrap();
    let term = elect(&bench, "clock").await;
    let from = |source: &str| NewMessage { source: Some(source.to_owned()), ..event(&bench, &ada, "words") };
    bench.store.wake(&from("wake"), When::Now, None).await.unwrap();
    bench.store.wake(&from("agent"), When::NextHeartbeat, None).await.unwrap();
    make_due(&bench).await;
    assert_eq!(bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap().len(), 1);
    for source in ["hook", "cron", "person"] {
        bench.writer.accept(from(source)).await.unwrap();
    }
    let told = claw_testkit::eventually("five events", Duration::from_secs(20), async || {
        let page = bench.store.events_after(Some(&ada), start, 10).await.unwrap();
        (page.events.len() >= 5).then_some(page.events)
    });
    let told = told.await;
    assert!(told.iter().all(|event| event.kind == "message.received" && event.message_id.is_some()));
    let data = told.iter().map(|event| serde_json::from_str(event.data.get()).unwrap());
    let sources: Vec<serde_json::Value> =
        data.map(|mut data: serde_json::Value| data["source"].take()).collect();
    assert_eq!(sources, ["wake", "agent", "hook", "cron", "person"]);
    assert_eq!(event(&bench, &ada, "x").source.as_deref(), Some("wake"), "as the event says it");
}

#[tokio::test]
async fn two_who_fire_at_once_fire_each_timer_once() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let mut expected = HashSet::new();
    for n in 0..200 {
        let user = format!("user-{n}").parse().unwrap();
        let event = event(&bench, &user, "x");
        bench.store.wake(&event, When::NextHeartbeat, None).await.unwrap();
        expected.insert(event.id);
    }
    make_due(&bench).await;
    let all = async || {
        let mut ids = Vec::new();
        loop {
            let fired = bench.store.timers_fire(DUTY, term, 7, &[]).await.unwrap();
            if fired.is_empty() && waiting(&bench).await == 0 {
                return ids;
            }
            ids.extend(fired.iter().map(|work| work.id));
        }
    };
    let (one, two, three) = tokio::join!(all(), all(), all());
    let fired: Vec<_> = [one, two, three].concat();
    assert_eq!(fired.len(), 200, "none twice");
    assert_eq!(fired.into_iter().collect::<HashSet<_>>(), expected, "none lost");
    let mut conn = bench.database.connect().await;
    let stored: i64 = sqlx::query_scalar("select count(*) from messages").fetch_one(&mut conn).await.unwrap();
    assert_eq!(stored, 200);
}

#[tokio::test]
async fn a_former_leader_fires_nothing() {
    let bench = Bench::new().await;
    let ada = "ada".parse().unwrap();
    let former = elect(&bench, "one").await;
    let present = elect(&bench, "two").await;
    bench.store.wake(&event(&bench, &ada, "x"), When::NextHeartbeat, None).await.unwrap();
    make_due(&bench).await;
    assert!(bench.store.timers_fire(DUTY, former, 10, &[]).await.unwrap().is_empty());
    assert!(bench.store.timers_fire("other", present, 10, &[]).await.unwrap().is_empty());
    assert_eq!(waiting(&bench).await, 1);
    bench.store.leader_resign(DUTY, present).await.unwrap();
    assert!(
        bench.store.timers_fire(DUTY, present, 10, &[]).await.unwrap().is_empty(),
        "nor one that resigned"
    );
    let third = elect(&bench, "three").await;
    assert_eq!(bench.store.timers_fire(DUTY, third, 10, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_late_one_of_a_user_with_hours_is_looked_at_before_it_fires() {
    let bench = Bench::new().await;
    let ada: UserId = "ada".parse().unwrap();
    let term = elect(&bench, "clock").await;
    let hours = serde_json::from_value(serde_json::json!({"from": "08:00", "to": "22:00"})).unwrap();
    let set = Preferences { active_hours: Some(hours), ..Preferences::default() };
    bench.store.settings_save(&ada, &set, &Actor::named("a test")).await.unwrap();
    let [one, two] = ["one", "two"].map(|text| event(&bench, &ada, text));
    let others = event(&bench, &"bob".parse().unwrap(), "other");
    for event in [&one, &two, &others] {
        bench.store.wake(event, When::NextHeartbeat, None).await.unwrap();
    }
    let mut admin = bench.database.connect().await;
    let late = "update timers set due_at = now() - interval '2 minutes'";
    sqlx::query(late).execute(&mut admin).await.unwrap();
    let fire = async |within: &[uuid::Uuid]| {
        let fired = bench.store.timers_fire(DUTY, term, 10, within).await.unwrap();
        fired.iter().map(|work| work.id).collect::<Vec<_>>()
    };
    assert_eq!(fire(&[]).await, [others.id], "who has no hours needs no look");
    let looked = bench.store.wakes_late(10).await.unwrap();
    assert_eq!(looked.len(), 2);
    assert_eq!(looked[0].set.as_ref().unwrap(), &set);
    assert_eq!(fire(&[one.id.0]).await, [one.id]);
    let wake = looked.iter().find(|wake| wake.timer == two.id.0).unwrap();
    let next = wake.now + TimeDelta::hours(3);
    let (timer, was_due, was_changed) = (wake.timer, wake.due_at, wake.changed_at);
    let put_off = PutOff { timer, was_due, was_changed, next };
    let changed = PutOff { was_changed: Some(wake.now + TimeDelta::hours(1)), ..put_off.clone() };
    let store = &bench.store;
    let moved = async |term: i64, wake: &PutOff| {
        store.wakes_put_off(DUTY, term, std::slice::from_ref(wake)).await.unwrap()
    };
    assert_eq!(moved(term, &changed).await, 0, "the hours were changed");
    assert_eq!(moved(term - 1, &put_off).await, 0, "a former leader");
    assert_eq!(moved(term, &put_off).await, 1);
    assert_eq!(bench.store.tenant(&ada).await.unwrap().timer_due(two.id).await.unwrap(), Some(next));
}

/// Frozen in the middle of its write, the former leader keeps the next one from being elected, not the other way round.
#[tokio::test]
async fn a_term_can_not_begin_in_the_middle_of_a_write() {
    let bench = Bench::new().await;
    let term = elect(&bench, "one").await;
    let mut frozen = bench.database.connect().await;
    sqlx::raw_sql("begin; select 1 from leaders where duty = 'scheduler' for key share")
        .execute(&mut frozen)
        .await
        .unwrap();
    let election = elect(&bench, "two");
    tokio::pin!(election);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut election).await;
    assert!(early.is_err(), "the election waits for the write");
    sqlx::raw_sql("commit").execute(&mut frozen).await.unwrap();
    assert_eq!(election.await, term + 1);
}

#[tokio::test]
async fn a_new_interval_moves_what_waits_but_does_not_put_off_what_is_due() {
    let bench = Bench::new().await;
    let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let actor = Actor::named("a test");
    let set = async |user, heartbeat_secs| {
        let set = Preferences { heartbeat_secs, ..Preferences::default() };
        bench.store.settings_save(user, &set, &actor).await.unwrap()
    };
    assert_eq!(set(&ada, Some(86_400)).await.set.heartbeat_secs, Some(86_400));
    let due = event(&bench, &ada, "due");
    bench.store.wake(&due, When::NextHeartbeat, None).await.unwrap();
    make_due(&bench).await;
    let waits = event(&bench, &ada, "waits");
    bench.store.wake(&waits, When::NextHeartbeat, None).await.unwrap();
    let others = event(&bench, &bob, "other");
    let others_due = bench.store.wake(&others, When::NextHeartbeat, None).await.unwrap().due_at.unwrap();
    let settings = set(&ada, Some(60)).await;
    assert!(is_heartbeat(&ada, 60, settings.next_heartbeat_at));
    let due_at = async |id: claw_types::MessageId, user: &UserId| {
        bench.store.tenant(user).await.unwrap().timer_due(id).await.unwrap()
    };
    assert_eq!(due_at(waits.id, &ada).await, Some(settings.next_heartbeat_at));
    assert_eq!(due_at(others.id, &bob).await, Some(others_due), "another user's stays");
    assert_eq!(due_at(waits.id, &bob).await, None, "nor does another user see it");
    let term = elect(&bench, "clock").await;
    let fired = bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap();
    assert_eq!(fired.iter().map(|work| work.id).collect::<Vec<_>>(), [due.id], "it was due and stayed so");
    let back = set(&ada, None).await;
    assert_eq!(back.set.heartbeat_secs, None);
    assert!(is_heartbeat(&ada, heartbeat::DEFAULT_SECS, back.next_heartbeat_at));
}

#[tokio::test]
async fn the_same_call_is_stored_once_and_another_body_is_refused() {
    let bench = Bench::new().await;
    let ada = "ada".parse().unwrap();
    let once = |digest| Some(Once { kind: "wake", key: "k", digest: [digest; 32] });
    for when in [When::NextHeartbeat, When::Now] {
        let once = |digest| {
            once(digest).map(|once| Once { kind: if when == When::Now { "a" } else { "b" }, ..once })
        };
        let first = bench.store.wake(&event(&bench, &ada, "x"), when, once(1)).await.unwrap();
        let again = bench.store.wake(&event(&bench, &ada, "x"), when, once(1)).await.unwrap();
        assert_eq!((again.id, again.duplicate, again.due_at), (first.id, true, first.due_at), "{when:?}");
        assert!(again.work.is_none() && first.work.is_some() == (when == When::Now));
        let other = bench.store.wake(&event(&bench, &ada, "y"), when, once(2)).await;
        assert!(matches!(other, Err(Error::KeyReused)), "{when:?}");
    }
    assert_eq!(waiting(&bench).await, 1);
}
