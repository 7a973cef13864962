//! What people are called (<https://docs.slack.dev/reference/methods/users.info>). Slack's events name people by their ids.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tracing::warn;

use super::api::{Api, Call, is_person, said};
use crate::ChannelError;
use crate::kit::names::{Asked, Directory};

/// Before anybody is asked for again where the app may not ask.
const NO_SCOPE: Duration = Duration::from_secs(3600);
/// The same where Slack did not answer, or says that it can't.
const NO_ANSWER: Duration = Duration::from_secs(10);

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

/// What Slack calls somebody.
pub(super) async fn of(api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
    Ok(api.call::<Answer>(&Call::form("users.info").with("user", id)).await?.user.shown())
}

/// Whether an answer says that the app may not ask for names.
pub(super) fn lacks_scope(error: &ChannelError) -> bool {
    said(error, "missing_scope")
}

#[async_trait]
impl Directory for Api {
    fn has(&self, id: &str) -> bool {
        is_person(id)
    }

    async fn ask(&self, id: &str) -> Asked {
        match of(self, id).await {
            Ok(name) => Asked::Name(name),
            Err(error) if lacks_scope(&error) => {
                warn!(channel = %self.deps.channel_id, "people are known by their ids only: {error}");
                Asked::Later(NO_SCOPE)
            }
            // Somebody whom the app can't see.
            Err(ChannelError::Permanent(_)) => Asked::Name(None),
            Err(ChannelError::RateLimited(wait)) => Asked::Later(wait),
            Err(_) => Asked::Later(NO_ANSWER),
        }
    }
}
