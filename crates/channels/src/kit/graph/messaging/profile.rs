//! Names of people, which Meta tells only when it is asked, and only to apps that it lets
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/identity/user-profile>,
//! <https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/user-profile>).

use claw_types::Inbound;
use serde::Deserialize;

use crate::ChannelError;
use crate::kit::graph::api::Api;
use crate::kit::names::{Names, matters};

/// Meta answers with an empty object where it does not tell.
#[derive(Deserialize)]
struct Profile {
    name: Option<String>,
    /// On Instagram only.
    username: Option<String>,
}

/// Calls people by their names; `fields` are those that the platform has.
pub(super) async fn complete(api: &Api, names: &Names, fields: &str, messages: &mut [Inbound]) {
    let wanted = messages.iter().filter(|message| matters(message));
    let now = api.deps().clock.now();
    let asked = |id: String| async move { ask(api, &id, fields).await };
    names.learn(wanted.filter_map(person).collect(), now, asked).await;
    names.call(messages, person);
}

fn person(message: &Inbound) -> Option<String> {
    Some(message.sender.as_ref()?.platform_id.clone())
}

async fn ask(api: &Api, id: &str, fields: &str) -> Result<Option<String>, ChannelError> {
    let Profile { name, username } = api.get(&[id], &[("fields", fields)]).await?;
    Ok(name.filter(|name| !name.is_empty()).or(username))
}
