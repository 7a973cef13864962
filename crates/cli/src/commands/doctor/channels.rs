//! How the channels are, by what their owners say of them.

use anyhow::bail;

use super::{Checked, DoctorSettings, Found, store};

/// So many are named; `ii-claw channels list` shows a user's.
const NAMED: i64 = 5;

/// Whether the master key opens their secrets, and which of them are in trouble: a matter of their users most often, so
/// nothing that fails.
pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    let master = settings.keys.keys()?.master;
    let found = store(settings).await?.channels_checkup(&master.id(), NAMED).await?;
    if found.other_key > 0 {
        bail!(
            "the secrets of {} channels are sealed with another master key than {}: set the one of before",
            found.other_key,
            master.id()
        );
    }
    if found.in_trouble == 0 {
        return Ok(Found::Well(format!("{} are switched on, none of them in trouble", found.enabled)));
    }
    let named = found.examples.iter().map(|one| {
        let name = &one.channel;
        format!("{}/{} ({}): {}", name.user_id, name.instance, name.channel_type, one.error)
    });
    Ok(Found::Warn(format!(
        "{} of {} are in trouble, the oldest of them: {}",
        found.in_trouble,
        found.enabled,
        named.collect::<Vec<_>>().join("; ")
    )))
}
