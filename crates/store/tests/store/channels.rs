use std::time::Duration;

use claw_store::{Actor, Error, Lease, Observation, Observed, SaveChannel, Sighting};
use claw_types::{ChannelId, Epoch, ShardId, UserId};
use serde_json::json;
use sqlx::Connection as _;

use crate::Bench;

fn actor() -> Actor {
    Actor::named("a test")
}

#[tokio::test]
async fn secrets_are_sealed_and_come_back() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let (channel, secrets) =
        bench.store.channel_find(&bench.vault, &save.user_id, &save.instance).await.unwrap().unwrap();
    assert_eq!((channel.id, &secrets), (save.id, &save.secrets));
    assert_eq!(channel.config, save.config);
    let mut database = bench.database.connect().await;
    let row: String =
        sqlx::query_scalar("select channels::text from channels").fetch_one(&mut database).await.unwrap();
    assert!(!row.contains("hidden") && !row.contains(&format!("{:02x?}", b"hidden")), "{row}");
    let loaded = bench.store.channel_load(&bench.vault, save.id).await.unwrap().unwrap();
    assert_eq!(loaded.1, save.secrets);
}

#[tokio::test]
async fn what_is_to_be_saved_prints_no_secret() {
    let bench = Bench::new().await;
    let save = SaveChannel { credentials: vec!["hidden".to_owned()], ..bench.channel("ada", "one") };
    let printed = format!("{save:?}");
    assert!(printed.contains("token") && printed.contains("credentials: 1"), "{printed}");
    assert!(!printed.contains("hidden") && !printed.contains("value"), "{printed}");
}

#[tokio::test]
async fn nobody_sees_another_users_channels() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let bob: UserId = "bob".parse().unwrap();
    assert!(bench.store.channels_of(&bob, None).await.unwrap().is_empty());
    assert!(bench.store.channel_find(&bench.vault, &bob, &save.instance).await.unwrap().is_none());
    assert!(matches!(bench.store.channel_status(&bob, &save.instance).await, Err(Error::NoChannel)));
    assert!(matches!(
        bench.store.channel_delete(&bob, &save.instance, &actor()).await,
        Err(Error::NoChannel)
    ));
    assert_eq!(bench.store.channels_of(&save.user_id, Some("kind")).await.unwrap().len(), 1);
    assert!(bench.store.channels_of(&save.user_id, Some("other")).await.unwrap().is_empty());
    // The same slug is free for another user, but not with a row that was read as Ada's.
    let stolen = SaveChannel { user_id: bob.clone(), replaces: Some(1), ..save.clone() };
    assert!(matches!(bench.store.channel_save(&bench.vault, &stolen, &actor()).await, Err(Error::Conflict)));
}

#[tokio::test]
async fn only_the_revision_that_was_read_is_replaced() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    assert!(matches!(bench.store.channel_save(&bench.vault, &save, &actor()).await, Err(Error::Conflict)));
    let change = SaveChannel { enabled: false, replaces: Some(1), ..save.clone() };
    bench.store.channel_save(&bench.vault, &change, &actor()).await.unwrap();
    assert!(matches!(bench.store.channel_save(&bench.vault, &change, &actor()).await, Err(Error::Conflict)));
    let status = bench.store.channel_status(&save.user_id, &save.instance).await.unwrap();
    assert_eq!((status.channel.enabled, status.channel.revision), (false, 2));
    assert!(bench.store.channels_in(&[save.shard]).await.unwrap().is_empty(), "switched off");
    assert_eq!(bench.store.channels_changed(&[save.shard], 30.0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_credential_belongs_to_one_channel() {
    let bench = Bench::new().await;
    let with = |user: &str, slug: &str| SaveChannel {
        credentials: vec!["bot 1".into()],
        ..bench.channel(user, slug)
    };
    let first = with("ada", "one");
    bench.store.channel_save(&bench.vault, &first, &actor()).await.unwrap();
    let message = |error: Error| error.to_string();
    let mine =
        message(bench.store.channel_save(&bench.vault, &with("ada", "two"), &actor()).await.unwrap_err());
    assert!(mine.contains("the channel \"one\""), "{mine}");
    let foreign =
        message(bench.store.channel_save(&bench.vault, &with("bob", "two"), &actor()).await.unwrap_err());
    assert!(
        foreign.contains("another user") && !foreign.contains("one\"") && !foreign.contains("ada"),
        "{foreign}"
    );
    bench.store.channel_delete(&first.user_id, &first.instance, &actor()).await.unwrap();
    bench.store.channel_save(&bench.vault, &with("bob", "two"), &actor()).await.unwrap();
    assert!(bench.store.channel_load(&bench.vault, first.id).await.unwrap().is_none());
    // The slug is free again, too.
    bench.store.channel_save(&bench.vault, &bench.channel("ada", "one"), &actor()).await.unwrap();
}

#[tokio::test]
async fn only_the_present_owner_is_believed() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[save.shard]).await.unwrap()[0].epoch;
    let see = |epoch: Epoch, seen| Sighting { channel_id: save.id, shard: save.shard, epoch, seen };
    let running = Observation::Running { revision: 1 };
    let seen = [
        see(epoch, running.clone()),
        see(epoch, Observation::Cursor("42".into())),
        see(epoch, Observation::Inbound),
        see(epoch, Observation::Trouble(format!("hic\0cup{}", "p".repeat(2_000)))),
        see(Epoch(epoch.0 - 1), Observation::Cursor("41".into())),
        Sighting { channel_id: ChannelId(bench.ids.next()), ..see(epoch, Observation::Inbound) },
    ];
    let observed = bench.store.channels_observe(&seen).await.unwrap();
    assert_eq!(observed[..4], [Observed::Written; 4]);
    assert_eq!(observed[4..], [Observed::NotOwner, Observed::NoChannel]);
    assert_eq!(bench.store.channel_cursor(save.id).await.unwrap().as_deref(), Some("42"));
    let status = bench.store.channel_status(&save.user_id, &save.instance).await.unwrap();
    assert_eq!((status.state.as_str(), status.owner.as_deref()), ("running", Some("one")));
    let error = status.last_error.unwrap();
    assert!(error.starts_with("hiccupp") && error.len() == 1_000, "{error}");
    assert!(status.last_inbound_at.is_some());
    bench.store.channels_observe(&[see(epoch, running)]).await.unwrap();
    let status = bench.store.channel_status(&save.user_id, &save.instance).await.unwrap();
    assert_eq!(status.last_error, None, "it is over");
    lease.close().await.unwrap();
    let status = bench.store.channel_status(&save.user_id, &save.instance).await.unwrap();
    assert_eq!((status.state.as_str(), status.owner), ("starting", None), "nobody runs it");
    assert_eq!(bench.store.channel_cursor(save.id).await.unwrap().as_deref(), Some("42"), "the cursor stays");
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let key = claw_secrets::MasterKey::from_api_key("other");
    let other =
        claw_store::Vault::new(std::sync::Arc::new(key.into()), std::sync::Arc::new(claw_runtime::OsRandom));
    let error = bench.store.channel_load(&other, save.id).await.unwrap_err();
    assert!(matches!(error, Error::Secrets(_)), "{error}");
    // One that can't be opened is no reason to be without the others.
    let second = bench.channel("ada", "two");
    bench.store.channel_save(&other, &second, &actor()).await.unwrap();
    let nobody = ChannelId(uuid::Uuid::nil());
    let mut loaded = bench.store.channels_load(&other, &[save.id, second.id, nobody]).await.unwrap();
    loaded.sort_by_key(|row| row.id != save.id);
    let [unreadable, readable] = &loaded[..] else { panic!("{loaded:?}") };
    assert!(matches!(unreadable.channel, Err(Error::Secrets(_))), "{unreadable:?}");
    assert_eq!((unreadable.revision, readable.cursor.as_deref()), (1, None));
    assert_eq!(readable.channel.as_ref().unwrap().1, second.secrets);
    assert_eq!(json!(save.config)["open"], "value");
}

/// Until so many sessions of this database wait for a lock.
async fn waiting(bench: &Bench, count: i64) {
    let mut conn = bench.database.connect().await;
    let limit = Duration::from_secs(20);
    claw_testkit::eventually("sessions that wait for locks", limit, async || {
        let waiting = "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'";
        let found: i64 = sqlx::query_scalar(waiting).fetch_one(&mut conn).await.unwrap();
        (found == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_seen_of_several_shards_and_a_claim_of_them_do_not_wait_for_each_other() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let (low, high) = (ShardId(3), ShardId(5));
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let seen = |shard| Sighting { channel_id: save.id, shard, epoch: Epoch(0), seen: Observation::Inbound };
    let mut holder = bench.database.connect().await;
    let mut first = holder.begin().await.unwrap();
    sqlx::query("select 1 from shards where shard = 3 for update").execute(&mut *first).await.unwrap();
    let both = [low, high];
    let claiming = lease.claim(&both);
    let observing = async {
        // Behind the claim, which waits for the lower shard.
        waiting(&bench, 1).await;
        bench.store.channels_observe(&[seen(high), seen(low)]).await
    };
    let letting_go = async {
        waiting(&bench, 2).await;
        first.commit().await.unwrap();
    };
    let (claimed, observed, ()) = tokio::join!(claiming, observing, letting_go);
    assert_eq!(
        (claimed.unwrap().len(), observed.unwrap()),
        (2, vec![Observed::NotOwner; 2]),
        "the claim was first"
    );
}

#[tokio::test]
async fn each_sighting_hears_of_its_own_fate_and_the_last_one_of_a_channel_counts() {
    let bench = Bench::new().await;
    let (one, two) = (bench.channel("ada", "one"), bench.channel("ada", "two"));
    for save in [&one, &two] {
        bench.store.channel_save(&bench.vault, save, &actor()).await.unwrap();
    }
    assert_ne!(one.shard, two.shard);
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let epoch = lease.claim(&[one.shard]).await.unwrap()[0].epoch;
    let seen = |save: &SaveChannel, cursor: &str| Sighting {
        channel_id: save.id,
        shard: save.shard,
        epoch,
        seen: Observation::Cursor(cursor.to_owned()),
    };
    let sightings = [seen(&two, "a"), seen(&one, "a"), seen(&two, "b"), seen(&one, "b")];
    let (refused, written) = (Observed::NotOwner, Observed::Written);
    let observed = bench.store.channels_observe(&sightings).await.unwrap();
    assert_eq!(observed, [refused, written, refused, written]);
    assert_eq!(bench.store.channel_cursor(one.id).await.unwrap().as_deref(), Some("b"));
    assert_eq!(bench.store.channel_cursor(two.id).await.unwrap(), None);
}

/// Three stored channels, of which the last one is switched off.
async fn three(bench: &Bench) -> [SaveChannel; 3] {
    let (well, broken, off) =
        (bench.channel("ada", "one"), bench.channel("ada", "two"), bench.channel("bob", "off"));
    let three = [well, broken, SaveChannel { enabled: false, ..off }];
    for save in &three {
        bench.store.channel_save(&bench.vault, save, &actor()).await.unwrap();
    }
    three
}

#[tokio::test]
async fn a_checkup_names_those_in_trouble() {
    let bench = Bench::new().await;
    let [well, broken, _] = three(&bench).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let claimed = lease.claim(&[well.shard, broken.shard]).await.unwrap();
    let epoch = |shard: ShardId| claimed.iter().find(|one| one.shard == shard).unwrap().epoch;
    let see = |save: &SaveChannel, seen| Sighting {
        channel_id: save.id,
        shard: save.shard,
        epoch: epoch(save.shard),
        seen,
    };
    let failed = Observation::Failed { revision: 1, error: "401 Unauthorized".into() };
    let seen = [see(&well, Observation::Running { revision: 1 }), see(&broken, failed)];
    bench.store.channels_observe(&seen).await.unwrap();
    let found = bench.store.channels_checkup(5).await.unwrap();
    assert_eq!((found.enabled, found.in_trouble), (2, 1));
    let [one] = found.examples.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.channel.instance.as_str(), one.error.as_str()), ("two", "401 Unauthorized"));
    assert!(one.broken, "{one:?}");
    assert!(one.said < Duration::from_mins(1), "{one:?}");

    // What it goes on from by itself is no broken channel.
    bench.store.channels_observe(&[see(&well, Observation::Trouble("429".into()))]).await.unwrap();
    let found = bench.store.channels_checkup(5).await.unwrap();
    let broken: Vec<_> =
        found.examples.iter().map(|one| (one.channel.instance.as_str(), one.broken)).collect();
    assert_eq!(broken, [("two", true), ("one", false)]);
}

#[tokio::test]
async fn a_checkup_counts_those_whose_owner_says_nothing() {
    let bench = Bench::new().await;
    let silent = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &silent, &actor()).await.unwrap();
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    lease.claim(&[silent.shard]).await.unwrap();
    assert_eq!(bench.store.channels_checkup(5).await.unwrap().starting, 0, "it was claimed just now");
    let mut database = bench.database.connect().await;
    for old in [
        "update shards set claimed_at = now() - interval '6 minutes'",
        "update channels set updated_at = now() - interval '6 minutes'",
    ] {
        assert_eq!(bench.store.channels_checkup(5).await.unwrap().starting, 0);
        sqlx::query(old).execute(&mut database).await.unwrap();
    }
    assert_eq!(bench.store.channels_checkup(5).await.unwrap().starting, 1);
}

#[tokio::test]
async fn platforms_are_asked_of_those_in_trouble_first_or_of_those_that_are_named() {
    let bench = Bench::new().await;
    let [_, broken, off] = three(&bench).await;
    let unowned = bench.store.channels_to_ask(&[], 5).await.unwrap();
    assert!(unowned.iter().all(|one| one.owner.is_none() && one.enabled), "{unowned:?}");
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let claimed = lease.claim(&[broken.shard]).await.unwrap();
    let seen = Sighting {
        channel_id: broken.id,
        shard: broken.shard,
        epoch: claimed[0].epoch,
        seen: Observation::Failed { revision: 1, error: "401 Unauthorized".into() },
    };
    bench.store.channels_observe(&[seen]).await.unwrap();
    let asked = bench.store.channels_to_ask(&[], 1).await.unwrap();
    let [first] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((first.id, first.shard), (broken.id, broken.shard));
    assert_eq!(first.owner, Some("one:1".to_owned()));
    assert_eq!(bench.store.channels_to_ask(&[], 5).await.unwrap().len(), 2, "those that are switched on");
    let named = [off.instance.clone(), "nowhere".parse().unwrap()].map(|one| (off.user_id.clone(), one));
    let asked = bench.store.channels_to_ask(&named, 5).await.unwrap();
    let [only] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((only.id, only.enabled), (off.id, false));
}
