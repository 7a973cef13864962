//! Names of people and of groups, which LINE tells only when it is asked.

use claw_types::Inbound;
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use crate::ChannelError;
use crate::kit::names::{Names, matters};

/// A person (<https://developers.line.biz/en/reference/messaging-api/#get-profile>); members of groups and rooms have the same
/// (<https://developers.line.biz/en/reference/messaging-api/#get-group-member-profile>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    display_name: String,
}

/// A group (<https://developers.line.biz/en/reference/messaging-api/#get-group-summary>). Rooms have no name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    group_name: String,
}

/// Calls people by their names, and tells those of groups as `chat_title`.
pub(super) async fn complete(api: &Api, names: &Names, messages: &mut [Inbound]) {
    let wanted = messages.iter().filter(|message| matters(message));
    let ids = wanted.flat_map(|message| [person(message), group(message)]).flatten().collect();
    names.learn(ids, api.now(), |path: String| async move { ask(api, &path).await }).await;
    names.call(messages, person);
    for message in messages {
        if let Some(title) = group(message).and_then(|group| names.of(&group)) {
            message.metadata.insert("chat_title".to_owned(), json!(title));
        }
    }
}

/// The path of the profile: only members of a group that are no friends of the account are told by way of the group.
fn person(message: &Inbound) -> Option<String> {
    let person = &message.sender.as_ref()?.platform_id;
    let chat = &message.recipient;
    Some(match chat.as_bytes().first() {
        Some(b'C') => format!("group/{chat}/member/{person}"),
        Some(b'R') => format!("room/{chat}/member/{person}"),
        _ => format!("profile/{person}"),
    })
}

fn group(message: &Inbound) -> Option<String> {
    message.recipient.starts_with('C').then(|| format!("group/{}/summary", message.recipient))
}

async fn ask(api: &Api, path: &str) -> Result<Option<String>, ChannelError> {
    let segments: Vec<&str> = path.split('/').collect();
    if path.ends_with("/summary") {
        return api.get::<Summary>(&segments).await.map(|summary| Some(summary.group_name));
    }
    api.get::<Profile>(&segments).await.map(|profile| Some(profile.display_name))
}
