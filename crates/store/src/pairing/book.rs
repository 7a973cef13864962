//! A transaction on the pairings of one channel. What follows from what is for its callers (crate `claw-intake`).

use std::time::Duration;

use claw_types::{ChannelId, UserId, Work};
use uuid::Uuid;

use super::{COLUMNS, COUNTS, Pairing, PairingState, Person, pairing};
use crate::events::tell;
use crate::messages::accept;
use crate::pool::Txn;
use crate::tenant::write;
use crate::{Actor, Change, Channel, Error, NewMessage, News, Result, Store};

/// The pairings of one channel, for one writer at a time. Dropped without [`PairingBook::commit`], it changes nothing.
pub struct PairingBook {
    pub(super) txn: Txn,
    pub(super) channel: Channel,
}

impl Store {
    /// Opens a channel's book and takes out what expired. Whoever has it open is waited for.
    ///
    /// # Errors
    /// [`Error::NoChannel`] when the channel was deleted.
    pub async fn pairing_book(&self, channel: &Channel) -> Result<PairingBook> {
        let mut txn = self.pool.begin().await?;
        // The channel's row is the lock: who deletes the channel and its pairings waits for it, too.
        let there: Option<Uuid> = sqlx::query_scalar(
            "select id from channels where id = $1 and deleted_at is null for no key update",
        )
        .bind(channel.id.0)
        .fetch_optional(&mut txn)
        .await?;
        there.ok_or(Error::NoChannel)?;
        sqlx::query("delete from pairings where channel_id = $1 and expires_at <= now()")
            .bind(channel.id.0)
            .execute(&mut txn)
            .await?;
        Ok(PairingBook { txn, channel: channel.clone() })
    }
}

impl PairingBook {
    /// Takes note that a message of the platform's was dealt with, under the id that stands for it. `false`: it was before, and
    /// this is the platform sending it again.
    ///
    /// # Errors
    /// When the database fails, as with all of these.
    pub async fn claim(&mut self, message: &NewMessage) -> Result<bool> {
        let Some(key) = &message.key else { return Ok(true) };
        let claimed = sqlx::query(
            "insert into message_keys (channel_id, key, message_id) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(self.channel.id.0)
        .bind(key)
        .bind(message.id.0)
        .execute(&mut self.txn)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// What is known of a person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_person(&mut self, person: &str) -> Result<Option<Pairing>> {
        let sql =
            format!("select {COLUMNS} from pairings where channel_id = $1 and person = $2 and {COUNTS}");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.channel.id.0).bind(person);
        row.fetch_optional(&mut self.txn).await?.as_ref().map(pairing).transpose()
    }

    /// What has this code.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_code(&mut self, code: &str) -> Result<Option<Pairing>> {
        let sql = format!("select {COLUMNS} from pairings where channel_id = $1 and code = $2 and {COUNTS}");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.channel.id.0).bind(code);
        row.fetch_optional(&mut self.txn).await?.as_ref().map(pairing).transpose()
    }

    /// All that are in this state, the oldest first. Only for states that have a bound.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn in_state(&mut self, state: PairingState) -> Result<Vec<Pairing>> {
        let sql = format!(
            "select {COLUMNS} from pairings where channel_id = $1 and state = $2 and {COUNTS} order by id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.channel.id.0).bind(state.as_str());
        rows.fetch_all(&mut self.txn).await?.iter().map(pairing).collect()
    }

    /// Adds a request of this person's, or an invitation, which is good for so long.
    ///
    /// # Errors
    /// When the database fails, or somebody was already known.
    pub async fn add(
        &mut self,
        id: Uuid,
        code: &str,
        person: Option<&Person>,
        good_for: Duration,
    ) -> Result<Pairing> {
        let state = if person.is_some() { PairingState::Pending } else { PairingState::Invited };
        let sql = format!(
            "insert into pairings
                 (id, channel_id, user_id, code, state, person, name, recipient, thread_id, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10))
             returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(self.channel.id.0)
            .bind(self.channel.user_id.as_str())
            .bind(code)
            .bind(state.as_str())
            .bind(person.map(|person| &*person.id))
            .bind(person.map(|person| &*person.name))
            .bind(person.map(|person| &*person.recipient))
            .bind(person.and_then(|person| person.thread_id.as_deref()))
            .bind(good_for.as_secs_f64())
            .fetch_one(&mut self.txn)
            .await?;
        pairing(&row)
    }

    /// Gives an invitation to the person who sent its code.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give(&mut self, invitation: Uuid, person: &Person) -> Result<()> {
        sqlx::query(
            "update pairings set person = $2, name = $3, recipient = $4, thread_id = $5 where id = $1",
        )
        .bind(invitation)
        .bind(&person.id)
        .bind(&person.name)
        .bind(&person.recipient)
        .bind(person.thread_id.as_deref())
        .execute(&mut self.txn)
        .await?;
        Ok(())
    }

    /// Says how it was decided, by whom, and for how long that counts; `None` for ever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decide(
        &mut self,
        id: Uuid,
        state: PairingState,
        by: &str,
        good_for: Option<Duration>,
    ) -> Result<Pairing> {
        let sql = format!(
            "update pairings set state = $2, decided_at = now(), decided_by = $3,
                 expires_at = now() + make_interval(secs => $4)
             where id = $1 returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(state.as_str())
            .bind(by)
            .bind(good_for.map(|long| long.as_secs_f64()))
            .fetch_one(&mut self.txn)
            .await?;
        pairing(&row)
    }

    /// Takes one out, with what is held for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove(&mut self, id: Uuid) -> Result<()> {
        sqlx::query("delete from pairings where id = $1").bind(id).execute(&mut self.txn).await?;
        Ok(())
    }

    /// Accepts a message as part of this; its key does not count.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept(&mut self, message: &NewMessage) -> Result<Work> {
        accept(&mut self.txn, message).await
    }

    /// Tells of something that happened to this channel, without anything that a stranger wrote.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell(&mut self, kind: &'static str) -> Result<()> {
        tell(&mut self.txn, Some(&self.channel.user_id), &News::of(kind, self.channel.id)).await
    }

    /// Writes a change to the audit log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit(&mut self, actor: &Actor, change: &Change<'_>) -> Result<()> {
        write(&mut self.txn, actor, Some(&self.channel.user_id), change).await
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// When it was not committed.
    pub async fn commit(self) -> Result<()> {
        Ok(self.txn.commit().await?)
    }
}

/// Deletes all that a channel has, which is being deleted itself.
pub(crate) async fn delete_all(txn: &mut Txn, user: &UserId, channel: ChannelId) -> Result<()> {
    sqlx::query("delete from pairings where channel_id = $1 and user_id = $2")
        .bind(channel.0)
        .bind(user.as_str())
        .execute(txn)
        .await?;
    Ok(())
}
