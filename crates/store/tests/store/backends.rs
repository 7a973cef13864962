//! Backends of users' own: one for each place, and what workers read of them.

use std::sync::Arc;

use claw_runtime::OsRandom;
use claw_secrets::{KeyRing, MasterKey};
use claw_store::{Actor, BackendPlace, Error, SaveBackend, Vault, chain};
use claw_types::ChannelId;

use crate::Bench;

fn actor() -> Actor {
    Actor::named("a test")
}

pub(super) fn place(user: &str, channel: Option<ChannelId>) -> BackendPlace {
    BackendPlace { user_id: user.parse().unwrap(), channel }
}

pub(super) fn new(bench: &Bench, place: &BackendPlace, url: &str) -> SaveBackend {
    SaveBackend {
        id: bench.ids.next(),
        place: place.clone(),
        url: url.to_owned(),
        secrets: Some(vec!["one".to_owned(), "two".to_owned()]),
        max_in_flight: 16,
        replaces: None,
    }
}

#[tokio::test]
async fn of_two_who_change_one_at_the_same_moment_the_second_must_look_again() {
    let bench = Bench::new().await;
    let place = place("ada", None);
    let save = new(&bench, &place, "https://a/");
    let made = bench.store.backend_save(&bench.vault, &save, &actor()).await.unwrap();
    let twice = bench.store.backend_save(&bench.vault, &new(&bench, &place, "https://b/"), &actor()).await;
    assert!(matches!(twice, Err(Error::Conflict)), "{twice:?}");
    let change = SaveBackend { secrets: None, replaces: Some(made.revision), ..save };
    let changed = bench.store.backend_save(&bench.vault, &change, &actor()).await.unwrap();
    assert_eq!((changed.revision, changed.secrets, changed.id), (2, 2, made.id));
    let late = bench.store.backend_save(&bench.vault, &change, &actor()).await;
    assert!(matches!(late, Err(Error::Conflict)), "{late:?}");
    assert_eq!(bench.store.backend(&place).await.unwrap(), changed);
}

#[tokio::test]
async fn a_worker_reads_what_changed_and_what_is_gone() {
    let bench = Bench::new().await;
    let (all, one) = (place("ada", None), place("ada", Some(ChannelId(bench.ids.next()))));
    for place in [&all, &one] {
        let save = new(&bench, place, "https://a/");
        bench.store.backend_save(&bench.vault, &save, &actor()).await.unwrap();
    }
    bench.store.backend_delete(&one, &actor()).await.unwrap();
    let mut rows = bench.store.backends_changed(&bench.vault, None).await.unwrap();
    rows.sort_by_key(|row| row.place.channel.is_some());
    let [kept, gone] = rows.as_slice() else { panic!("{rows:?}") };
    let (backend, secrets) = kept.backend.as_ref().unwrap();
    assert_eq!(
        (&backend.place, secrets.as_ref().unwrap().as_slice()),
        (&all, &["one", "two"].map(str::to_owned)[..])
    );
    assert_eq!((&gone.place, gone.revision, gone.backend.is_none()), (&one, 2, true));
    // Made again, it is newer than what was deleted.
    let save = new(&bench, &one, "https://b/");
    assert_eq!(bench.store.backend_save(&bench.vault, &save, &actor()).await.unwrap().revision, 3);

    let mut admin = bench.database.connect().await;
    let long_ago = "update backends set updated_at = now() - interval '1 hour' where channel_id is null";
    sqlx::query(long_ago).execute(&mut admin).await.unwrap();
    let rows = bench.store.backends_changed(&bench.vault, Some(60.0)).await.unwrap();
    assert_eq!(rows.iter().map(|row| &row.place).collect::<Vec<_>>(), [&one]);

    let other = Arc::new(KeyRing::from(MasterKey::from_api_key("other")));
    let other = Vault::new(other, Arc::new(OsRandom));
    let rows = bench.store.backends_changed(&other, None).await.unwrap();
    for (_, secrets) in rows.iter().filter_map(|row| row.backend.as_ref()) {
        assert!(chain(secrets.as_ref().unwrap_err()).contains("key"), "{secrets:?}");
    }
}

#[tokio::test]
async fn one_that_is_gone_is_switched_off_once_and_its_owner_hears_of_it() {
    let bench = Bench::new().await;
    let place = place("ada", None);
    let save = new(&bench, &place, "https://a/");
    let made = bench.store.backend_save(&bench.vault, &save, &actor()).await.unwrap();
    let off = async || {
        bench.store.backend_disable(made.id, made.revision, "it answered 410", &actor()).await.unwrap()
    };
    assert_eq!((off().await, off().await), (true, false), "two messages were answered so");
    let (reason, _) = bench.store.backend(&place).await.unwrap().disabled.unwrap();
    assert_eq!(reason, "it answered 410");
    let mut admin = bench.database.connect().await;
    let told: Vec<(Option<String>, String)> =
        sqlx::query_as("select user_id, data ->> 'reason' from events where type = 'backend.disabled'")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    assert_eq!(told, [(Some("ada".to_owned()), "it answered 410".to_owned())]);
    let again = SaveBackend { secrets: None, replaces: Some(2), ..save };
    assert_eq!(bench.store.backend_save(&bench.vault, &again, &actor()).await.unwrap().disabled, None);
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_forgotten() {
    let bench = Bench::new().await;
    let channel = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &channel, &actor()).await.unwrap();
    let places = [place("ada", None), place("ada", Some(channel.id)), place("bob", None)];
    for place in &places {
        let save = new(&bench, place, "https://a/");
        bench.store.backend_save(&bench.vault, &save, &actor()).await.unwrap();
    }
    bench.store.backend_delete(&places[0], &actor()).await.unwrap();
    bench.store.channel_delete(&channel.user_id, &channel.instance, &actor()).await.unwrap();
    assert_eq!(bench.store.backends_forget(7).await.unwrap(), 0, "not yet");
    assert_eq!(bench.store.backends_forget(0).await.unwrap(), 2);
    let left = bench.store.backends_changed(&bench.vault, None).await.unwrap();
    assert_eq!(left.iter().map(|row| &row.place).collect::<Vec<_>>(), [&places[2]]);
}

#[tokio::test]
async fn none_is_made_for_a_user_who_is_being_erased() {
    let bench = Bench::new().await;
    let place = place("ada", None);
    bench.store.erasure_begin(&place.user_id, &Actor::named("operator")).await.unwrap();
    let refused = bench.store.backend_save(&bench.vault, &new(&bench, &place, "https://a/"), &actor()).await;
    assert!(matches!(refused, Err(Error::BeingErased)), "{refused:?}");
}
