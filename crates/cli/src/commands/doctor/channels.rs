//! How the channels are, by what their owners say of them.

use claw_store::ChannelName;

use super::{Checked, DoctorSettings, Found, store};

/// So many are named; `ii-claw channels list` shows a user's.
pub(super) const NAMED: i64 = 5;

/// Which of them are in trouble: a matter of their users most often, so nothing that fails.
pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    let found = store(settings).await?.channels_checkup(NAMED).await?;
    if found.in_trouble == 0 {
        return Ok(Found::Well(format!("{} are switched on, none of them in trouble", found.enabled)));
    }
    let examples = found.examples.iter().map(|one| format!("{}: {}", named(&one.channel), one.error));
    Ok(Found::Warn(format!(
        "{} of {} are in trouble, the oldest of them: {}",
        found.in_trouble,
        found.enabled,
        examples.collect::<Vec<_>>().join("; ")
    )))
}

/// Whose, which, of what type.
pub(super) fn named(name: &ChannelName) -> String {
    format!("{}/{} ({})", name.user_id, name.instance, name.channel_type)
}
