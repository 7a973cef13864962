//! `ii-claw doctor`: looks at everything the roles need and says what is wrong and what to do.
//!
//! It changes nothing, but for what `--fix` names. Each check says `ok`, `warn` (people may feel it, the cluster works) or
//! `FAIL`; the status is 0 unless one failed or, with `--strict`, warns.
//!
//! Each check takes the time of one at most, however large the cluster is; only `platforms` takes longer, by how many channels are
//! asked. Platforms are asked by the workers that own the channels, with what those remember of them: the doctor has no adapters of its
//! own.

mod backend;
mod channels;
mod members;
mod probes;
mod public_url;
mod secrets;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use claw_bus::Bus;
use claw_config::{BackendSettings, KeySettings, StoreSettings, TlsSettings};
use claw_rpc::{Credentials, Peers};
use claw_runtime::{Clock as _, Ids, OsRandom, SystemClock};
use claw_store::{Error, Store};
use serde_json::json;

use crate::api::printable;
use probes::Named;

/// What the doctor looks at: the settings of all roles.
#[derive(Args)]
pub(crate) struct DoctorSettings {
    /// Repair what can be repaired without risk: bring a schema up to date that is behind
    #[arg(long)]
    fix: bool,
    /// Fail when there is something to warn of, too
    #[arg(long)]
    strict: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    /// Ask the platforms of so many channels at most whether they take their credentials: of those in trouble first, then of the oldest
    /// of each type; 0 asks none
    #[arg(long, value_name = "MOST", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    probe: u16,
    /// Ask the platform of this channel only, whatever its state; may be given several times
    #[arg(long = "channel", value_name = "USER/CHANNEL")]
    named: Vec<Named>,
    #[command(flatten)]
    store: StoreSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    backend: BackendSettings,
    #[command(flatten)]
    tls: TlsSettings,
}

/// What to do about a schema that does not fit.
const MIGRATE: &str =
    "the schema does not fit this binary; when it is behind, `ii-claw migrate` or --fix brings it up to date";
/// No check takes longer, but for `platforms`, which keeps to a limit for each channel.
const LIMIT: Duration = Duration::from_secs(10);

/// What a check found.
enum Found {
    /// All is well.
    Well(String),
    /// The cluster works, but somebody may feel this.
    Warn(String),
}

type Checked = anyhow::Result<Found>;

pub(crate) async fn run(settings: DoctorSettings) -> anyhow::Result<()> {
    let findings = [
        ("keys", keys(&settings)),
        ("database", in_time(database(&settings)).await),
        ("leases", in_time(leases(&settings)).await),
        ("workers", in_time(workers(&settings)).await),
        ("scheduler", in_time(scheduler(&settings)).await),
        ("members", in_time(members::check(&settings)).await),
        ("nats", in_time(nats(&settings)).await),
        ("backend", in_time(backend::check(&settings)).await),
        ("public URL", in_time(public_url::check(&settings)).await),
        ("secrets", in_time(secrets::check(&settings)).await),
        ("channels", in_time(channels::check(&settings)).await),
        ("platforms", probes::check(&settings).await),
    ];
    print(&findings, settings.json)?;
    let count = |bad: fn(&Checked) -> bool| findings.iter().filter(|(_, checked)| bad(checked)).count();
    match (count(Result::is_err), count(|checked| matches!(checked, Ok(Found::Warn(_))))) {
        (0, warned) if warned == 0 || !settings.strict => Ok(()),
        (0, warned) => bail!("{warned} of {} checks warn", findings.len()),
        (failed, _) => bail!("{failed} of {} checks failed", findings.len()),
    }
}

fn print(findings: &[(&str, Checked)], as_json: bool) -> anyhow::Result<()> {
    let said = findings.iter().map(|(what, checked)| match checked {
        Ok(Found::Well(found)) => (*what, "ok", found.clone()),
        Ok(Found::Warn(found)) => (*what, "warn", found.clone()),
        Err(error) => (*what, "fail", format!("{error:#}")),
    });
    let text = if as_json {
        let checks =
            said.map(|(what, result, found)| json!({"check": what, "result": result, "found": found}));
        serde_json::to_string_pretty(&json!({"checks": checks.collect::<Vec<_>>()}))?
    } else {
        let line = |(what, result, found): (&str, &str, String)| {
            let result = if result == "fail" { "FAIL" } else { result };
            format!("{result:<5} {what}: {}", printable(&found))
        };
        said.map(line).collect::<Vec<_>>().join("\n")
    };
    crate::api::print(&text)?;
    Ok(())
}

async fn in_time(check: impl Future<Output = Checked>) -> Checked {
    tokio::time::timeout(LIMIT, check).await.unwrap_or_else(|_| bail!("no answer within {LIMIT:?}"))
}

fn keys(settings: &DoctorSettings) -> Checked {
    let keys = settings.keys.keys()?;
    let source = if settings.keys.master_key.is_some() { "II_CLAW_MASTER_KEY" } else { "the API key" };
    let (current, others) = (keys.master.current_id(), keys.master.ids().skip(1).collect::<Vec<_>>());
    let beside = if others.is_empty() { String::new() } else { format!(", beside it {}", others.join(", ")) };
    Ok(Found::Well(format!("master key {current} from {source}{beside}")))
}

async fn store(settings: &DoctorSettings) -> anyhow::Result<Store> {
    let (pooler, url) = (settings.store.pooler()?, settings.store.database()?);
    Store::connect_through(pooler, url, "ii-claw doctor", 2).await.context("DATABASE_URL")
}

async fn database(settings: &DoctorSettings) -> Checked {
    let store = store(settings).await?;
    let (shards, migrated) = match store.check(settings.store.shards).await {
        Err(Error::NoCluster | Error::SchemaBehind(_)) if settings.fix => {
            // Past a transaction pooler: migrating holds a lock for the length of its session.
            let sessions = Store::connect(settings.store.lease_database()?, "ii-claw doctor", 2).await?;
            (sessions.migrate(settings.store.shards).await?, " (brought up to date just now)")
        }
        checked => (checked.context(MIGRATE)?, ""),
    };
    let skew = (SystemClock.now() - store.now().await?).num_milliseconds().abs();
    if skew > 60_000 {
        bail!("this machine's clock and the database's differ by {} s: synchronise them", skew / 1000);
    }
    Ok(Found::Well(format!("schema is right{migrated}, {} shards, clocks {skew} ms apart", shards.get())))
}

/// Whether the sessions with leases and locks reach the same database, past any pooler.
async fn leases(settings: &DoctorSettings) -> Checked {
    let direct = Store::connect(settings.store.lease_database()?, "ii-claw doctor", 1).await;
    let direct = direct.context("II_CLAW_LEASE_DATABASE_URL")?;
    if direct.cluster_id().await? != store(settings).await?.cluster_id().await? {
        bail!(
            "II_CLAW_LEASE_DATABASE_URL leads to another database than DATABASE_URL: they must be the same one"
        );
    }
    Ok(Found::Well("sessions reach the same database".to_owned()))
}

/// Whether every shard has a live owner: without one its messages are accepted and wait.
async fn workers(settings: &DoctorSettings) -> Checked {
    let store = store(settings).await?;
    let shards = store.check(settings.store.shards).await?.get();
    match store.shards_unattended().await? {
        0 => {}
        n => bail!("{n} of {shards} shards have no live worker: start one with `ii-claw worker`"),
    }
    let owners = store.shard_owners().await?;
    let names: BTreeSet<&str> = owners.values().map(|owner| owner.name.as_str()).collect();
    Ok(Found::Well(format!("{shards} shards are owned by {} live workers", names.len())))
}

/// Whether somebody leads, by its own word.
async fn scheduler(settings: &DoctorSettings) -> Checked {
    let store = store(settings).await?;
    let leader = store.leader("scheduler").await?.filter(|leader| leader.live);
    let leader = leader.context("nobody leads: start one with `ii-claw scheduler`")?;
    let said = peers(settings).await?.scheduler_status(&leader.rpc_address).await;
    let said = said.with_context(|| format!("{} leads but can't be asked", leader.name))?;
    match said.leading {
        Some(term) => Ok(Found::Well(format!("{} leads, term {term}, version {}", said.name, said.version))),
        None => bail!("{} was elected but does not lead", said.name),
    }
}

/// The way to other roles.
async fn peers(settings: &DoctorSettings) -> anyhow::Result<Peers> {
    let credentials = Credentials::once(&settings.keys.keys()?.master, settings.tls.files()?).await?;
    Ok(Peers::new(credentials, Arc::new(OsRandom)))
}

async fn nats(settings: &DoctorSettings) -> Checked {
    let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
    // Nothing is subscribed or published, so any cluster's subjects do.
    let bus = Bus::connect(settings.store.nats()?, "ii-claw doctor", ids.next(), ids.next());
    bus.await.context("NATS_URL")?;
    Ok(Found::Well("connected".to_owned()))
}
