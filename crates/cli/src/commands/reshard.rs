//! `ii-claw reshard`: another number of shards, while the cluster is stopped.

use anyhow::Context as _;
use clap::Args;
use claw_config::StoreSettings;
use claw_store::Store;

/// What resharding needs: the database, and the new number in `--shards`.
#[derive(Args)]
pub(crate) struct ReshardSettings {
    #[command(flatten)]
    store: StoreSettings,
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn run(settings: ReshardSettings) -> anyhow::Result<()> {
    let shards = settings.store.shards.context("say how many shards the cluster shall have: --shards N")?;
    // Past a transaction pooler: it holds a lock for the length of its session.
    let store = Store::connect(settings.store.lease_database()?, "ii-claw reshard", 2).await?;
    store.check(None).await?;
    let done = store.reshard(shards).await?;
    println!(
        "the cluster has {} shards now, and had {}; moved: {} channels, {} messages, {} timers, {} event destinations",
        done.to.get(),
        done.from.get(),
        done.channels,
        done.messages,
        done.timers,
        done.destinations
    );
    Ok(())
}
