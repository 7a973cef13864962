//! What stands in a chat until its answer comes: kept so that an answer finds it after a restart or a move, too.
//!
//! Must hold: it is written who takes one before the platform is asked to, so that nobody else takes it afterwards and the
//! same answer, tried again, takes the same one.

use std::time::Duration;

use claw_types::{ChannelId, MessageId, Outbound, ShardId, UserId, Work};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::intake::{answer_key, indexable};
use crate::{Error, Result, Store};

/// A placeholder that a platform shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// Our message that shows it.
    pub message: MessageId,
    /// The tenant.
    pub user: UserId,
    /// Its channel.
    pub channel: ChannelId,
    /// The conversation that it stands in.
    pub conversation: String,
    /// Its place among the messages.
    pub seq: i64,
    /// The platform's id of it.
    pub platform_id: String,
    /// The platform's id of the message that is to be answered, where it has one.
    pub question: Option<String>,
    /// Our id of it. Written nowhere but in the message that shows it.
    pub question_id: Option<MessageId>,
    /// The platform's id of who asked, where that is known. Written nowhere but in the message that shows it.
    pub asker: Option<String>,
    /// Who took it.
    pub taken: Option<Taken>,
}

/// An answer that takes a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The answer.
    pub by: MessageId,
    /// Whether the placeholder becomes it, or is taken away for it.
    pub in_place: bool,
}

/// A message that was sent into a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentSince {
    /// Its place among the messages.
    pub seq: i64,
    /// How long ago it was accepted, by the clock of the database because those of machines disagree.
    pub age: Duration,
    /// Its body, JSON.
    pub body: String,
}

/// What is written of a placeholder.
#[derive(Debug, Clone)]
pub enum Note {
    /// The platform shows it.
    Shown(Box<Placeholder>),
    /// An answer takes it.
    Taken(MessageId, Taken),
}

impl Store {
    /// Writes several notes; for each whether it holds: `false` for one that another answer took before.
    ///
    /// # Errors
    /// When the database fails; then it is not known what was written.
    pub async fn placeholders_note(&self, notes: &[Note]) -> Result<Vec<bool>> {
        let mut written = Vec::with_capacity(notes.len());
        self.placeholders_shown(notes).await?;
        let taken = self.placeholders_taken(notes).await?;
        for note in notes {
            written.push(match note {
                Note::Shown(_) => true,
                Note::Taken(message, _) => taken.contains(&message.0),
            });
        }
        Ok(written)
    }

    async fn placeholders_shown(&self, notes: &[Note]) -> Result<()> {
        let shown: Vec<&Placeholder> = notes
            .iter()
            .filter_map(|note| match note {
                Note::Shown(placeholder) => Some(&**placeholder),
                Note::Taken(..) => None,
            })
            .collect();
        if shown.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into placeholders (message_id, user_id, channel_id, conversation, seq, platform_id, question)
             select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[])
             -- Shown again because nobody heard that it was.
             on conflict (message_id) do update set platform_id = excluded.platform_id",
        )
        .bind(shown.iter().map(|p| p.message.0).collect::<Vec<_>>())
        .bind(shown.iter().map(|p| p.user.as_str()).collect::<Vec<_>>())
        .bind(shown.iter().map(|p| p.channel.0).collect::<Vec<_>>())
        .bind(shown.iter().map(|p| &*p.conversation).collect::<Vec<_>>())
        .bind(shown.iter().map(|p| p.seq).collect::<Vec<_>>())
        .bind(shown.iter().map(|p| &*p.platform_id).collect::<Vec<_>>())
        .bind(shown.iter().map(|p| p.question.as_deref()).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn placeholders_taken(&self, notes: &[Note]) -> Result<Vec<Uuid>> {
        let takes: Vec<(MessageId, Taken)> = notes
            .iter()
            .filter_map(|note| match note {
                Note::Taken(message, taken) => Some((*message, *taken)),
                Note::Shown(_) => None,
            })
            .collect();
        if takes.is_empty() {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_scalar(
            "update placeholders p set answer_id = t.answer, in_place = t.in_place
             from unnest($1::uuid[], $2::uuid[], $3::bool[]) as t (message, answer, in_place)
             where p.message_id = t.message and coalesce(p.answer_id, t.answer) = t.answer
             returning p.message_id",
        )
        .bind(takes.iter().map(|(message, _)| message.0).collect::<Vec<_>>())
        .bind(takes.iter().map(|(_, taken)| taken.by.0).collect::<Vec<_>>())
        .bind(takes.iter().map(|(_, taken)| taken.in_place).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?)
    }

    /// The placeholders of a shard's channels that an answer may want, in order: those that were shown within `age` and not
    /// taken, and those whose answer is still being sent, however old they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn placeholders_in(&self, shard: ShardId, age: Duration) -> Result<Vec<Placeholder>> {
        let rows = sqlx::query(
            "select p.*, shown.payload::text as shown from placeholders p join channels c on c.id = p.channel_id
             left join messages shown on shown.id = p.message_id
             where c.shard = $1 and case
                 when p.answer_id is null then p.shown_at > now() - make_interval(secs => $2)
                 else exists (select from messages m where m.id = p.answer_id and m.finished_at is null) end
             order by p.seq",
        )
        .bind(shard.as_i32())
        .bind(age.as_secs_f64())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(placeholder).collect()
    }

    /// Forgets up to `limit` of those that were shown longer ago than this many hours, unless their answer is still being sent. Tells how
    /// many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn placeholders_forget(&self, hours: i32, limit: i64) -> Result<u64> {
        let old = sqlx::query(
            "delete from placeholders where ctid = any (array(
                 select p.ctid from placeholders p where p.shown_at < now() - make_interval(hours => $1)
                   and not exists (select from messages m where m.id = p.answer_id and m.finished_at is null)
                 order by p.shown_at limit $2))",
        );
        Ok(old.bind(hours).bind(limit).execute(&self.pool).await?.rows_affected())
    }

    /// What was sent into a conversation behind a place, the latest 20; without what a job's time made, which answers nobody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_sent_after(
        &self,
        channel: ChannelId,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<SentSince>> {
        // What is over and what is pending have an index each.
        let part = |which: &str| {
            format!(
                "select seq, accepted_at, payload from messages
                 where channel_id = $1 and conversation = $2 and seq > $3 and finished_at is {which}
                   and direction = 'out' and source is null
                 order by seq desc limit 20"
            )
        };
        let sql = format!(
            "select seq, extract(epoch from clock_timestamp() - accepted_at)::float8, payload::text
             from (({}) union all ({})) sent order by seq desc limit 20",
            part("null"),
            part("not null")
        );
        let sent = sqlx::query_as::<_, (i64, f64, String)>(sqlx::AssertSqlSafe(sql));
        let sent =
            sent.bind(channel.0).bind(indexable(conversation)).bind(after).fetch_all(&self.pool).await?;
        let since = |(seq, secs, body): (i64, f64, String)| SentSince {
            seq,
            age: Duration::try_from_secs_f64(secs).unwrap_or_default(),
            body,
        };
        Ok(sent.into_iter().map(since).collect())
    }

    /// The body of the first message that was accepted as the answer to `question` ([`crate::NewMessage::answer`]); `None` when
    /// none was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn answer_begun(&self, question: &Work) -> Result<Option<String>> {
        let body = sqlx::query_scalar(
            "select m.payload::text from message_keys k join messages m on m.id = k.message_id
             where k.channel_id = $1 and k.key = $2",
        );
        let key = answer_key(question.id, 0);
        Ok(body.bind(question.channel_id.0).bind(key).fetch_optional(&self.pool).await?)
    }
}

fn placeholder(row: &PgRow) -> Result<Placeholder> {
    let user: String = row.try_get("user_id")?;
    let answer: Option<Uuid> = row.try_get("answer_id")?;
    let in_place = row.try_get("in_place")?;
    let shown: Option<String> = row.try_get("shown")?;
    // Who can't be told from it is nobody whom we know, as with a version that did not write it.
    let shown = shown.and_then(|body| serde_json::from_str::<Outbound>(&body).ok()?.placeholder);
    let message = MessageId(row.try_get("message_id")?);
    Ok(Placeholder {
        message,
        user: user.parse().map_err(|_| Error::BadRow {
            table: "placeholders",
            id: message.to_string(),
            column: "user_id",
            value: user.clone(),
        })?,
        channel: ChannelId(row.try_get("channel_id")?),
        conversation: row.try_get("conversation")?,
        seq: row.try_get("seq")?,
        platform_id: row.try_get("platform_id")?,
        question: row.try_get("question")?,
        question_id: shown.as_ref().and_then(|shown| shown.question_id),
        asker: shown.and_then(|shown| shown.asker),
        taken: answer.map(|by| Taken { by: MessageId(by), in_place }),
    })
}
