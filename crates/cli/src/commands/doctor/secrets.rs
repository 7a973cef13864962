//! By which master keys the stored secrets are sealed.

use anyhow::bail;
use claw_store::{SealedByKey, sealed};

use super::channels::{NAMED, named};
use super::{Checked, DoctorSettings, Found, store};

/// Whether everything opens, and with the current key: what is under another one keeps that from being taken away.
pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    let ring = settings.keys.keys()?.master;
    let store = store(settings).await?;
    let all = store.sealed_by_key().await?;
    let (known, unknown): (SealedByKey, SealedByKey) = all.into_iter().partition(|(key, _)| ring.knows(key));
    if !unknown.is_empty() {
        let keys: Vec<String> = unknown.keys().cloned().collect();
        let channels = store.channels_sealed_by(&keys, NAMED).await?;
        let channels = channels.iter().map(named).collect::<Vec<_>>();
        let such_as = if channels.is_empty() { String::new() } else { format!(" ({})", channels.join("; ")) };
        bail!(
            "{} that is not among ours ({ring}): none of it can be opened{such_as}. Add that key to \
             II_CLAW_OTHER_MASTER_KEYS; if it is lost, give the secrets anew",
            by_key(&unknown)
        );
    }
    match (known.is_empty(), known.keys().any(|key| key != ring.current_id())) {
        (true, _) => Ok(Found::Well("nothing is sealed yet".to_owned())),
        (false, false) => Ok(Found::Well(by_key(&known))),
        (false, true) => Ok(Found::Warn(format!(
            "{}; the current one is {}: once all roles have it, seal everything with it by `ii-claw reseal`",
            by_key(&known),
            ring.current_id()
        ))),
    }
}

fn by_key(counts: &SealedByKey) -> String {
    let each =
        counts.iter().map(|(key, counts)| format!("{} under master key {key}", sealed::counted(counts)));
    each.collect::<Vec<_>>().join("; ")
}
