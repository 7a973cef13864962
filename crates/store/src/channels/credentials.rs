//! What a channel has for itself alone: its credentials, as fingerprints.
//!
//! An account is known by several names at once (an app's id, its secret, its bot's token), and whoever has any of them is the same account
//! again. Each is a row of `channel_credentials`, whose key no two channels share. The first one is in the channel's own row, too: the
//! version before this one knows no other, and a trigger (migration 0027) takes what is written there for a credential like any, and
//! takes all of them from a channel that is deleted or erased.
//!
//! Must hold: a channel and its credentials are committed together. Whose the other channel is that has one of them is asked outside the
//! tenant's transaction, and it is named to its own user only.
//!
//! Rejected: an array in the channel's row. No index keeps the elements of two rows apart, so each save would have to wait for all others.

use claw_types::ChannelId;
use uuid::Uuid;

use super::SaveChannel;
use crate::pool::Txn;
use crate::{Error, Result, Store, Tenant, Vault};

/// The indexes by which no two channels have the same first credential, and the same one at all.
const UNIQUE: [&str; 2] = ["channels_fingerprint", "channel_credentials_pkey"];

/// The fingerprints of a channel's credentials.
#[derive(Default)]
pub(crate) struct Claims {
    /// Under the current key, as they are stored, in the adapter's order; none twice.
    current: Vec<[u8; 32]>,
    /// Under every key.
    known: Vec<[u8; 32]>,
}

impl Claims {
    pub(crate) fn of(vault: &Vault, channel_type: &str, credentials: &[String]) -> Self {
        let mut distinct: Vec<&String> = Vec::new();
        for credential in credentials {
            if !distinct.contains(&credential) {
                distinct.push(credential);
            }
        }
        let each: Vec<Vec<[u8; 32]>> =
            distinct.into_iter().map(|credential| vault.fingerprints(channel_type, credential)).collect();
        let current = each.iter().filter_map(|under_keys| under_keys.first().copied()).collect();
        Self { current, known: each.concat() }
    }

    /// The one that is in the channel's own row.
    pub(crate) fn first(&self) -> Option<&[u8]> {
        self.current.first().map(<[u8; 32]>::as_slice)
    }
}

/// Gives these channels these credentials and takes all others from them.
///
/// # Errors
/// When another channel has one of them ([`is_claimed`]), or the database fails.
pub(crate) async fn claim(conn: &mut Txn, channels: &[(ChannelId, &Claims)]) -> Result<()> {
    let all: Vec<Uuid> = channels.iter().map(|(id, _)| id.0).collect();
    sqlx::query("delete from channel_credentials where channel_id = any ($1)")
        .bind(all)
        .execute(&mut *conn)
        .await?;
    let mut of: Vec<Uuid> = Vec::new();
    let mut fingerprints: Vec<&[u8]> = Vec::new();
    for (id, claims) in channels {
        for fingerprint in &claims.current {
            of.push(id.0);
            fingerprints.push(fingerprint);
        }
    }
    sqlx::query(
        "insert into channel_credentials (channel_id, fingerprint)
         select given.id, given.fingerprint from unnest($1::uuid[], $2::bytea[]) as given (id, fingerprint)",
    )
    .bind(of)
    .bind(fingerprints)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether this was refused because another channel has a credential.
pub(crate) fn is_claimed(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    unique_violation(error).is_some_and(|index| UNIQUE.contains(&index))
}

pub(super) fn unique_violation(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    error.is_unique_violation().then(|| error.constraint().unwrap_or_default())
}

impl Store {
    /// The index sees to it that no two channels have one fingerprint. Where there are more than one to a channel (while the master key is
    /// replaced, each credential has one for each key, of which one is stored), they are asked for here, one save of a credential at a
    /// time: whoever saves the same one waits for the same lock. And so no two saves wait for one another at the index.
    pub(super) async fn refuse_claimed(
        &self,
        tenant: &mut Tenant,
        save: &SaveChannel,
        claims: &Claims,
    ) -> Result<()> {
        if claims.known.len() < 2 {
            return Ok(());
        }
        // In one order for everybody, so that nobody waits for somebody who waits for them.
        let mut locks: Vec<i64> =
            claims.known.iter().filter_map(|f| f.first_chunk().copied().map(i64::from_be_bytes)).collect();
        locks.sort_unstable();
        for lock in locks {
            sqlx::query("select pg_advisory_xact_lock($1)").bind(lock).execute(tenant.conn()).await?;
        }
        self.claimed(save, claims).await?.map_or(Ok(()), Err)
    }

    /// The refusal when another channel has one of these credentials. Names that channel to its own user only: to anyone else, that it
    /// exists is all there is to know.
    pub(super) async fn claimed(&self, save: &SaveChannel, claims: &Claims) -> Result<Option<Error>> {
        let other: Option<(String, String)> = sqlx::query_as(
            "select c.user_id, c.instance from channel_credentials k join channels c on c.id = k.channel_id
             where k.fingerprint = any ($1) and k.channel_id <> $2
             order by c.user_id <> $3, c.instance limit 1",
        )
        .bind(claims.known.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
        .bind(save.id.0)
        .bind(save.user_id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(other.map(|(user, instance)| {
            Error::CredentialInUse(if user == save.user_id.as_str() {
                format!("the channel {instance:?}")
            } else {
                "a channel of another user".to_owned()
            })
        }))
    }
}
