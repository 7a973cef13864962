//! What was said in groups without addressing the bot, kept for the next message that does.
//!
//! What was kept is read before that message is committed and deleted after it. So a crash between the two gives it a second
//! time with the next message. A message that its platform sends again, and that is stored already, takes nothing.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use claw_types::{ChannelId, Inbound, Sender};
use serde::Serialize;
use serde_json::Value;

use crate::intake::indexable;
use crate::{Channel, Result, Store};

/// Messages that are kept of each conversation: the newest.
pub const KEPT: usize = 50;
/// Characters that are kept of each.
const TEXT_LIMIT: usize = 4_000;
/// Characters that are kept of a file's name.
const NAME_LIMIT: usize = 200;

/// One message to keep.
#[derive(Debug)]
pub struct Overheard {
    conversation: String,
    sender: Option<String>,
    key: Option<String>,
    /// The platform's id of it, which is the same of all files of a message.
    platform_message_id: Option<String>,
    said: String,
}

/// As the backend reads it.
#[derive(Serialize)]
struct Said<'a> {
    sender: Option<&'a Sender>,
    text: String,
    /// Of an attachment, what it is and, where the platform tells, its name. They stand in the text, too, for who reads only that.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_filename: Option<String>,
    timestamp: DateTime<Utc>,
}

/// What was kept of a conversation.
#[derive(Debug, Default)]
pub struct GroupContext {
    /// The entries, the oldest first.
    pub entries: Vec<Kept>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its place; `None` for one that is not stored.
    pub seq: Option<i64>,
    /// What makes it the same message redelivered.
    pub key: Option<String>,
    /// As the backend reads it.
    pub said: Value,
}

/// Part of what was kept of a conversation: from a place up to another, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Of which conversation.
    pub conversation: String,
    /// The place of the first entry.
    pub first: i64,
    /// The place of the last one.
    pub last: i64,
}

impl GroupContext {
    /// Adds what was said since and is not stored; what is there already is not added twice.
    ///
    /// # Errors
    /// When it is not the JSON that it was made as.
    pub fn add(&mut self, overheard: &Overheard) -> Result<()> {
        let known = overheard.key.is_some() && self.entries.iter().any(|kept| kept.key == overheard.key);
        if !known {
            let said = serde_json::from_str(&overheard.said)?;
            self.entries.push(Kept { seq: None, key: overheard.key.clone(), said });
        }
        Ok(())
    }
}

impl Overheard {
    /// As it is stored.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// The conversation in which it was said.
    pub fn conversation(&self) -> &str {
        &self.conversation
    }

    /// What is worth keeping of a message; `None` of one with neither a text nor an attachment. `now` is when it was said if the platform
    /// does not tell. No link is kept to an attachment: it is fetched by the id of an accepted message, which this is not.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn of(message: &Inbound, now: DateTime<Utc>) -> Result<Option<Self>> {
        let name = message.media.as_ref().and_then(|media| media.filename.as_deref());
        let name: Option<String> = name.map(|name| name.chars().take(NAME_LIMIT).collect());
        let content_type = message.media.as_ref().map(|_| message.content_type.as_str());
        let marker = content_type.map(|kind| marker(kind, name.as_deref()));
        let words = [marker.as_deref(), message.text.as_deref()].into_iter().flatten();
        let text = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ");
        if text.is_empty() && message.text.is_none() {
            return Ok(None);
        }
        let said = Said {
            sender: message.sender.as_ref(),
            text: text.chars().take(TEXT_LIMIT).collect(),
            content_type,
            media_filename: name,
            timestamp: message.timestamp.unwrap_or_else(|| now.trunc_subsecs(3)),
        };
        let key = message.dedup_key.as_deref().or(message.platform_message_id.as_deref());
        Ok(Some(Self {
            conversation: indexable(&message.conversation()).into_owned(),
            sender: message.sender.as_ref().map(|sender| indexable(&sender.platform_id).into_owned()),
            key: key.map(|key| indexable(key).into_owned()),
            platform_message_id: message.platform_message_id.as_deref().map(|id| indexable(id).into_owned()),
            said: serde_json::to_string(&said)?,
        }))
    }
}

/// What stands for an attachment in a text: `[image]`, `[file: plan.pdf]`.
fn marker(content_type: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("[{content_type}: {name}]"),
        None => format!("[{content_type}]"),
    }
}

/// The newest of each conversation, in order.
fn newest(said: &[Overheard]) -> Vec<&Overheard> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut kept = Vec::new();
    for said in said.iter().rev() {
        let count = counts.entry(&said.conversation).or_default();
        *count += 1;
        if *count <= KEPT {
            kept.push(said);
        }
    }
    kept.reverse();
    kept
}

impl Store {
    /// Keeps what was said in a channel's groups, in order, in the place of what is too old for it. What is kept already is not
    /// kept twice.
    ///
    /// # Errors
    /// When the database fails; then nothing was kept.
    pub async fn context_keep(&self, channel: &Channel, said: &[Overheard]) -> Result<()> {
        if said.is_empty() {
            return Ok(());
        }
        let said = newest(said);
        let conversations: Vec<&str> = said.iter().map(|said| &*said.conversation).collect();
        let senders: Vec<Option<&str>> = said.iter().map(|said| said.sender.as_deref()).collect();
        let keys: Vec<Option<&str>> = said.iter().map(|said| said.key.as_deref()).collect();
        let written: Vec<Option<&str>> =
            said.iter().map(|said| said.platform_message_id.as_deref()).collect();
        let texts: Vec<&str> = said.iter().map(|said| &*said.said).collect();
        sqlx::query(
            "with given as (
                 select * from unnest($3::text[], $4::text[], $5::text[], $6::text[], $8::text[])
                     with ordinality as g (conversation, sender, key, said, written, place)),
             counted as (select conversation, count(*) as fresh from given group by conversation),
             ranked as (
                 select c.conversation, c.seq, n.fresh,
                        row_number() over (partition by c.conversation order by c.seq desc) as rank
                 from group_context c join counted n using (conversation) where c.channel_id = $1),
             dropped as (
                 delete from group_context c using ranked r
                 where c.channel_id = $1 and c.conversation = r.conversation and c.seq = r.seq
                   and r.rank > $7 - r.fresh)
             insert into group_context (channel_id, user_id, conversation, sender, key, said, platform_message_id)
             select $1, $2, conversation, sender, key, said::json, written from given order by place
             on conflict (channel_id, key) do nothing",
        )
        .bind(channel.id.0)
        .bind(channel.user_id.as_str())
        .bind(conversations)
        .bind(senders)
        .bind(keys)
        .bind(texts)
        .bind(i64::try_from(KEPT).unwrap_or(i64::MAX))
        .bind(written)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What is kept of these conversations, by their names in the rows ([`indexable`]). One statement for all of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn context_of(
        &self,
        channel: ChannelId,
        conversations: &[String],
    ) -> Result<HashMap<String, GroupContext>> {
        let rows: Vec<(String, i64, Option<String>, String)> = sqlx::query_as(
            "select g.conversation, g.seq, g.key, g.said::text
             from unnest($2::text[]) as asked (conversation)
             cross join lateral (
                 select * from group_context c
                 where c.channel_id = $1 and c.conversation = asked.conversation
                 order by c.seq desc limit $3) g
             order by g.seq",
        )
        .bind(channel.0)
        .bind(conversations)
        .bind(i64::try_from(KEPT).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        let mut found: HashMap<String, GroupContext> = HashMap::new();
        for (conversation, seq, key, said) in rows {
            let said = serde_json::from_str(&said)?;
            let kept = Kept { seq: Some(seq), key, said };
            found.entry(conversation).or_default().entries.push(kept);
        }
        Ok(found)
    }

    /// Deletes what was given to the backend.
    ///
    /// # Errors
    /// When the database fails; then it will be given again.
    pub async fn context_given(&self, channel: ChannelId, given: &[Stretch]) -> Result<()> {
        if given.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "delete from group_context c
             using unnest($2::text[], $3::bigint[], $4::bigint[]) as g (conversation, first, last)
             where c.channel_id = $1 and c.conversation = g.conversation and c.seq between g.first and g.last",
        )
        .bind(channel.0)
        .bind(given.iter().map(|given| &*given.conversation).collect::<Vec<_>>())
        .bind(given.iter().map(|given| given.first).collect::<Vec<_>>())
        .bind(given.iter().map(|given| given.last).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets up to `limit` entries that were kept for longer than `hours`: nobody addressed the bot meanwhile. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn context_forget(&self, hours: i32, limit: i64) -> Result<u64> {
        let old = sqlx::query(
            "delete from group_context where ctid = any (array(
                 select ctid from group_context where kept_at < now() - make_interval(hours => $1)
                 order by kept_at limit $2))",
        );
        Ok(old.bind(hours).bind(limit).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use claw_types::{MediaKind, MediaRef};
    use serde_json::json;

    use super::*;

    fn called(name: Option<&str>) -> MediaRef {
        MediaRef {
            kind: MediaKind::File,
            handle: "secret".to_owned(),
            filename: name.map(str::to_owned),
            mime: None,
        }
    }

    fn kept(text: Option<&str>, media: Option<MediaRef>) -> Option<Value> {
        let message = Inbound {
            content_type: if media.is_some() { "file" } else { "text" }.to_owned(),
            text: text.map(str::to_owned),
            media,
            ..Inbound::default()
        };
        let kept = Overheard::of(&message, DateTime::UNIX_EPOCH).unwrap();
        kept.map(|kept| serde_json::from_str(kept.said()).unwrap())
    }

    #[test]
    fn files_are_named_where_nobody_can_fetch_them() {
        let at = "1970-01-01T00:00:00Z";
        assert_eq!(
            kept(Some("see"), Some(called(Some("plan.pdf")))),
            Some(json!({"sender": null, "text": "[file: plan.pdf] see", "content_type": "file",
                        "media_filename": "plan.pdf", "timestamp": at}))
        );
        assert_eq!(
            kept(None, Some(called(None))),
            Some(json!({"sender": null, "text": "[file]", "content_type": "file", "timestamp": at}))
        );
        assert_eq!(kept(Some("hi"), None), Some(json!({"sender": null, "text": "hi", "timestamp": at})));
        assert_eq!(kept(None, None), None);
    }

    #[test]
    fn a_name_is_no_way_to_have_more_kept() {
        let long = "x".repeat(10_000);
        let long = Some(long.as_str());
        let kept = kept(long, Some(called(long))).unwrap();
        assert_eq!(kept["media_filename"].as_str().map(str::len), Some(NAME_LIMIT));
        assert_eq!(kept["text"].as_str().map(str::len), Some(TEXT_LIMIT));
    }
}
