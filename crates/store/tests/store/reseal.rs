//! Replacing the master key: what is there opens with the key that it names, and is sealed anew beside whoever works with it.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::OsRandom;
use claw_secrets::{KeyRing, MasterKey};
use claw_store::reseal::Page;
use claw_store::{Actor, Error, Reseal, SaveChannel, SealedKind, Vault};
use claw_testkit::eventually;
use serde_json::{Map, Value, json};

use crate::{Bench, backends, destinations, hooks};

fn actor() -> Actor {
    Actor::named("a test")
}

fn key(of: &str) -> MasterKey {
    MasterKey::from_api_key(of)
}

/// With the first of these keys as the current one.
fn vault(keys: &[&str]) -> Vault {
    let (current, others) = keys.split_first().unwrap();
    let ring = KeyRing::new(key(current), others.iter().map(|of| key(of)));
    Vault::new(Arc::new(ring), Arc::new(OsRandom))
}

/// As an adapter would: the app, if there is one, and the token, unless the channel is of a type that nobody knows.
#[expect(clippy::needless_pass_by_value, reason = "as an adapter takes them")]
fn credentials(
    channel_type: &str,
    _config: Map<String, Value>,
    secrets: Map<String, Value>,
) -> Result<Vec<String>, String> {
    let given = ["app", "token"].into_iter().filter_map(|key| secrets.get(key)?.as_str().map(str::to_owned));
    match channel_type {
        "kind" => Ok(given.collect()),
        other => Err(format!("unknown type {other}")),
    }
}

fn reseal(bench: &Bench, keys: &[&str]) -> Reseal {
    Reseal { store: bench.store.clone(), vault: vault(keys), credentials, page: 2, write: true }
}

/// Every page of this kind; answers them in one.
async fn all(work: &Reseal, kind: SealedKind, of: &str) -> Page {
    let mut total = Page::default();
    let mut after = None;
    loop {
        let page = work.page(kind, &key(of).id(), after).await.unwrap();
        total.resealed += page.resealed;
        total.changed += page.changed;
        total.refused.extend(page.refused);
        after = page.next;
        if after.is_none() {
            return total;
        }
    }
}

fn channel(bench: &Bench, user: &str, slug: &str, token: &str) -> SaveChannel {
    SaveChannel {
        secrets: Map::from_iter([("token".to_owned(), json!(token))]),
        credentials: vec![token.to_owned()],
        ..bench.channel(user, slug)
    }
}

async fn channels(bench: &Bench, vault: &Vault, count: usize) -> Vec<SaveChannel> {
    let mut saved = Vec::new();
    for n in 0..count {
        let save = channel(bench, "ada", &format!("c{n}"), &format!("token {n}"));
        bench.store.channel_save(vault, &save, &actor()).await.unwrap();
        saved.push(save);
    }
    saved
}

/// Under which keys how many values are, of all kinds.
async fn counts(bench: &Bench) -> Vec<(String, i64)> {
    let sum = |(key, counts): (String, Vec<claw_store::SealedCount>)| {
        (key, counts.iter().map(|one| one.count).sum())
    };
    bench.store.sealed_by_key().await.unwrap().into_iter().map(sum).collect()
}

#[tokio::test]
async fn all_of_it_is_under_the_new_key_and_nothing_is_restarted() {
    let bench = Bench::new().await;
    let saved = channels(&bench, &vault(&["old"]), 5).await;
    let work = reseal(&bench, &["new", "old"]);
    let before = bench.store.channel_load(&work.vault, saved[0].id).await.unwrap().unwrap();
    assert_eq!(counts(&bench).await, [(key("old").id(), 5)]);

    let tried = Reseal { write: false, ..work.clone() };
    assert_eq!(all(&tried, SealedKind::Channels, "old").await.resealed, 5);
    assert_eq!(counts(&bench).await, [(key("old").id(), 5)], "nothing was written");

    // Stopped after a page, and begun again.
    let page = work.page(SealedKind::Channels, &key("old").id(), None).await.unwrap();
    assert_eq!((page.resealed, page.next.is_some()), (2, true));
    assert_eq!(all(&work, SealedKind::Channels, "old").await.resealed, 3);
    assert_eq!(all(&work, SealedKind::Channels, "old").await, Page::default(), "once is enough");
    assert_eq!(counts(&bench).await, [(key("new").id(), 5)]);

    let only_new = vault(&["new"]);
    for save in &saved {
        let (read, secrets) = bench.store.channel_load(&only_new, save.id).await.unwrap().unwrap();
        assert_eq!((read.revision, &secrets), (1, &save.secrets));
    }
    let after = bench.store.channel_load(&only_new, saved[0].id).await.unwrap().unwrap();
    assert_eq!(after.0.revision, before.0.revision);
    // The fingerprint is of the new key, too.
    let again = channel(&bench, "eve", "stolen", "token 3");
    let refused = bench.store.channel_save(&only_new, &again, &actor()).await;
    assert!(matches!(refused, Err(Error::CredentialInUse(_))), "{refused:?}");
}

#[tokio::test]
async fn hooks_backends_and_destinations_are_sealed_anew() {
    let bench = Bench::new().await;
    let hook = hooks::create(&bench, "ada", "one", "hook secret").await.unwrap();
    let place = backends::place("ada", None);
    let backend = backends::new(&bench, &place, "https://a/");
    bench.store.backend_save(&bench.vault, &backend, &actor()).await.unwrap();
    let destination = destinations::made(&bench, None).await;

    // What the bench seals with.
    let (work, new) = (reseal(&bench, &["new", "test"]), vault(&["new"]));
    for kind in [SealedKind::Hooks, SealedKind::Backends, SealedKind::Destinations] {
        assert_eq!(all(&work, kind, "test").await.resealed, 1, "{kind:?}");
    }
    assert_eq!(counts(&bench).await, [(key("new").id(), 3)]);
    assert_eq!(bench.store.hook_open(&new, &hook.name).await.unwrap().unwrap().1, "hook secret");
    let found = bench.store.backends_changed(&new, None).await.unwrap();
    let (_, secrets) = found[0].backend.as_ref().unwrap();
    assert_eq!(secrets.as_ref().unwrap(), backend.secrets.as_ref().unwrap());
    let (_, secret) = bench.store.destination_open(&new, None, destination.id).await.unwrap();
    assert_eq!(secret, destination.secret);
}

#[tokio::test]
async fn who_changes_a_channel_meanwhile_wins() {
    let bench = Bench::new().await;
    let save = channels(&bench, &vault(&["old"]), 1).await.remove(0);
    let work = reseal(&bench, &["new", "old"]);
    // Somebody has changed the row and not committed it.
    let mut other = bench.database.connect().await;
    let change = "begin; update channels set secrets = secrets || '\\x00'::bytea";
    sqlx::raw_sql(change).execute(&mut other).await.unwrap();
    let old = key("old").id();
    let page = work.page(SealedKind::Channels, &old, None);
    let mut admin = bench.database.connect().await;
    let waits = "select exists (select 1 from pg_locks where not granted
         and pid in (select pid from pg_stat_activity where datname = current_database()))";
    let committed = async {
        eventually("the page to wait for the row", Duration::from_secs(20), async || {
            sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut admin).await.unwrap().then_some(())
        })
        .await;
        sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    };
    let (page, ()) = tokio::join!(page, committed);
    let page = page.unwrap();
    assert_eq!((page.resealed, page.changed), (0, 1));
    let kept: (String, i32) =
        sqlx::query_as("select secrets_key, length(secrets) from channels where id = $1")
            .bind(save.id.0)
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(kept.0, key("old").id(), "what was written stays");
}

#[tokio::test]
async fn one_that_cannot_be_sealed_anew_keeps_none_of_the_others_back() {
    let bench = Bench::new().await;
    let old = vault(&["old"]);
    let saved = channels(&bench, &old, 3).await;
    let mut admin = bench.database.connect().await;
    let damage = "update channels set secrets = secrets || '\\x00'::bytea where id = $1";
    sqlx::query(damage).bind(saved[1].id.0).execute(&mut admin).await.unwrap();
    let unknown = SaveChannel { channel_type: "later".to_owned(), ..channel(&bench, "bob", "new", "t") };
    bench.store.channel_save(&old, &unknown, &actor()).await.unwrap();
    // Saved by a process that did not know the old key, so that nobody compared the two.
    let twin = channel(&bench, "eve", "twin", "token 2");
    bench.store.channel_save(&vault(&["new"]), &twin, &actor()).await.unwrap();

    let page = all(&reseal(&bench, &["new", "old"]), SealedKind::Channels, "old").await;
    assert_eq!(page.resealed, 1);
    let mut why: Vec<String> = page.refused.iter().map(claw_store::reseal::Refused::line).collect();
    why.sort();
    let [damaged, taken, unknown] = why.as_slice() else { panic!("{why:?}") };
    assert!(damaged.starts_with("channels ada/c1: ") && damaged.contains("damaged"), "{damaged}");
    assert!(taken.starts_with("channels ada/c2: another channel has the same credential"), "{taken}");
    assert_eq!(unknown, "channels bob/new: unknown type later");
}

#[tokio::test]
async fn a_credential_belongs_to_one_channel_whichever_key_saved_it() {
    let bench = Bench::new().await;
    let (before, after) = (vault(&["old", "new"]), vault(&["new", "old"]));
    let first = channel(&bench, "ada", "one", "bot 1");
    bench.store.channel_save(&before, &first, &actor()).await.unwrap();
    for keys in [&before, &after] {
        let refused = bench.store.channel_save(keys, &channel(&bench, "ada", "two", "bot 1"), &actor()).await;
        assert!(refused.unwrap_err().to_string().contains("the channel \"one\""));
        let refused = bench.store.channel_save(keys, &channel(&bench, "eve", "two", "bot 1"), &actor()).await;
        assert!(refused.unwrap_err().to_string().contains("a channel of another user"));
    }
    // The channel itself may be saved under either key.
    let change = SaveChannel { replaces: Some(1), ..first.clone() };
    bench.store.channel_save(&after, &change, &actor()).await.unwrap();
    assert_eq!(counts(&bench).await, [(key("new").id(), 1)]);
    let refused = bench.store.channel_save(&before, &channel(&bench, "ada", "two", "bot 1"), &actor()).await;
    assert!(matches!(refused, Err(Error::CredentialInUse(_))), "{refused:?}");
}

#[tokio::test]
async fn two_that_save_one_credential_under_different_keys_at_once_are_told_apart() {
    let bench = Bench::new().await;
    for round in 0..10 {
        let token = format!("bot {round}");
        let (one, two) = (
            channel(&bench, "ada", &format!("a{round}"), &token),
            channel(&bench, "eve", &format!("e{round}"), &token),
        );
        let (before, after, actor) = (vault(&["old", "new"]), vault(&["new", "old"]), actor());
        let saved = tokio::join!(
            bench.store.channel_save(&before, &one, &actor),
            bench.store.channel_save(&after, &two, &actor)
        );
        assert!(saved.0.is_ok() != saved.1.is_ok(), "round {round}: {saved:?}");
    }
}

#[tokio::test]
async fn every_credential_of_a_channel_is_its_own_under_the_new_key_too() {
    let bench = Bench::new().await;
    let (old, new) = (vault(&["old"]), vault(&["new"]));
    let first = SaveChannel {
        secrets: Map::from_iter([("app".to_owned(), json!("app 1")), ("token".to_owned(), json!("bot 1"))]),
        credentials: vec!["app 1".to_owned(), "bot 1".to_owned()],
        ..bench.channel("ada", "one")
    };
    bench.store.channel_save(&old, &first, &actor()).await.unwrap();
    // As a version left it that knew the first one only.
    let mut admin = bench.database.connect().await;
    let forget = "delete from channel_credentials where fingerprint <> (select fingerprint from channels)";
    assert_eq!(sqlx::query(forget).execute(&mut admin).await.unwrap().rows_affected(), 1);

    assert_eq!(all(&reseal(&bench, &["new", "old"]), SealedKind::Channels, "old").await.resealed, 1);
    for credential in ["app 1", "bot 1"] {
        let second = channel(&bench, "eve", "two", credential);
        let refused = bench.store.channel_save(&new, &second, &actor()).await;
        assert!(matches!(refused, Err(Error::CredentialInUse(_))), "{credential}: {refused:?}");
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from channel_credentials").fetch_one(&mut admin).await.unwrap();
    assert_eq!(left, 2, "none is left of the old key");
}

#[tokio::test]
async fn what_names_an_unknown_key_is_found() {
    let bench = Bench::new().await;
    channels(&bench, &vault(&["old"]), 2).await;
    let ring = KeyRing::from(key("new"));
    let unknown = bench.store.sealed_by_unknown(&ring).await.unwrap();
    assert_eq!(unknown.keys().collect::<Vec<_>>(), [&key("old").id()]);
    let named = bench.store.channels_sealed_by(&[key("old").id()], 1).await.unwrap();
    assert_eq!(named.iter().map(|one| one.instance.as_str()).collect::<Vec<_>>(), ["c0"]);
    let ring = KeyRing::new(key("new"), [key("old")]);
    assert!(bench.store.sealed_by_unknown(&ring).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_table_with_sealed_values_is_known() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.columns
         where table_schema = 'public' and column_name in ('secret_key', 'secrets_key', 'sealed_key') order by 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut known = SealedKind::ALL.map(SealedKind::table);
    known.sort_unstable();
    assert_eq!(columns, known, "re-sealing must know it, or the key of before can't be taken away");
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_log() {
    let bench = Bench::new().await;
    let work = reseal(&bench, &["new", "old"]);
    work.note(7, &Actor::named("ii-claw reseal")).await.unwrap();
    let mut admin = bench.database.connect().await;
    let noted: (String, String, String) = sqlx::query_as(
        "select actor, subject, detail::text from audit_log where action = 'secrets.resealed'",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!(noted, ("ii-claw reseal".to_owned(), key("new").id(), r#"{"values":7}"#.to_owned()));
}
