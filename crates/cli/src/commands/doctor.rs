//! `ii-claw doctor`: looks at everything the roles need and says what is wrong and what to do. Changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use claw_bus::Bus;
use claw_config::{BackendSettings, KeySettings, StoreSettings, TlsSettings};
use claw_rpc::{Credentials, Peers};
use claw_runtime::{Clock as _, Ids, OsRandom, SystemClock};
use claw_store::Store;

/// What the doctor looks at: the settings of all roles.
#[derive(Args)]
pub(crate) struct DoctorSettings {
    #[command(flatten)]
    store: StoreSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    backend: BackendSettings,
    #[command(flatten)]
    tls: TlsSettings,
}

/// No check takes longer.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn run(settings: DoctorSettings) -> anyhow::Result<()> {
    let mut failed = 0;
    report("keys", keys(&settings), &mut failed);
    report("database", in_time(database(&settings)).await, &mut failed);
    report("workers", in_time(workers(&settings)).await, &mut failed);
    report("scheduler", in_time(scheduler(&settings)).await, &mut failed);
    report("nats", in_time(nats(&settings)).await, &mut failed);
    report("backend", in_time(backend(&settings)).await, &mut failed);
    match failed {
        0 => Ok(()),
        n => bail!("{n} of 6 checks failed"),
    }
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn report(what: &str, checked: anyhow::Result<String>, failed: &mut usize) {
    match checked {
        Ok(found) => println!("ok    {what}: {found}"),
        Err(error) => {
            *failed += 1;
            println!("FAIL  {what}: {error:#}");
        }
    }
}

async fn in_time(check: impl Future<Output = anyhow::Result<String>>) -> anyhow::Result<String> {
    tokio::time::timeout(LIMIT, check).await.unwrap_or_else(|_| bail!("no answer within {LIMIT:?}"))
}

fn keys(settings: &DoctorSettings) -> anyhow::Result<String> {
    let keys = settings.keys.keys()?;
    let source = if settings.keys.master_key.is_some() { "II_CLAW_MASTER_KEY" } else { "the API key" };
    Ok(format!("master key {} from {source}", keys.master.id()))
}

async fn store(settings: &DoctorSettings) -> anyhow::Result<Store> {
    let (pooler, url) = (settings.store.pooler()?, settings.store.database()?);
    Store::connect_through(pooler, url, "ii-claw doctor", 2).await.context("DATABASE_URL")
}

async fn database(settings: &DoctorSettings) -> anyhow::Result<String> {
    let store = store(settings).await?;
    let shards = store.check(settings.store.shards).await?;
    let skew = (SystemClock.now() - store.now().await?).num_milliseconds().abs();
    if skew > 60_000 {
        bail!("this machine's clock and the database's differ by {} s: synchronise them", skew / 1000);
    }
    Ok(format!("schema is right, {} shards, clocks {skew} ms apart", shards.get()))
}

/// Whether every shard has a live owner: without one its messages are accepted and wait.
async fn workers(settings: &DoctorSettings) -> anyhow::Result<String> {
    let store = store(settings).await?;
    let shards = store.check(settings.store.shards).await?.get();
    match store.shards_unattended().await? {
        0 => {}
        n => bail!("{n} of {shards} shards have no live worker: start one with `ii-claw worker`"),
    }
    let owners = store.shard_owners().await?;
    let names: BTreeSet<&str> = owners.values().map(|owner| owner.name.as_str()).collect();
    Ok(format!("{shards} shards are owned by {} live workers", names.len()))
}

/// Whether somebody leads, by its own word.
async fn scheduler(settings: &DoctorSettings) -> anyhow::Result<String> {
    let store = store(settings).await?;
    let leader = store.leader("scheduler").await?.filter(|leader| leader.live);
    let leader = leader.context("nobody leads: start one with `ii-claw scheduler`")?;
    let master = settings.keys.keys()?.master;
    let credentials = Credentials::once(&master, settings.tls.files()?).await?;
    let said = Peers::new(credentials, Arc::new(OsRandom)).scheduler_status(&leader.rpc_address).await;
    let said = said.with_context(|| format!("{} leads but can't be asked", leader.name))?;
    match said.leading {
        Some(term) => Ok(format!("{} leads, term {term}, version {}", said.name, said.version)),
        None => bail!("{} was elected but does not lead", said.name),
    }
}

async fn nats(settings: &DoctorSettings) -> anyhow::Result<String> {
    let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
    // Nothing is subscribed or published, so any cluster's subjects do.
    let bus = Bus::connect(settings.store.nats()?, "ii-claw doctor", ids.next(), ids.next());
    bus.await.context("NATS_URL")?;
    Ok("connected".to_owned())
}

async fn backend(settings: &DoctorSettings) -> anyhow::Result<String> {
    let (url, _) = settings.backend.webhook()?;
    let client = claw_channels::kit::http::operator_client(LIMIT)?;
    // Not a message: only whether something answers there. II-Agent answers GET with 405.
    let answer = client.get(url.clone()).send().await.with_context(|| format!("AI_WEBHOOK_URL {url}"))?;
    Ok(format!("something answers at {url} (GET: {})", answer.status().as_u16()))
}
