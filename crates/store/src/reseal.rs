//! Sealing under the current master key what another one sealed, beside everything that runs.
//!
//! By pages, each one statement: a value is replaced only where it is still the one that was read, so whoever changes a
//! channel meanwhile wins, and what was done stays done when the command is killed. It raises no revision: what is sealed is
//! the same, and nobody is to start a channel again for it.
//!
//! The fingerprints of a channel's credentials are made with the same key as its seal, so all are replaced in one transaction. That
//! two channels do not have the same credential while some fingerprints are of one key and some of another, `channel_save` sees to.

use claw_secrets::Sealed;
use claw_types::ChannelId;
use serde_json::{Map, Value, json};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::channels::{Claims, claim, is_claimed};
use crate::sealed::Columns;
use crate::tenant::write;
use crate::{
    Actor, Change, Error, SealedKind, Store, Vault, backends, chain, channel_memory, destinations, hooks,
};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Tells the credentials of which no other channel may have any, of a channel's type, its fields and its secret fields; or why it can't.
pub type Credentials = fn(&str, Map<String, Value>, Map<String, Value>) -> Result<Vec<String>, String>;

/// Re-sealing as it is set up.
#[derive(Clone)]
pub struct Reseal {
    /// All tenants' rows.
    pub store: Store,
    /// Opens with every key that is known, seals with the current one.
    pub vault: Vault,
    /// Of channels.
    pub credentials: Credentials,
    /// Values that are read and replaced at once.
    pub page: i64,
    /// Whether anything is written; without it the same is tried.
    pub write: bool,
}

/// What became of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many are sealed under the current key now, or would be.
    pub resealed: u64,
    /// How many somebody else changed in between: by that they are sealed anew.
    pub changed: u64,
    /// Those that stay as they are.
    pub refused: Vec<Refused>,
    /// Behind which value the next page begins; `None` after the last one.
    pub next: Option<Uuid>,
}

/// A value that stays under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Of what.
    pub kind: SealedKind,
    /// Whose; `None` for what is the operator's.
    pub user: Option<String>,
    /// Which one: a channel's slug, else an id.
    pub name: String,
    /// Why.
    pub why: String,
}

/// A value as it was read and as it is to be.
struct Renewed {
    id: Uuid,
    user: Option<String>,
    name: String,
    read: Vec<u8>,
    sealed: Sealed,
    /// Of a channel.
    claims: Claims,
}

impl Reseal {
    /// Re-seals the first values of this kind that name `key`, or those behind `after`.
    ///
    /// # Errors
    /// When the database fails. What was replaced before stays so.
    pub async fn page(&self, kind: SealedKind, key: &str, after: Option<Uuid>) -> Result<Page> {
        let mut page = Page::default();
        let rows = self.read(kind, key, after.unwrap_or_default()).await?;
        if i64::try_from(rows.len()).is_ok_and(|read| read == self.page) {
            page.next = rows.last().map(|row| row.try_get("id")).transpose()?;
        }
        let mut renewed = Vec::new();
        for row in &rows {
            match self.renew(kind, key, row)? {
                Ok(one) => renewed.push(one),
                Err(refused) => page.refused.push(refused),
            }
        }
        if self.write {
            self.replace(kind, key, &renewed, &mut page).await?;
        } else {
            page.resealed = count(renewed.len());
        }
        Ok(page)
    }

    /// Notes in the audit log what was done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note(&self, resealed: u64, actor: &Actor) -> Result<()> {
        let mut txn = self.store.pool.begin().await?;
        let subject = self.vault.keys().current_id();
        let change = Change { action: "secrets.resealed", subject, detail: json!({"values": resealed}) };
        write(&mut txn, actor, None, &change).await?;
        Ok(txn.commit().await?)
    }

    async fn read(&self, kind: SealedKind, key: &str, after: Uuid) -> Result<Vec<PgRow>> {
        let Columns { table, value, key: named } = kind.columns();
        let more = match kind {
            SealedKind::Channels => ", instance as name, channel_type, config::text as config",
            SealedKind::Memories => ", name, channel_id",
            SealedKind::Backends => ", id::text as name, channel_id",
            SealedKind::Hooks | SealedKind::Destinations => ", id::text as name",
        };
        let sql = format!(
            "select id, user_id, {value} as value{more} from {table}
             where {named} = $1 and id > $2 order by id limit $3"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(key).bind(after).bind(self.page);
        Ok(query.fetch_all(&self.store.pool).await?)
    }

    /// The value under the current key, or why it stays. Fails only for a row that this version can't read.
    fn renew(&self, kind: SealedKind, key: &str, row: &PgRow) -> Result<Result<Renewed, Refused>> {
        let (id, user, name): (Uuid, Option<String>, String) =
            (row.try_get("id")?, row.try_get("user_id")?, row.try_get("name")?);
        let read: Vec<u8> = row.try_get("value")?;
        let place = match kind {
            SealedKind::Channels => id.as_bytes().to_vec(),
            SealedKind::Memories => {
                channel_memory::place(ChannelId(row.try_get("channel_id")?), &name).into_bytes()
            }
            SealedKind::Backends => backends::seal(&backends::place(row)?).into_bytes(),
            SealedKind::Hooks => hooks::place(id).into_bytes(),
            SealedKind::Destinations => destinations::place(id).into_bytes(),
        };
        let refused = |why: String| Refused { kind, user: user.clone(), name: name.clone(), why };
        let sealed = Sealed { key_id: key.to_owned(), bytes: read.clone() };
        let plain = match self.vault.open_bytes(&place, &sealed) {
            Ok(plain) => plain,
            Err(error) => return Ok(Err(refused(chain(&error)))),
        };
        let claims = match kind {
            SealedKind::Channels => match self.claims(row, &plain)? {
                Ok(claims) => claims,
                Err(why) => return Ok(Err(refused(why))),
            },
            _ => Claims::default(),
        };
        let sealed = self.vault.seal_bytes(&place, &plain)?;
        Ok(Ok(Renewed { id, user, name, read, sealed, claims }))
    }

    fn claims(&self, row: &PgRow, plain: &[u8]) -> Result<Result<Claims, String>> {
        let (channel_type, config): (&str, &str) = (row.try_get("channel_type")?, row.try_get("config")?);
        let credentials =
            (self.credentials)(channel_type, serde_json::from_str(config)?, serde_json::from_slice(plain)?);
        Ok(credentials.map(|credentials| Claims::of(&self.vault, channel_type, &credentials)))
    }

    /// All at once; when a channel has another one's credential, one by one, so that it keeps none of the others back.
    async fn replace(&self, kind: SealedKind, key: &str, all: &[Renewed], page: &mut Page) -> Result<()> {
        match self.replace_at_once(kind, key, all).await {
            Ok(done) => noted(page, done, all.len()),
            Err(error) if is_claimed(&error) => {
                for one in all {
                    match self.replace_at_once(kind, key, std::slice::from_ref(one)).await {
                        Ok(done) => noted(page, done, 1),
                        Err(error) if is_claimed(&error) => page.refused.push(taken(kind, one)),
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn replace_at_once(&self, kind: SealedKind, key: &str, all: &[Renewed]) -> Result<u64> {
        let Columns { table, value, key: named } = kind.columns();
        let fingerprint = if kind == SealedKind::Channels { ", fingerprint = n.fingerprint" } else { "" };
        let sql = format!(
            "update {table} t set {value} = n.sealed, {named} = $2{fingerprint}
             from unnest($3::uuid[], $4::bytea[], $5::bytea[], $6::bytea[]) as n (id, read, sealed, fingerprint)
             where t.id = n.id and t.{named} = $1 and t.{value} = n.read returning t.id"
        );
        let ids: Vec<Uuid> = all.iter().map(|one| one.id).collect();
        let read: Vec<&[u8]> = all.iter().map(|one| one.read.as_slice()).collect();
        let sealed: Vec<&[u8]> = all.iter().map(|one| one.sealed.bytes.as_slice()).collect();
        let fingerprints: Vec<Option<&[u8]>> = all.iter().map(|one| one.claims.first()).collect();
        let mut txn = self.store.pool.begin().await?;
        let done: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(key)
            .bind(self.vault.keys().current_id())
            .bind(ids)
            .bind(read)
            .bind(sealed)
            .bind(fingerprints)
            .fetch_all(&mut txn)
            .await?;
        if kind == SealedKind::Channels {
            let replaced = all.iter().filter(|one| done.contains(&one.id));
            let claims: Vec<_> = replaced.map(|one| (ChannelId(one.id), &one.claims)).collect();
            claim(&mut txn, &claims).await?;
        }
        txn.commit().await?;
        Ok(count(done.len()))
    }
}

fn noted(page: &mut Page, done: u64, of: usize) {
    page.resealed += done;
    page.changed += count(of) - done;
}

fn count(of: usize) -> u64 {
    of.try_into().unwrap_or(u64::MAX)
}

fn taken(kind: SealedKind, one: &Renewed) -> Refused {
    let why = "another channel has the same credential: delete one of the two".to_owned();
    Refused { kind, user: one.user.clone(), name: one.name.clone(), why }
}

impl Refused {
    /// `channels ada/support: why`
    pub fn line(&self) -> String {
        let user = self.user.as_deref().unwrap_or("the operator");
        format!("{} {user}/{}: {}", self.kind.name(), self.name, self.why)
    }
}
