//! Who asked to be let in to a channel, who was, and invitations: the rows, and what may be asked of them.
//!
//! Everything that changes them goes through a [`PairingBook`]: one transaction on one channel, after one another, so a
//! bound that was looked at still holds when the row is written, however many gateways and workers take messages.

mod book;
mod held;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use claw_types::{ChannelId, UserId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

pub use self::book::PairingBook;
pub(crate) use self::book::delete_all;
use crate::{Error, Result, Store};

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PairingState {
    /// Asked to be let in; nobody decided yet.
    Pending,
    /// Nobody yet: whoever sends the code is let in.
    Invited,
    /// May write.
    Approved,
    /// Is not answered.
    Denied,
}

impl PairingState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Invited, Self::Approved, Self::Denied];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Invited => "invited",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }

    /// The state that [`Self::as_str`] names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A person's chat with the bot, as far as it is needed to write to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The platform's id of the person, in a form that can be indexed ([`crate::intake::indexable`]).
    pub id: String,
    /// The name that the platform shows.
    pub name: String,
    /// The platform's id of the chat.
    pub recipient: String,
    /// The thread in it.
    pub thread_id: Option<String>,
}

/// A person's request, approval or denial, or an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Its id.
    pub id: Uuid,
    /// Its code, unique within the channel.
    pub code: String,
    /// Where it stands.
    pub state: PairingState,
    /// Who it is about; `None` for an invitation.
    pub person: Option<Person>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it does not count; `None` for ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When somebody decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// Who.
    pub decided_by: Option<String>,
}

/// What a channel knows of some people, at one moment.
#[derive(Debug, Default)]
pub struct Known {
    /// Where those stand that it knows, and how many messages of theirs are held.
    pub people: HashMap<String, (PairingState, i64)>,
    /// Requests that wait for somebody to decide.
    pub pending: i64,
    /// Invitations that nobody used.
    pub invited: i64,
}

pub(crate) const COLUMNS: &str = "id, code, state, person, name, recipient, thread_id, created_at, expires_at, \
     decided_at, decided_by";
/// Whether a row still counts.
pub(crate) const COUNTS: &str = "(expires_at is null or expires_at > now())";

pub(crate) fn pairing(row: &PgRow) -> Result<Pairing> {
    let (id, state): (Uuid, String) = (row.try_get("id")?, row.try_get("state")?);
    let (name, recipient): (Option<String>, Option<String>) =
        (row.try_get("name")?, row.try_get("recipient")?);
    let (person, thread_id): (Option<String>, _) = (row.try_get("person")?, row.try_get("thread_id")?);
    let person = person.map(|id| Person {
        id,
        name: name.unwrap_or_default(),
        recipient: recipient.unwrap_or_default(),
        thread_id,
    });
    Ok(Pairing {
        id,
        code: row.try_get("code")?,
        state: state_of(id, &state)?,
        person,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        decided_at: row.try_get("decided_at")?,
        decided_by: row.try_get("decided_by")?,
    })
}

fn state_of(id: Uuid, text: &str) -> Result<PairingState> {
    let bad =
        || Error::BadRow { table: "pairings", id: id.to_string(), column: "state", value: text.to_owned() };
    PairingState::parse(text).ok_or_else(bad)
}

impl Store {
    /// What a channel knows of these people, and whether there is room for more: one statement for a batch of messages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pairing_known(&self, channel: ChannelId, people: &[String]) -> Result<Known> {
        let rows = sqlx::query(
            "with open as materialized (
                 select count(*) filter (where state = 'pending') as pending,
                        count(*) filter (where state = 'invited') as invited
                 from pairings
                 where channel_id = $1 and state in ('pending', 'invited') and expires_at > now())
             select o.pending, o.invited, p.id, p.person, p.state,
                    (select count(*) from pairing_held h where h.pairing_id = p.id) as held
             from open o left join pairings p
                 on p.channel_id = $1 and p.person = any ($2)
                    and (p.expires_at is null or p.expires_at > now())",
        )
        .bind(channel.0)
        .bind(people)
        .fetch_all(&self.pool)
        .await?;
        let mut known = Known::default();
        for row in &rows {
            (known.pending, known.invited) = (row.try_get("pending")?, row.try_get("invited")?);
            let (person, state): (Option<String>, Option<String>) =
                (row.try_get("person")?, row.try_get("state")?);
            if let Some((person, state)) = person.zip(state) {
                let state = state_of(row.try_get("id")?, &state)?;
                known.people.insert(person, (state, row.try_get("held")?));
            }
        }
        Ok(known)
    }

    /// A page of a channel's, newest first; `state` only those. What does not count any more is not shown.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pairings(
        &self,
        user: &UserId,
        channel: ChannelId,
        state: Option<PairingState>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Pairing>> {
        let mut tenant = self.tenant(user).await?;
        let sql = format!(
            "select {COLUMNS} from pairings
             where channel_id = $1 and user_id = $2 and {COUNTS} and ($3::text is null or state = $3)
               and ($4::uuid is null or id < $4)
             order by id desc limit $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(channel.0)
            .bind(user.as_str())
            .bind(state.map(PairingState::as_str))
            .bind(before)
            .bind(limit)
            .fetch_all(tenant.conn())
            .await?;
        rows.iter().map(pairing).collect()
    }

    /// Forgets what expired, with what was held for it. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pairings_forget(&self) -> Result<u64> {
        let old = sqlx::query("delete from pairings where expires_at <= now()");
        Ok(old.execute(&self.pool).await?.rows_affected())
    }
}
