//! `ii-claw migrate`: creates or upgrades the schema. Safe to run at any time and by several at once.

use clap::Args;
use claw_config::StoreSettings;
use claw_store::Store;

/// What migrating needs.
#[derive(Args)]
pub(crate) struct MigrateSettings {
    #[command(flatten)]
    store: StoreSettings,
    /// Also replace the old indexes of a large installation, which takes a while and keeps nobody waiting. Once all processes are of
    /// this version
    #[arg(long)]
    indexes: bool,
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn run(settings: MigrateSettings) -> anyhow::Result<()> {
    // Past a transaction pooler: migrating holds a lock for the length of its session.
    let store = Store::connect(settings.store.lease_database()?, "ii-claw migrate", 2).await?;
    let shards = store.migrate(settings.store.shards).await?;
    println!("the schema is up to date; the cluster has {} shards", shards.get());
    if settings.indexes {
        let replaced = store.indexes_of_what_is_over().await?;
        println!(
            "{}",
            if replaced { "the indexes were replaced" } else { "the indexes are those of this version" }
        );
    }
    Ok(())
}
