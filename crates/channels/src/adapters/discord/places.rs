//! What is asked of Discord once and remembered: which channels are threads, and which role of a server is the bot's own. What channels are
//! called comes with the first of these; names change, so they are kept by a book of their own (`names`).
//!
//! Events don't tell either without the intent for servers, which would have Discord send all of every server the bot is in. A
//! bot asks only for the channels in which something is written to it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::api::{Api, Failure};
use super::calls::Call;
use super::event;
use super::posts::Posts;
use crate::ChannelError;
use crate::kit::names::Names;

/// Channels, and servers, that are remembered; beyond that it is asked anew.
const MANY: usize = 1000;

/// Kinds of channels (<https://docs.discord.com/developers/resources/channel#channel-object-channel-types>): text,
/// announcements, the three kinds of threads, and forums, of which those for media are a kind.
const TEXT: u64 = 0;
const ANNOUNCEMENTS: u64 = 5;
const THREADS: std::ops::RangeInclusive<u64> = 10..=12;
const FORUM: u64 = 15;
const MEDIA: u64 = 16;

/// One channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The channel in which this one is a thread.
    pub(super) parent: Option<String>,
    /// Whether a message of it can have a thread.
    pub(super) takes_threads: bool,
    /// Whether it has posts and no messages.
    pub(super) is_forum: bool,
}

/// One bot's.
#[derive(Default)]
pub(super) struct Places {
    channels: Mutex<HashMap<String, Place>>,
    /// The bot's own role in a server; it may have none.
    roles: Mutex<HashMap<String, Option<String>>>,
    /// What channels and threads are called, by their ids.
    pub(super) names: Names,
    /// What messages began in forums.
    pub(super) posts: Posts,
}

#[derive(Deserialize)]
struct Role {
    id: String,
    tags: Option<Tags>,
}

/// <https://docs.discord.com/developers/topics/permissions#role-object-role-tags-structure>
#[derive(Deserialize)]
struct Tags {
    bot_id: Option<String>,
}

impl Place {
    fn of(channel: event::Channel) -> Self {
        Self {
            parent: channel.parent_id.filter(|_| THREADS.contains(&channel.r#type)),
            takes_threads: matches!(channel.r#type, TEXT | ANNOUNCEMENTS),
            is_forum: matches!(channel.r#type, FORUM | MEDIA),
        }
    }
}

impl Places {
    /// A channel of a server. `told` is what an event says of it, which is enough if it is no thread.
    ///
    /// # Errors
    /// When Discord can't be asked now.
    pub(super) async fn channel(
        &self,
        api: &Api,
        id: &str,
        told: Option<event::Channel>,
    ) -> Result<Place, ChannelError> {
        if let Some(told) = told
            && (told.parent_id.is_some() || !THREADS.contains(&told.r#type))
        {
            return Ok(Place::of(told));
        }
        if let Some(place) = self.channels.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(place.clone());
        }
        let place = match api.ask::<event::Channel>(&Call::get("get_channel", &["channels", id])).await {
            Ok(channel) => {
                if let Some(name) = &channel.name {
                    self.names.told(id, name, api.deps().clock.now());
                }
                Place::of(channel)
            }
            // It is gone, or closed to the bot: then it is a chat like any other.
            Err(Failure { error: ChannelError::Permanent(_), .. }) => Place::default(),
            Err(Failure { error, .. }) => return Err(error),
        };
        remember(&self.channels, id, place.clone());
        Ok(place)
    }

    /// Whether a channel is known to be a forum.
    pub(super) fn is_forum(&self, id: &str) -> bool {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(id).is_some_and(|place| place.is_forum)
    }

    /// Whether one of these roles of a server is the bot's own; `None` when Discord does not say.
    ///
    /// # Errors
    /// When Discord can't be asked now.
    pub(super) async fn is_own(
        &self,
        api: &Api,
        guild: &str,
        bot: &str,
        roles: &[String],
    ) -> Result<Option<bool>, ChannelError> {
        let known = self.roles.lock().unwrap_or_else(PoisonError::into_inner).get(guild).cloned();
        let own = match known {
            Some(own) => own,
            None => match api
                .ask::<Vec<Role>>(&Call::get("list_guild_roles", &["guilds", guild, "roles"]))
                .await
            {
                Ok(all) => {
                    let is_own =
                        |role: &Role| role.tags.as_ref().and_then(|tags| tags.bot_id.as_deref()) == Some(bot);
                    let own = all.into_iter().find(is_own).map(|role| role.id);
                    remember(&self.roles, guild, own.clone());
                    own
                }
                Err(Failure { error: ChannelError::Permanent(_), .. }) => return Ok(None),
                Err(Failure { error, .. }) => return Err(error),
            },
        };
        Ok(Some(own.is_some_and(|own| roles.contains(&own))))
    }
}

fn remember<T>(map: &Mutex<HashMap<String, T>>, key: &str, value: T) {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= MANY {
        map.clear();
    }
    map.insert(key.to_owned(), value);
}
