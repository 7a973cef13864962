//! What was said in groups without addressing the bot, kept for the next message that does.
//!
//! It is read before that message is committed and deleted after it. So a crash between the two gives it a second time
//! with the next message. A message that its platform sends again takes what was kept since, although it is stored
//! already: that context reaches nobody. Accepted messages are not touched by either.

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

/// One message to keep.
#[derive(Debug)]
pub struct Overheard {
    conversation: String,
    sender: Option<String>,
    key: Option<String>,
    said: String,
}

/// As the backend reads it.
#[derive(Serialize)]
struct Said<'a> {
    sender: Option<&'a Sender>,
    text: String,
    timestamp: DateTime<Utc>,
}

/// What was kept of a conversation.
#[derive(Debug)]
pub struct GroupContext {
    /// The entries as the backend reads them, the oldest first.
    pub entries: Vec<Value>,
    /// The place of the last one.
    pub last: i64,
}

impl Overheard {
    /// As it is stored.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// What is worth keeping of a message; `None` of one without a text. `now` is when it was said if the platform does not tell.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn of(message: &Inbound, now: DateTime<Utc>) -> Result<Option<Self>> {
        let Some(text) = &message.text else { return Ok(None) };
        let said = Said {
            sender: message.sender.as_ref(),
            text: text.chars().take(TEXT_LIMIT).collect(),
            timestamp: message.timestamp.unwrap_or_else(|| now.trunc_subsecs(3)),
        };
        let key = message.dedup_key.as_deref().or(message.platform_message_id.as_deref());
        Ok(Some(Self {
            conversation: indexable(&message.conversation()).into_owned(),
            sender: message.sender.as_ref().map(|sender| indexable(&sender.platform_id).into_owned()),
            key: key.map(|key| indexable(key).into_owned()),
            said: serde_json::to_string(&said)?,
        }))
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
        let texts: Vec<&str> = said.iter().map(|said| &*said.said).collect();
        sqlx::query(
            "with given as (
                 select * from unnest($3::text[], $4::text[], $5::text[], $6::text[])
                     with ordinality as g (conversation, sender, key, said, place)),
             counted as (select conversation, count(*) as fresh from given group by conversation),
             ranked as (
                 select c.conversation, c.seq, n.fresh,
                        row_number() over (partition by c.conversation order by c.seq desc) as rank
                 from group_context c join counted n using (conversation) where c.channel_id = $1),
             dropped as (
                 delete from group_context c using ranked r
                 where c.channel_id = $1 and c.conversation = r.conversation and c.seq = r.seq
                   and r.rank > $7 - r.fresh)
             insert into group_context (channel_id, user_id, conversation, sender, key, said)
             select $1, $2, conversation, sender, key, said::json from given order by place
             on conflict (channel_id, key) do nothing",
        )
        .bind(channel.id.0)
        .bind(channel.user_id.as_str())
        .bind(conversations)
        .bind(senders)
        .bind(keys)
        .bind(texts)
        .bind(i64::try_from(KEPT).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What is kept of a conversation behind a place; `None` when there is nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn context_of(
        &self,
        channel: ChannelId,
        conversation: &str,
        behind: i64,
    ) -> Result<Option<GroupContext>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select seq, said::text from group_context
             where channel_id = $1 and conversation = $2 and seq > $3 order by seq desc limit $4",
        )
        .bind(channel.0)
        .bind(&*indexable(conversation))
        .bind(behind)
        .bind(i64::try_from(KEPT).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        let Some(&(last, _)) = rows.first() else { return Ok(None) };
        let entries = rows.iter().rev().map(|(_, said)| Ok(serde_json::from_str(said)?));
        Ok(Some(GroupContext { entries: entries.collect::<Result<_>>()?, last }))
    }

    /// Deletes what was given to the backend.
    ///
    /// # Errors
    /// When the database fails; then it will be given again.
    pub async fn context_given(&self, channel: ChannelId, conversation: &str, last: i64) -> Result<()> {
        sqlx::query("delete from group_context where channel_id = $1 and conversation = $2 and seq <= $3")
            .bind(channel.0)
            .bind(&*indexable(conversation))
            .bind(last)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets what was kept for longer than `hours`: nobody addressed the bot meanwhile. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn context_forget(&self, hours: i32) -> Result<u64> {
        let old = sqlx::query("delete from group_context where kept_at < now() - make_interval(hours => $1)");
        Ok(old.bind(hours).execute(&self.pool).await?.rows_affected())
    }
}
