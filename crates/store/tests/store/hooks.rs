//! Users' inbound hooks: one name for one user, a secret that opens in its place only, a bounded list of calls.

use std::collections::BTreeMap;

use claw_store::{Actor, Error, Hook, HookAuth, HookOutcome, HookSpec, NewHookDelivery};
use claw_types::{HookName, MessageId, UserId};

use crate::Bench;

fn spec() -> HookSpec {
    HookSpec {
        enabled: true,
        auth: HookAuth::Hmac,
        agent_id: "research".to_owned(),
        channel: None,
        recipient: None,
        thread_id: None,
        text_template: Some("{{ text }}".to_owned()),
        fields: BTreeMap::from([("repo".to_owned(), "{{ a\0 }}".to_owned())]),
    }
}

pub(super) async fn create(bench: &Bench, user: &str, name: &str, secret: &str) -> Result<Hook, Error> {
    let (user, name): (UserId, HookName) = (user.parse().unwrap(), name.parse().unwrap());
    let (id, actor) = (bench.ids.next(), Actor::named("a test"));
    let made = bench.store.hook_create(&bench.vault, id, &user, &name, &spec(), secret, &actor, None).await;
    made.map(|(hook, _)| hook)
}

#[tokio::test]
async fn a_hook_is_found_by_its_name_with_its_secret_and_by_its_user_without() {
    let bench = Bench::new().await;
    let made = create(&bench, "ada", "one", "s3cret").await.unwrap();
    assert_eq!(made.spec, spec());
    let (opened, secret) = bench.store.hook_open(&bench.vault, &made.name).await.unwrap().unwrap();
    assert_eq!((&opened, &*secret), (&made, "s3cret"));
    assert_eq!(bench.store.hook(&made.user_id, &made.name).await.unwrap(), made);
    let bob = "bob".parse().unwrap();
    assert!(matches!(bench.store.hook(&bob, &made.name).await, Err(Error::NotFound("hook"))));
    assert!(bench.store.hooks_of(&bob, None, 10).await.unwrap().is_empty());
    let taken = create(&bench, "bob", "one", "other").await;
    assert!(matches!(taken, Err(Error::Conflict)), "another user can't take the name");
    assert!(bench.store.hook_open(&bench.vault, &"two".parse().unwrap()).await.unwrap().is_none());

    // Sealed, and bound to its hook.
    create(&bench, "ada", "two", "an0ther").await.unwrap();
    let mut conn = bench.database.connect().await;
    let stored: Vec<u8> =
        sqlx::query_scalar("select secret from hooks where name = 'one'").fetch_one(&mut conn).await.unwrap();
    assert!(!stored.windows(6).any(|part| part == b"s3cret"));
    let moved = "update hooks set secret = (select secret from hooks where name = 'one') where name = 'two'";
    sqlx::query(moved).execute(&mut conn).await.unwrap();
    let opened = bench.store.hook_open(&bench.vault, &"two".parse().unwrap()).await;
    assert!(matches!(opened, Err(Error::Secrets(_))));
    let page = bench.store.hooks_of(&made.user_id, Some("one"), 10).await.unwrap();
    assert_eq!(page.iter().map(|hook| hook.name.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[tokio::test]
async fn a_change_is_of_what_was_read() {
    let bench = Bench::new().await;
    let read = create(&bench, "ada", "one", "s3cret").await.unwrap();
    let actor = Actor::named("a test");
    let wanted = HookSpec { enabled: false, text_template: None, ..spec() };
    let saved = bench.store.hook_update(&bench.vault, &read, &wanted, None, &actor).await.unwrap();
    assert_eq!(saved.spec, wanted);
    let secret = async || bench.store.hook_open(&bench.vault, &read.name).await.unwrap().unwrap().1;
    assert_eq!(secret().await, "s3cret", "kept");
    let late = bench.store.hook_update(&bench.vault, &read, &spec(), Some("new"), &actor).await;
    assert!(matches!(late, Err(Error::Conflict)));
    bench.store.hook_update(&bench.vault, &saved, &wanted, Some("new"), &actor).await.unwrap();
    assert_eq!(secret().await, "new");
    let bob = "bob".parse().unwrap();
    assert!(matches!(bench.store.hook_delete(&bob, &read.name, &actor).await, Err(Error::NotFound("hook"))));
    bench.store.hook_delete(&read.user_id, &read.name, &actor).await.unwrap();
    let gone = bench.store.hook_update(&bench.vault, &saved, &wanted, None, &actor).await;
    assert!(matches!(gone, Err(Error::Conflict)));
}

#[tokio::test]
async fn of_its_calls_the_last_are_kept_and_strangers_push_out_only_strangers() {
    let bench = Bench::new().await;
    let hook = create(&bench, "ada", "one", "s3cret").await.unwrap();
    let other = create(&bench, "ada", "two", "s3cret").await.unwrap();
    let note = async |hook: &Hook, genuine, outcome, error| {
        let delivery = NewHookDelivery { genuine, outcome, excerpt: genuine.then_some("{}"), error };
        bench.store.hook_delivered(hook, &delivery).await.unwrap();
    };
    note(&other, true, HookOutcome::Skipped, None).await;
    let id = MessageId(bench.ids.next());
    let genuine = (0..110).map(|_| note(&hook, true, HookOutcome::Accepted(id), None));
    let strange = (0..30).map(|_| note(&hook, false, HookOutcome::Refused, Some("why")));
    tokio::join!(futures::future::join_all(genuine), futures::future::join_all(strange));
    // Calls at the same moment may leave one another's rows to the next.
    note(&hook, true, HookOutcome::Duplicate(id), None).await;
    note(&hook, false, HookOutcome::Refused, Some("last")).await;
    let kept = bench.store.hook_deliveries(&hook, None, 1_000).await.unwrap();
    assert_eq!((kept[0].error.as_deref(), kept[0].genuine, kept[0].message_id), (Some("last"), false, None));
    assert_eq!(
        (&*kept[1].status, kept[1].message_id, kept[1].excerpt.as_deref()),
        ("duplicate", Some(id), Some("{}"))
    );
    let genuine = kept.iter().filter(|delivery| delivery.genuine).count();
    assert_eq!((genuine, kept.len() - genuine), (100, 20));
    let page = bench.store.hook_deliveries(&hook, Some(kept[9].id), 5).await.unwrap();
    assert_eq!(page, kept[10..15]);
    assert_eq!(bench.store.hook_deliveries(&other, None, 10).await.unwrap().len(), 1);
    let actor = Actor::named("a test");
    bench.store.hook_delete(&hook.user_id, &hook.name, &actor).await.unwrap();
    note(&hook, true, HookOutcome::Skipped, None).await;
    assert!(bench.store.hook_deliveries(&hook, None, 10).await.unwrap().is_empty(), "nobody is left to tell");
}
