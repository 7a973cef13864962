//! `ii-claw reseal`: seals under the current master key what is sealed under another one that is known, while the cluster runs.
//!
//! The last step but one of replacing the key (docs/backup.md). It goes to the database itself, as `migrate` does: it has to read
//! all tenants' secrets, which no call of the API tells anybody. It may be stopped and begun again at any time.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use claw_channels::fields::Fields;
use claw_channels::registry;
use claw_config::{KeySettings, StoreSettings};
use claw_runtime::OsRandom;
use claw_store::reseal::{Page, Refused};
use claw_store::{Actor, Reseal, SealedByKey, SealedKind, Store, Vault, sealed};
use serde_json::{Map, Value, json};

use crate::api::{print, printable};

/// Values that stay as they are and are named; the others are counted.
const NAMED: usize = 20;

/// What re-sealing needs: the database and the keys.
#[derive(Args)]
pub(crate) struct ResealSettings {
    /// Try everything, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// Secrets that are read and replaced in one statement
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
    #[command(flatten)]
    store: StoreSettings,
    #[command(flatten)]
    keys: KeySettings,
}

/// What was done, and what is there afterwards.
struct Done {
    total: Page,
    left: SealedByKey,
}

pub(crate) async fn run(settings: ResealSettings) -> anyhow::Result<()> {
    let ring = settings.keys.keys()?.master;
    let (pooler, url) = (settings.store.pooler()?, settings.store.database()?);
    let store = Store::connect_through(pooler, url, "ii-claw reseal", 2).await?;
    store.check(None).await?;
    let vault = Vault::new(Arc::clone(&ring), Arc::new(OsRandom));
    let (page, write) = (settings.batch.into(), !settings.dry_run);
    let work = Reseal { store: store.clone(), vault, credentials, page, write };
    let total = all(&work).await?;
    if write && total.resealed > 0 {
        work.note(total.resealed, &Actor::named("ii-claw reseal")).await?;
    }
    let mut left = store.sealed_by_key().await?;
    left.remove(ring.current_id());
    let done = Done { total, left };
    print(&if settings.json { as_json(&work, &done)? } else { as_text(&work, &done) })?;
    match why_not_over(&work, &done) {
        Some(why) => bail!("{why}"),
        None => Ok(()),
    }
}

/// The credentials by which an adapter knows its channel.
fn credentials(
    channel_type: &str,
    config: Map<String, Value>,
    secrets: Map<String, Value>,
) -> Result<Vec<String>, String> {
    let Some(entry) = registry::find(channel_type) else {
        return Err(format!(
            "this version does not know channels of type {channel_type:?}: run one that does"
        ));
    };
    entry.credentials(&Fields { config, secrets }).map_err(|error| error.to_string())
}

/// Everything that is sealed under a key that is known and not the current one.
async fn all(work: &Reseal) -> anyhow::Result<Page> {
    let mut total = Page::default();
    let ring = work.vault.keys();
    for (key, counts) in work.store.sealed_by_key().await? {
        if key == ring.current_id() || !ring.knows(&key) {
            continue;
        }
        for count in counts {
            one_kind(work, &key, count.kind, count.count, &mut total).await?;
        }
    }
    Ok(total)
}

async fn one_kind(
    work: &Reseal,
    key: &str,
    kind: SealedKind,
    of: i64,
    total: &mut Page,
) -> anyhow::Result<()> {
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = work.page(kind, key, after).await?;
        seen += page.resealed + page.changed + u64::try_from(page.refused.len())?;
        tracing::info!("went through {seen} of {of} {} under master key {key}", kind.name());
        total.resealed += page.resealed;
        total.changed += page.changed;
        total.refused.extend(page.refused);
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// What keeps the other keys from being taken away.
fn why_not_over(work: &Reseal, done: &Done) -> Option<String> {
    let ring = work.vault.keys();
    let (known, unknown): (Vec<_>, Vec<_>) =
        done.left.keys().map(String::as_str).partition(|key| ring.knows(key));
    if !unknown.is_empty() {
        return Some(format!(
            "secrets are under master key {}, which is not among II_CLAW_OTHER_MASTER_KEYS: add it and run this again; \
             if it is lost, give those secrets anew",
            unknown.join(", ")
        ));
    }
    if !work.write {
        let refused = done.total.refused.len();
        return (refused > 0).then(|| format!("{refused} secrets would stay as they are"));
    }
    (!known.is_empty()).then(|| {
        format!(
            "secrets are left under master key {}: see to those that are named above, make sure that all roles have the \
             new II_CLAW_MASTER_KEY, and run this again",
            known.join(", ")
        )
    })
}

fn as_text(work: &Reseal, done: &Done) -> String {
    let verb = if work.write { "are sealed anew" } else { "can be sealed anew" };
    let (resealed, current) = (done.total.resealed, work.vault.keys().current_id());
    let mut lines = vec![format!("{resealed} secrets {verb} under master key {current}")];
    if done.total.changed > 0 {
        lines.push(format!("{} were changed by others meanwhile", done.total.changed));
    }
    let refused = &done.total.refused;
    lines.extend(refused.iter().take(NAMED).map(|one| format!("not {}", printable(&one.line()))));
    if refused.len() > NAMED {
        lines.push(format!("and {} more; --json names all", refused.len() - NAMED));
    }
    let left = done.left.iter();
    lines.extend(left.map(|(key, counts)| format!("under master key {key}: {}", sealed::counted(counts))));
    if done.left.is_empty() {
        lines.push("nothing is under another key".to_owned());
    }
    lines.join("\n")
}

fn as_json(work: &Reseal, done: &Done) -> anyhow::Result<String> {
    let left = done.left.iter().map(|(key, counts)| {
        let counts = counts.iter().map(|one| (one.kind.name().to_owned(), one.count.into()));
        (key.clone(), Value::Object(counts.collect()))
    });
    Ok(serde_json::to_string_pretty(&json!({
        "master_key": work.vault.keys().current_id(),
        "dry_run": !work.write,
        "resealed": done.total.resealed,
        "changed_meanwhile": done.total.changed,
        "refused": done.total.refused.iter().map(json_of).collect::<Vec<_>>(),
        "left": Value::Object(left.collect()),
    }))?)
}

fn json_of(one: &Refused) -> Value {
    json!({"kind": one.kind.name(), "user_id": one.user, "name": one.name, "why": one.why})
}
