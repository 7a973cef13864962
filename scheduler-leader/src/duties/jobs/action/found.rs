//! What the actions of many jobs need to know, each kind of it looked up in one query.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use claw_store::targets::Target;
use claw_store::{Channel, Error, Store, UserSettings, chain};
use claw_types::{Action, UserId, WakeMode};

/// The channels that are meant, or why there is none.
pub(crate) type Channels = HashMap<Target, Result<Channel, Error>>;

/// What was found.
pub(crate) struct Found {
    channels: Channels,
    /// Of the users whose heartbeat is waited for.
    settings: HashMap<UserId, Result<UserSettings, Error>>,
}

impl Found {
    /// Looks up what these actions of these users need.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn look_up<'a>(
        store: &Store,
        actions: impl Iterator<Item = (&'a UserId, &'a Result<Action, String>)>,
    ) -> claw_store::Result<Self> {
        let (mut targets, mut users) = (HashSet::new(), HashSet::new());
        for (user, action) in actions {
            let Ok(action) = action else { continue };
            if let Some(name) = action.channel() {
                targets.insert((user.clone(), name.to_owned()));
            }
            if matches!(action, Action::Wake(wake) if wake.when() == WakeMode::NextHeartbeat) {
                users.insert(user.clone());
            }
        }
        let channels = store.channels_meant(targets).await?;
        Ok(Self { channels, settings: store.settings_of_each(users).await? })
    }

    /// The channel of this name, which must be switched on: nobody would send by it.
    pub(super) fn channel(&self, user: &UserId, name: &str) -> Result<&Channel, String> {
        match self.channels.get(&(user.clone(), name.to_owned())) {
            Some(Ok(channel)) if channel.enabled => Ok(channel),
            Some(Ok(channel)) => {
                Err(format!("the channel {:?} is switched off: enable it first", channel.instance.as_str()))
            }
            Some(Err(error)) => Err(chain(error)),
            None => Err(chain(&Error::NoTarget(name.to_owned()))),
        }
    }

    /// The user's next heartbeat.
    pub(super) fn heartbeat(&self, user: &UserId) -> Result<DateTime<Utc>, String> {
        match self.settings.get(user) {
            Some(Ok(settings)) => Ok(settings.next_heartbeat_at),
            Some(Err(error)) => Err(chain(error)),
            None => Err("its heartbeat is not known".to_owned()),
        }
    }
}
