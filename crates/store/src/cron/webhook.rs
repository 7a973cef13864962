//! The post that a run of a `webhook` job makes.
//!
//! It is a message that goes out by no channel ([`claw_types::Work::is_webhook`]): so it is stored, tried again, given up, shown and
//! decided about as every message is. A job's posts are in order, one at a time.

use chrono::{DateTime, SecondsFormat, Utc};
use claw_runtime::Ids;
use claw_types::{ChannelId, Direction, InstanceId, MessageId, ShardCount, UserId, WebhookCall, WebhookPost};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::message::{CRON, RunOf};
use crate::intake::indexable;
use crate::{Actor, Change, NewMessage, Result, Store};

/// What is posted.
#[derive(Serialize)]
struct CronRun<'a> {
    r#type: &'static str,
    job: JobPart<'a>,
    run: RunPart,
    body: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct JobPart<'a> {
    id: Uuid,
    name: &'a str,
    label: Option<&'a str>,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct RunPart {
    id: Uuid,
    attempt: u32,
    #[serde(serialize_with = "in_zulu")]
    scheduled_for: Option<DateTime<Utc>>,
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn in_zulu<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)).serialize(serializer)
}

/// `https://host`, with the port where it is not the scheme's: what may be shown of a URL that may have a secret in its path.
pub fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

impl RunOf<'_> {
    /// What a `webhook` posts, for so many seconds. `key` makes a repeated call the same message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn webhook(
        &self,
        call: WebhookCall,
        ttl_seconds: u32,
        key: Option<&str>,
        shards: ShardCount,
        ids: &Ids,
    ) -> Result<NewMessage> {
        let metadata: Option<&RawValue> = self.metadata.map(serde_json::from_str).transpose()?;
        let body = CronRun {
            r#type: "cron.run",
            job: JobPart { id: self.job, name: self.job_name, label: self.label, metadata },
            run: RunPart { id: self.run, attempt: self.attempt, scheduled_for: self.scheduled_for },
            body: call.body,
        };
        let recipient = origin(&call.url);
        let post = WebhookPost { recipient, url: call.url, ttl_seconds, body: to_raw_value(&body)? };
        Ok(NewMessage {
            id: MessageId(ids.next()),
            user_id: self.user.clone(),
            channel_id: ChannelId::NONE,
            shard: shards.shard_of(self.user, &InstanceId::hooks()),
            direction: Direction::Out,
            // All users' share the absent channel. No user id has a slash.
            conversation: indexable(&format!("{}/webhook:{}", self.user, self.job)).into_owned(),
            payload: to_raw_value(&post)?,
            media: None,
            key: key.map(|key| format!("webhook:{}", indexable(&format!("{}/{key}", self.user)))),
            digest: None,
            source: Some(CRON.to_owned()),
            debounce_ms: 0,
        })
    }
}

impl Store {
    /// Notes in the audit log that somebody was shown what a user's webhooks are signed with.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn signing_secret_shown(&self, user: &UserId, actor: &Actor) -> Result<()> {
        let mut tenant = self.tenant(user).await?;
        let change = Change { action: "job.secret_shown", subject: user.as_str(), detail: json!({}) };
        tenant.audit(actor, &change).await?;
        tenant.commit().await
    }
}
