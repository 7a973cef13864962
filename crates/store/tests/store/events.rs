//! What happened: told with the change or not at all, in an order that is final, to whom it concerns.

use claw_store::{
    Accepted, Actor, Event, EventPage, Lease, NewMessage, News, Observation, Observed, Place, Settlement,
    Sighting,
};
use claw_types::{ChannelId, Direction, Epoch, MessageId, MessageState, ShardId, UserId};
use serde_json::json;
use serde_json::value::to_raw_value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::Bench;

const SHARD: ShardId = ShardId(3);

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// Everything behind a place that has become visible; other databases on the server may hold it up for a moment.
async fn all(bench: &Bench, user: Option<&str>, after: Place, count: usize) -> EventPage {
    let user: Option<UserId> = user.map(|user| user.parse().unwrap());
    let limit = std::time::Duration::from_secs(20);
    claw_testkit::eventually("events to be visible", limit, async || {
        let page = bench.store.events_after(user.as_ref(), after, 1_000).await.unwrap();
        (page.events.len() >= count).then_some(page)
    })
    .await
}

fn message(bench: &Bench, user: &str, channel: ChannelId, direction: Direction, key: &str) -> NewMessage {
    NewMessage {
        id: MessageId(bench.ids.next()),
        user_id: user.parse().unwrap(),
        channel_id: channel,
        shard: SHARD,
        direction,
        conversation: "conversation".to_owned(),
        payload: to_raw_value("a person's words").unwrap(),
        media: None,
        key: Some(key.to_owned()),
        digest: None,
        source: (direction == Direction::In).then(|| "person".to_owned()),
        debounce_ms: 0,
    }
}

async fn insert(conn: &mut PgConnection, user: &str) {
    let insert =
        format!("insert into events (user_id, type, data) values ('{user}', 'channel.changed', '{{}}')");
    sqlx::query(AssertSqlSafe(insert)).execute(conn).await.unwrap();
}

#[tokio::test]
async fn what_commits_late_is_not_skipped() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    let (mut early, mut late) = (bench.database.connect().await, bench.database.connect().await);
    // The first to write is the last to commit: its numbers are the lower ones.
    let mut slow = early.begin().await.unwrap();
    insert(&mut slow, "ada").await;
    let mut quick = late.begin().await.unwrap();
    insert(&mut quick, "ada").await;
    insert(&mut quick, "ada").await;
    quick.commit().await.unwrap();
    let page = bench.store.events_after(None, start, 10).await.unwrap();
    assert!(page.events.is_empty(), "what is committed waits for what began before it");
    let place = page.upto;
    slow.commit().await.unwrap();
    let page = all(&bench, None, place, 3).await;
    assert_eq!(page.events.len(), 3, "from the place that was remembered meanwhile");
    let places: Vec<Place> = page.events.iter().map(|event| event.place).collect();
    assert!(places.is_sorted() && places[0].xact < places[1].xact && places[1].xact == places[2].xact);
    assert!(bench.store.events_after(None, page.upto, 10).await.unwrap().events.is_empty(), "once");
}

#[tokio::test]
async fn pages_are_whole_whatever_commits_meanwhile() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    let writing = async {
        let writers = (0..4).map(|n| {
            let bench = &bench;
            async move {
                for m in 0..25 {
                    let message =
                        message(bench, "ada", Uuid::from_u128(1).into(), Direction::In, &format!("{n}-{m}"));
                    bench.writer.accept(message).await.unwrap();
                }
            }
        });
        futures::future::join_all(writers).await;
    };
    let reading = async {
        let (mut place, mut seen) = (start, Vec::new());
        while seen.len() < 100 {
            let page = bench.store.events_after(None, place, 7).await.unwrap();
            assert!(!page.gap && page.upto >= place);
            assert_eq!(page.more, page.events.len() == 7);
            place = page.upto;
            seen.extend(page.events.into_iter().map(|event| (event.place, event.message_id)));
        }
        seen
    };
    let limit = std::time::Duration::from_secs(30);
    let ((), seen) = futures::join!(writing, tokio::time::timeout(limit, reading));
    let seen = seen.expect("all hundred in time");
    assert!(seen.is_sorted_by_key(|(place, _)| *place), "in order");
    let ids: std::collections::HashSet<_> = seen.iter().map(|(_, id)| id.unwrap()).collect();
    assert_eq!((seen.len(), ids.len()), (100, 100), "each once");
}

#[tokio::test]
async fn a_message_is_told_when_it_is_accepted_and_when_it_is_over() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[SHARD]).await.unwrap()[0].epoch;
    let table = [
        (Direction::In, MessageState::Done, "message.received", "message.delivered"),
        (Direction::Out, MessageState::Done, "message.queued", "message.sent"),
        (Direction::Out, MessageState::Failed, "message.queued", "message.failed"),
        (Direction::Out, MessageState::Uncertain, "message.queued", "message.uncertain"),
        (Direction::In, MessageState::Dead, "message.received", "message.dead"),
    ];
    let mut expected = vec!["channel.created"];
    for (n, (direction, state, accepted, over)) in table.into_iter().enumerate() {
        let new = message(&bench, "ada", save.id, direction, &format!("k{n}"));
        let Accepted::New(work) = bench.writer.accept(new.clone()).await.unwrap() else { panic!() };
        let again = bench.writer.accept(NewMessage { id: MessageId(bench.ids.next()), ..new }).await.unwrap();
        assert!(matches!(again, Accepted::Duplicate(_)), "which is no event");
        let settle = |state, epoch| Settlement {
            id: work.id,
            shard: work.shard,
            epoch,
            state,
            due_in: 0.0,
            attempts: 2,
            retries: 0,
            platform_message_ids: vec!["p1".to_owned()],
            error: Some("because of \"x\"".to_owned()),
            burst: None,
        };
        assert!(bench.writer.settle(settle(MessageState::Pending, epoch)).await.unwrap(), "nor is a retry");
        assert!(!bench.writer.settle(settle(state, Epoch(epoch.0 - 1))).await.unwrap(), "nor a stale claim");
        assert!(bench.writer.settle(settle(state, epoch)).await.unwrap());
        assert!(bench.writer.settle(settle(state, epoch)).await.unwrap(), "nor what is over already");
        expected.extend([accepted, over]);
    }
    let page = all(&bench, Some("ada"), start, expected.len()).await;
    assert_eq!(kinds(&page.events), expected);
    let sent: serde_json::Value = serde_json::from_str(&page.events[4].json().unwrap()).unwrap();
    assert_eq!(sent["id"], page.events[4].place.to_string());
    let channel = json!({"id": save.id, "instance_name_id": "one", "channel_type": "kind"});
    assert_eq!(
        (&sent["type"], &sent["user_id"], &sent["channel"]),
        (&json!("message.sent"), &json!("ada"), &channel)
    );
    let data = json!({"direction": "out", "conversation": "conversation", "state": "done", "attempts": 2,
                      "error": "because of \"x\"", "platform_message_ids": ["p1"]});
    assert_eq!(sent["data"], data);
    let everything = page.events.iter().map(|event| event.json().unwrap()).collect::<String>();
    assert!(!everything.contains("words"), "never what people wrote: {everything}");
}

#[tokio::test]
async fn nobody_is_told_what_concerns_others() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    for user in ["ada", "bob", "ada"] {
        let mut tenant = bench.store.tenant(&user.parse().unwrap()).await.unwrap();
        tenant.tell(&News::of("channel.changed", Uuid::from_u128(1).into())).await.unwrap();
        tenant.commit().await.unwrap();
        let mut dropped = bench.store.tenant(&user.parse().unwrap()).await.unwrap();
        dropped.tell(&News::of("channel.changed", Uuid::from_u128(1).into())).await.unwrap();
    }
    assert_eq!(all(&bench, None, start, 3).await.events.len(), 3, "none of what was not committed");
    for (user, count) in [("ada", 2), ("bob", 1)] {
        let page = all(&bench, Some(user), start, count).await;
        assert_eq!(page.events.len(), count);
        assert!(page.events.iter().all(|event| event.user_id.as_deref() == Some(user)));
    }
    let eve = bench.store.events_after(Some(&"eve".parse().unwrap()), start, 10).await.unwrap();
    assert!(eve.events.is_empty() && !eve.gap);
}

#[tokio::test]
async fn a_channel_that_fails_is_told_once_until_it_works_again() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[save.shard]).await.unwrap()[0].epoch;
    let running = Observation::Running { revision: 1 };
    let failed = |why: &str| Observation::Failed { revision: 1, error: why.to_owned() };
    let seen = [
        running.clone(),
        failed("no such bot"),
        failed("still not"),
        Observation::Trouble("hiccup".into()),
        running.clone(),
        running,
    ];
    let sightings: Vec<Sighting> = seen
        .into_iter()
        .map(|seen| Sighting { channel_id: save.id, shard: save.shard, epoch, seen })
        .collect();
    bench.store.channels_observe(&sightings).await.unwrap();
    let stale = Sighting { epoch: Epoch(epoch.0 - 1), seen: failed("long ago"), ..sightings[0].clone() };
    assert_eq!(bench.store.channels_observe(&[stale]).await.unwrap(), [Observed::NotOwner]);
    bench.store.channel_delete(&save.user_id, &save.instance, &Actor::named("a test")).await.unwrap();
    let page = all(&bench, Some("ada"), start, 4).await;
    assert_eq!(
        kinds(&page.events),
        ["channel.created", "channel.failed", "channel.recovered", "channel.deleted"]
    );
    let data: serde_json::Value = serde_json::from_str(page.events[1].data.get()).unwrap();
    assert_eq!(data, json!({"state": "failed", "error": "no such bot"}));
    assert_eq!(page.events[1].slug(), Some("one"), "also when it is deleted by now");
}

#[tokio::test]
async fn what_is_old_is_forgotten_from_the_oldest_on_and_whoever_missed_it_is_told() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    let mut conn = bench.database.connect().await;
    for _ in 0..5 {
        insert(&mut conn, "ada").await;
    }
    let events = all(&bench, None, start, 5).await.events;
    sqlx::query("update events set at = now() - interval '80 hours' where id < $1")
        .bind(events[3].place.id)
        .execute(&mut conn)
        .await
        .unwrap();
    let forget = async |after| bench.store.events_forget(72, after, 2).await.unwrap();
    let (removed, place) = forget(Place::default()).await.unwrap();
    assert_eq!((removed, place), (2, events[1].place));
    assert_eq!(forget(place).await, Some((1, events[2].place)), "the fourth is young");
    assert_eq!(forget(events[2].place).await, None);
    let left = bench.store.events_after(None, start, 10).await.unwrap();
    assert_eq!((left.events.len(), left.gap), (2, true));
    let late = bench.store.events_after(None, events[1].place, 10).await.unwrap();
    assert!(late.gap, "the third went unseen");
    let just = bench.store.events_after(None, events[2].place, 10).await.unwrap();
    assert_eq!((just.events.len(), just.gap), (2, false), "nothing behind it was forgotten");
}

#[tokio::test]
async fn a_place_that_was_never_given_out_is_a_gap_and_begins_with_the_oldest() {
    let bench = Bench::new().await;
    let start = bench.store.events_now().await.unwrap();
    insert(&mut bench.database.connect().await, "ada").await;
    all(&bench, None, start, 1).await;
    let invented = Place { xact: u64::MAX, id: 1 };
    let page = bench.store.events_after(Some(&"ada".parse().unwrap()), invented, 10).await.unwrap();
    assert_eq!((page.events.len(), page.gap), (1, true));
}

#[tokio::test]
async fn a_restored_backup_is_seen_again() {
    let bench = Bench::new().await;
    let mut conn = bench.database.connect().await;
    for _ in 0..3 {
        insert(&mut conn, "ada").await;
    }
    assert_eq!(bench.store.events_adopt(10).await.unwrap(), 0, "these are ours");
    // What the other server counted is far ahead of what this one counts.
    let ahead =
        "update events set xact = '900000000000'; update event_horizon set xact = '800000000000', id = 5";
    sqlx::raw_sql(ahead).execute(&mut conn).await.unwrap();
    let start = bench.store.events_now().await.unwrap();
    assert!(bench.store.events_after(None, Place::default(), 10).await.unwrap().events.is_empty());
    assert_eq!(bench.store.events_adopt(2).await.unwrap(), 2);
    assert_eq!(bench.store.events_adopt(2).await.unwrap(), 1);
    insert(&mut conn, "ada").await;
    let page = all(&bench, None, Place::default(), 4).await;
    assert!(!page.gap && page.events[2].place < start && page.events[3].place > start, "the old ones first");
}
