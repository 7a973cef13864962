//! Destinations: what their runners are told when they were changed meanwhile.

use claw_store::{
    Actor, DestinationSettings, Due, EventFilter, Lease, NewDestination, Place, Refusal, Served,
};
use claw_types::{Epoch, ShardId, UserId};
use uuid::Uuid;

use crate::Bench;

const SHARD: ShardId = ShardId(3);

fn settings(url: &str, enabled: bool) -> DestinationSettings {
    DestinationSettings {
        name: "statistics".to_owned(),
        url: url.to_owned(),
        filter: EventFilter::default(),
        enabled,
    }
}

fn actor() -> Actor {
    Actor::named("a test")
}

pub(super) async fn made(bench: &Bench, user: Option<&UserId>) -> NewDestination {
    let new = NewDestination {
        id: bench.ids.next(),
        user_id: user.cloned(),
        shard: SHARD,
        settings: settings("http://one/", true),
        secret: "whsec_AAAA".to_owned(),
    };
    bench.store.destination_create(&bench.vault, &new, &actor(), None).await.unwrap();
    new
}

#[tokio::test]
async fn a_runner_hears_that_its_destination_was_changed_and_what_was_taken_stays_taken() {
    let bench = Bench::new().await;
    let ada: UserId = "ada".parse().unwrap();
    let owner = Some(&ada);
    let id = made(&bench, owner).await.id;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[SHARD]).await.unwrap()[0].epoch;
    let shown = async || bench.store.destination(owner, id).await.unwrap();
    let advance = async |revision: i64, epoch: Epoch, n: i64| {
        let upto = Place { xact: u64::MAX >> 2, id: n };
        let served = bench.store.destination_advance(id, revision, SHARD, epoch, upto, true).await.unwrap();
        (served, shown().await.cursor.id == n)
    };
    assert_eq!(advance(1, epoch, 1).await, (Served::Written(()), true));
    assert_eq!(advance(1, Epoch(epoch.0 - 1), 2).await, (Served::NotOwner, false), "not its shard any more");
    let change = async |url: &str, enabled: bool| {
        let revision = shown().await.revision;
        let settings = settings(url, enabled);
        bench.store.destination_change(owner, id, revision, &settings, &actor()).await.unwrap().revision
    };
    let changed = change("http://two/", true).await;
    assert_eq!(advance(1, epoch, 10).await, (Served::Changed, true), "another URL");
    assert_eq!(advance(1, Epoch(epoch.0 - 1), 11).await, (Served::NotOwner, false), "whatever was changed");
    let rekeyed =
        bench.store.destination_rekey(&bench.vault, owner, id, "whsec_BBBB", &actor()).await.unwrap();
    assert_eq!(advance(changed, epoch, 20).await, (Served::Changed, true), "another secret");
    let again = advance(rekeyed.revision, epoch, 30).await;
    assert_eq!(again, (Served::Written(()), true), "who loads it again goes on");
    let off = change("http://two/", false).await;
    assert_eq!(advance(off, epoch, 40).await, (Served::Changed, true), "it is switched off");
    bench.store.destination_delete(owner, id, &actor()).await.unwrap();
    let gone = async |epoch: Epoch| {
        bench.store.destination_advance(id, off, SHARD, epoch, Place::default(), true).await.unwrap()
    };
    assert_eq!(gone(epoch).await, Served::Changed);
    assert_eq!(gone(Epoch(epoch.0 - 1)).await, Served::NotOwner);
}

#[tokio::test]
async fn a_failure_is_noted_by_the_owner_and_as_the_destination_was_loaded_only() {
    let bench = Bench::new().await;
    let new = made(&bench, None).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[SHARD]).await.unwrap()[0].epoch;
    let refused = async |revision: i64, epoch: Epoch, gone: bool| {
        let refusal = Refusal { revision, epoch, gone, ..refusal(new.id, epoch) };
        let served = bench.store.destination_refused(&refusal, &actor()).await.unwrap();
        let shown = bench.store.destination(None, new.id).await.unwrap();
        (served, shown.attempts, shown.enabled)
    };
    assert_eq!(refused(1, Epoch(epoch.0 - 1), false).await, (Served::NotOwner, 0, true));
    assert_eq!(refused(2, epoch, false).await, (Served::Changed, 0, true), "another revision");
    assert_eq!(refused(1, epoch, false).await, (Served::Written(false), 1, true));
    assert_eq!(refused(1, epoch, true).await, (Served::Written(true), 2, false), "it is switched off");
    assert_eq!(refused(1, epoch, false).await, (Served::Changed, 2, false));
}

fn refusal(id: Uuid, epoch: Epoch) -> Refusal {
    Refusal {
        id,
        revision: 1,
        shard: SHARD,
        epoch,
        error: "it answered 500".to_owned(),
        due_in: 0.0,
        gone: false,
        patience_days: 3,
    }
}

#[tokio::test]
async fn going_on_without_a_success_leaves_the_failures_counted() {
    let bench = Bench::new().await;
    let new = made(&bench, None).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[SHARD]).await.unwrap()[0].epoch;
    let refused = bench.store.destination_refused(&refusal(new.id, epoch), &actor()).await.unwrap();
    assert_eq!(refused, Served::Written(false));
    let upto = Place { xact: 5, id: 7 };
    let advance = async |taken: bool| {
        let store = &bench.store;
        store.destination_advance(new.id, 1, SHARD, epoch, upto, taken).await.unwrap()
    };
    assert_eq!(advance(false).await, Served::Written(()));
    let failing = bench.store.destination(None, new.id).await.unwrap();
    assert_eq!((failing.cursor, failing.attempts), (upto, 1));
    assert!(failing.failing_since.is_some() && failing.last_delivered_at.is_none());
    assert_eq!(advance(true).await, Served::Written(()));
    let fine = bench.store.destination(None, new.id).await.unwrap();
    assert_eq!((fine.attempts, fine.failing_since, fine.last_error), (0, None, None));
}

#[tokio::test]
async fn what_is_due_says_whose_it_is() {
    let bench = Bench::new().await;
    let ada: UserId = "ada".parse().unwrap();
    let (hers, ours) = (made(&bench, Some(&ada)).await, made(&bench, None).await);
    let mut conn = bench.database.connect().await;
    let insert = "insert into events (user_id, type, data) values ('ada', 'channel.changed', '{}')";
    sqlx::query(insert).execute(&mut conn).await.unwrap();
    let limit = std::time::Duration::from_secs(20);
    let mut due = claw_testkit::eventually("both to be due", limit, async || {
        let due = bench.store.destinations_due(&[SHARD]).await.unwrap();
        (due.len() == 2).then_some(due)
    })
    .await;
    due.sort_by_key(|due| due.user_id.is_none());
    let expected = [hers, ours].map(|new| Due { id: new.id, user_id: new.user_id, shard: SHARD });
    assert_eq!(due, expected);
    assert!(bench.store.destinations_due(&[ShardId(4)]).await.unwrap().is_empty());
}
