//! What people are called (<https://docs.slack.dev/reference/methods/users.info>). Slack's events name people by their ids.

use std::sync::atomic::{AtomicI64, Ordering};

use claw_types::Inbound;
use serde::Deserialize;
use tracing::warn;

use super::api::{Api, Call, is_person, said};
use crate::ChannelError;
use crate::kit::names::{Names, matters};

/// Seconds before anybody is asked for again where the app may not ask.
const NO_SCOPE: i64 = 3600;

/// A person (<https://docs.slack.dev/reference/objects/user-object>).
#[derive(Deserialize)]
struct Answer {
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    name: String,
    real_name: String,
    profile: Profile,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Profile {
    display_name: String,
    real_name: String,
}

impl User {
    /// As Slack shows them: the name that they chose, else their own.
    fn shown(self) -> Option<String> {
        let names = [self.profile.display_name, self.profile.real_name, self.real_name, self.name];
        names.into_iter().find(|name| !name.is_empty())
    }
}

/// Those who write to a bot.
#[derive(Default)]
pub(super) struct People {
    names: Names,
    /// Until when nobody is asked for, in seconds since 1970.
    pause: AtomicI64,
}

impl People {
    /// Calls those by their names whom Slack's events name by their ids only.
    pub(super) async fn complete(&self, api: &Api, messages: &mut [Inbound]) {
        let now = api.deps.clock.now();
        if now.timestamp() >= self.pause.load(Ordering::Relaxed) {
            let ids = messages.iter().filter(|message| matters(message)).filter_map(nameless).collect();
            self.names.learn(ids, now, |id: String| async move { self.ask(api, &id).await }).await;
        }
        self.names.call(messages, nameless);
    }

    async fn ask(&self, api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
        let told = of(api, id).await;
        let now = api.deps.clock.now().timestamp();
        match &told {
            Err(error) if lacks_scope(error) => {
                warn!(channel = %api.deps.channel_id, "people are known by their ids only: {error}");
                self.pause.store(now + NO_SCOPE, Ordering::Relaxed);
            }
            Err(ChannelError::RateLimited(wait)) => {
                let wait = i64::try_from(wait.as_secs()).unwrap_or(NO_SCOPE).min(NO_SCOPE);
                self.pause.store(now + wait, Ordering::Relaxed);
            }
            _ => {}
        }
        told
    }
}

/// The id of somebody of whom no name was told.
fn nameless(message: &Inbound) -> Option<String> {
    let sender = message.sender.as_ref()?;
    let is_nameless = sender.display_name == sender.platform_id && is_person(&sender.platform_id);
    is_nameless.then(|| sender.platform_id.clone())
}

/// What Slack calls somebody.
pub(super) async fn of(api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
    Ok(api.call::<Answer>(&Call::form("users.info").with("user", id)).await?.user.shown())
}

/// Whether an answer says that the app may not ask for names.
pub(super) fn lacks_scope(error: &ChannelError) -> bool {
    said(error, "missing_scope")
}
