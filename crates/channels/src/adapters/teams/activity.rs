//! Activities as the Bot Connector posts them, as far as they are read
//! (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#activity-object>).

use serde::Deserialize;
use serde_json::Value;

/// Reads a body that is known to be genuine.
pub(super) fn read(body: &[u8]) -> Result<Activity, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is no activity: {error}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Activity {
    pub(super) r#type: String,
    /// What an `invoke` is of.
    pub(super) name: Option<String>,
    pub(super) id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) service_url: String,
    pub(super) channel_id: String,
    pub(super) from: Option<Account>,
    pub(super) conversation: Option<Conversation>,
    pub(super) text: Option<String>,
    /// Read one by one: what can't be read must not hide the others.
    pub(super) attachments: Option<Vec<Value>>,
    pub(super) entities: Option<Vec<Value>>,
    pub(super) channel_data: Option<ChannelData>,
    pub(super) reply_to_id: Option<String>,
    /// What a pressed button sends.
    pub(super) value: Option<Value>,
    pub(super) reactions_added: Option<Vec<Value>>,
    pub(super) reactions_removed: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// The person's id in the whole of Microsoft 365; that of above is for this bot only.
    pub(super) aad_object_id: Option<String>,
    pub(super) role: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Conversation {
    pub(super) id: String,
    /// `personal`, `groupChat` or `channel`.
    #[serde(rename = "conversationType")]
    pub(super) kind: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelData {
    pub(super) tenant: Option<Named>,
    pub(super) team: Option<Named>,
    /// Without a name where it is the first one of its team.
    pub(super) channel: Option<Named>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

impl Activity {
    /// The organisation that it is of.
    pub(super) fn tenant(&self) -> Option<&str> {
        let of_channel = self.channel_data.as_ref().and_then(|data| data.tenant.as_ref()?.id.as_deref());
        of_channel.or_else(|| self.conversation.as_ref()?.tenant_id.as_deref())
    }
}

/// Where a person or a bot is named in a text
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations>).
#[derive(Deserialize)]
pub(super) struct Mention {
    pub(super) mentioned: Account,
    /// As it stands in the text: `<at>Name</at>`.
    pub(super) text: Option<String>,
}

/// The message that another one quotes
/// (<https://learn.microsoft.com/en-us/dotnet/api/microsoft.teams.apps.schema.entities.quotedreplydata?view=msteams-sdk-dotnet-latest>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quoted {
    pub(super) quoted_reply: QuotedReply,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QuotedReply {
    pub(super) message_id: String,
    pub(super) sender_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub(super) content_type: String,
    pub(super) content_url: Option<String>,
    pub(super) content: Option<Value>,
    pub(super) name: Option<String>,
}
