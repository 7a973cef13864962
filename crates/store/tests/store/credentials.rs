//! One bot is in one channel, under whichever of its names: two that configure it at once, and a version that knows one name only.

use claw_store::{Actor, Error, SaveChannel};
use sqlx::PgConnection;

use crate::Bench;

fn actor() -> Actor {
    Actor::named("a test")
}

fn known_as(bench: &Bench, user: &str, slug: &str, names: &[&str]) -> SaveChannel {
    let credentials = names.iter().map(|&name| name.to_owned()).collect();
    SaveChannel { credentials, ..bench.channel(user, slug) }
}

impl Bench {
    async fn save(&self, save: &SaveChannel) -> Result<(), Error> {
        self.store.channel_save(&self.vault, save, &actor()).await
    }

    /// Why this user may not have a channel with these names.
    async fn refusal(&self, user: &str, names: &[&str]) -> String {
        let refused = self.save(&known_as(self, user, "refused", names)).await.unwrap_err();
        assert!(matches!(refused, Error::CredentialInUse(_)), "{names:?}: {refused}");
        refused.to_string()
    }

    /// As the version before writes it, which knows one name only.
    fn fingerprint(&self, name: &str) -> Vec<u8> {
        self.vault.fingerprints("kind", name)[0].to_vec()
    }
}

async fn stored(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from channel_credentials").fetch_one(admin).await.unwrap()
}

#[tokio::test]
async fn a_channel_with_any_name_of_a_bot_is_refused() {
    let bench = Bench::new().await;
    bench.save(&known_as(&bench, "ada", "one", &["app", "bot"])).await.unwrap();
    for names in [&["app"][..], &["bot"], &["secret", "bot"], &["app", "other bot"], &["bot", "app"]] {
        let mine = bench.refusal("ada", names).await;
        assert!(mine.contains("the channel \"one\""), "{names:?}: {mine}");
        let foreign = bench.refusal("eve", names).await;
        assert!(foreign.contains("a channel of another user"), "{names:?}: {foreign}");
        assert!(!foreign.contains("one\"") && !foreign.contains("ada"), "{foreign}");
    }
    bench.save(&known_as(&bench, "eve", "two", &["secret", "other bot"])).await.unwrap();
    // Of two channels in the way, the caller's own is named, whatever the other one is called.
    let mixed = bench.refusal("eve", &["bot", "secret"]).await;
    assert!(mixed.contains("the channel \"two\""), "{mixed}");
    let mut admin = bench.database.connect().await;
    assert_eq!(stored(&mut admin).await, 4, "what was refused left nothing");
}

#[tokio::test]
async fn of_two_forms_of_one_bot_that_are_configured_at_once_one_is_stored() {
    let bench = Bench::new().await;
    for round in 0..10 {
        let name = |what: &str| format!("{what} {round}");
        let (app, secret, bot) = (name("app"), name("secret"), name("bot"));
        // The last two would wait for one another, if each took its names in its own order.
        for (n, forms) in
            [[[&app, &bot], [&secret, &bot]], [[&bot, &name("x")], [&name("x"), &bot]]].iter().enumerate()
        {
            let user = format!("user-{round}-{n}");
            let [one, two] = forms.map(|names| names.map(String::as_str));
            let (one, two) =
                (known_as(&bench, &user, "one", &one), known_as(&bench, &format!("{user}-x"), "two", &two));
            let saved = tokio::join!(bench.save(&one), bench.save(&two));
            let (won, lost) = if saved.0.is_ok() { (&one, saved.1) } else { (&two, saved.0) };
            assert!(matches!(lost, Err(Error::CredentialInUse(_))), "round {round}: {lost:?}");
            bench.store.channel_delete(&won.user_id, &won.instance, &actor()).await.unwrap();
        }
    }
    let mut admin = bench.database.connect().await;
    assert_eq!(stored(&mut admin).await, 0, "a deleted channel has none");
}

#[tokio::test]
async fn a_name_is_free_once_its_channel_has_another_or_is_deleted_and_not_when_it_is_off() {
    let bench = Bench::new().await;
    let one = known_as(&bench, "ada", "one", &["app", "bot"]);
    bench.save(&one).await.unwrap();
    let off = SaveChannel { enabled: false, replaces: Some(1), ..one.clone() };
    bench.save(&off).await.unwrap();
    bench.refusal("eve", &["bot"]).await;

    let other = SaveChannel { replaces: Some(2), ..known_as(&bench, "ada", "one", &["app", "new bot"]) };
    bench.save(&SaveChannel { id: one.id, ..other }).await.unwrap();
    bench.save(&known_as(&bench, "eve", "two", &["bot"])).await.unwrap();
    // What did not become of it is as it was.
    let back = SaveChannel { replaces: Some(3), ..one.clone() };
    assert!(matches!(bench.save(&back).await, Err(Error::CredentialInUse(_))));
    bench.refusal("eve", &["new bot"]).await;

    bench.store.channel_delete(&one.user_id, &one.instance, &actor()).await.unwrap();
    bench.save(&known_as(&bench, "eve", "three", &["app", "new bot"])).await.unwrap();
}

/// The version before this one runs beside it during an upgrade. These are its statements.
#[tokio::test]
async fn a_version_that_knows_one_name_keeps_to_the_rule_and_breaks_nothing() {
    let bench = Bench::new().await;
    let mut old = bench.database.connect().await;
    let made = known_as(&bench, "ada", "old", &[]);
    let insert = "insert into channels (id, instance_name, config, fingerprint, user_id, instance, channel_type, shard)
        values ($1, '', '{}', $2, $3, $4, 'kind', 0)";
    let inserted = async |on: &mut PgConnection, save: &SaveChannel, name: &str| {
        let query = sqlx::query(insert).bind(save.id.0).bind(bench.fingerprint(name));
        query.bind(save.user_id.as_str()).bind(save.instance.as_str()).execute(on).await
    };
    inserted(&mut old, &made, "app").await.unwrap();
    assert!(bench.refusal("ada", &["secret", "app"]).await.contains("the channel \"old\""));

    // It is refused a name that is not the first one of its channel.
    bench.save(&known_as(&bench, "eve", "new", &["secret", "bot"])).await.unwrap();
    let twin = known_as(&bench, "ada", "twin", &[]);
    let refused = inserted(&mut old, &twin, "bot").await.unwrap_err();
    assert!(refused.as_database_error().unwrap().is_unique_violation(), "{refused}");

    // A new version adds what it knows, and the old one changes something else: all of them stay.
    let known = SaveChannel {
        id: made.id,
        shard: claw_types::ShardId(0),
        replaces: Some(1),
        ..known_as(&bench, "ada", "old", &["app", "old bot"])
    };
    bench.save(&known).await.unwrap();
    let change =
        "update channels set enabled = false, fingerprint = $2, revision = revision + 1 where id = $1";
    let changed = async |on: &mut PgConnection, name: &str| {
        sqlx::query(change).bind(made.id.0).bind(bench.fingerprint(name)).execute(on).await
    };
    changed(&mut old, "app").await.unwrap();
    bench.refusal("eve", &["old bot"]).await;

    // It gives the channel another bot: the former one is free, by all its names.
    changed(&mut old, "another app").await.unwrap();
    bench.refusal("eve", &["another app"]).await;
    bench.save(&known_as(&bench, "eve", "former", &["app", "old bot"])).await.unwrap();

    let delete = "update channels set deleted_at = now(), revision = revision + 1, secrets = null,
        secrets_key = null, fingerprint = null where id = $1";
    sqlx::query(delete).bind(made.id.0).execute(&mut old).await.unwrap();
    bench.save(&known_as(&bench, "eve", "later", &["another app"])).await.unwrap();
}

#[tokio::test]
async fn a_channel_that_gives_the_same_name_twice_has_it_once() {
    let bench = Bench::new().await;
    bench.save(&known_as(&bench, "ada", "one", &["bot", "bot"])).await.unwrap();
    let mut admin = bench.database.connect().await;
    assert_eq!(stored(&mut admin).await, 1);
}
