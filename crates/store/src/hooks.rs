//! Users' inbound hooks: other systems' webhooks that wake an agent.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use claw_secrets::Sealed;
use claw_types::{HookName, UserId};
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{Actor, Change, Error, Result, Store, Tenant, Vault};

/// Hooks that a user may have. Their names are everybody's, so nobody can take all the good ones.
pub const HOOKS: i64 = 200;

/// How a caller shows that it knows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookAuth {
    /// By a signature of the body.
    Hmac,
    /// By sending it.
    Bearer,
}

impl HookAuth {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Bearer => "bearer",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Hmac, Self::Bearer].into_iter().find(|auth| auth.as_str() == text)
    }
}

/// What a hook's user decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSpec {
    /// Whether it takes calls.
    pub enabled: bool,
    /// How callers show that they know the secret.
    pub auth: HookAuth,
    /// Which agent; when empty, the one that the chat's channel is bound to.
    pub agent_id: String,
    /// The channel of the chat that its events belong to.
    pub channel: Option<String>,
    /// The platform's id of the chat.
    pub recipient: Option<String>,
    /// The thread or topic in it.
    pub thread_id: Option<String>,
    /// The template of the text; `None` for the default.
    pub text_template: Option<String>,
    /// Names of metadata and their templates.
    pub fields: BTreeMap<String, String>,
}

/// A hook without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// Its name.
    pub name: HookName,
    /// What it does.
    pub spec: HookSpec,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

const COLUMNS: &str = "id, user_id, name, enabled, auth, agent_id, channel, recipient, thread_id, text_template, \
     fields::text as fields, created_at, updated_at";

/// Where a hook's secret belongs.
pub(crate) fn place(id: Uuid) -> String {
    format!("hook/{id}")
}

impl Store {
    /// Makes a hook. `once` is the caller's idempotency key and the digest of the body; answers the hook that was made
    /// under it before, if any, and whether this call made it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the name is taken, by whomever, [`Error::TooMany`] or [`Error::KeyReused`]; then nothing
    /// was made.
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own")]
    pub async fn hook_create(
        &self,
        vault: &Vault,
        id: Uuid,
        user: &UserId,
        name: &HookName,
        spec: &HookSpec,
        secret: &str,
        actor: &Actor,
        once: Option<(&str, [u8; 32])>,
    ) -> Result<(Hook, bool)> {
        let mut tenant = self.tenant(user).await?;
        if let Some((key, digest)) = once
            && let Some(before) = tenant.once("hook", key, digest, id).await?
        {
            return Ok((tenant.hook_by_id(before).await?, false));
        }
        tenant.room("hooks", "hooks", HOOKS).await?;
        let sealed = vault.seal_text(&place(id), secret)?;
        let sql = format!(
            "insert into hooks (id, user_id, name, enabled, auth, agent_id, channel, recipient, thread_id,
                 text_template, fields, secret, secret_key)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::json, $12, $13) returning {COLUMNS}"
        );
        let made = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), id, user, name, spec)?
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .fetch_one(tenant.conn())
            .await;
        let made = match made {
            Ok(row) => hook(&row)?,
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Err(Error::Conflict),
            Err(error) => return Err(error.into()),
        };
        tenant.audit(actor, &change("hook.created", &made)).await?;
        tenant.commit().await?;
        Ok((made, true))
    }

    /// The hook that an earlier call made, if this is that call again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was deleted since, [`Error::KeyReused`], or when the database fails.
    pub async fn hook_made(&self, user: &UserId, key: &str, digest: [u8; 32]) -> Result<Option<Hook>> {
        let mut tenant = self.tenant(user).await?;
        match tenant.made_before("hook", key, digest).await? {
            Some(before) => Ok(Some(tenant.hook_by_id(before).await?)),
            None => Ok(None),
        }
    }

    /// A user's hooks by name, past `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hooks_of(&self, user: &UserId, after: Option<&str>, limit: i64) -> Result<Vec<Hook>> {
        let sql = format!(
            "select {COLUMNS} from hooks where user_id = $1 and ($2::text is null or name > $2)
             order by name limit $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(after)
            .bind(limit)
            .fetch_all(self.tenant(user).await?.conn())
            .await?;
        rows.iter().map(hook).collect()
    }

    /// One hook of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the user has none of that name.
    pub async fn hook(&self, user: &UserId, name: &HookName) -> Result<Hook> {
        let sql = format!("select {COLUMNS} from hooks where user_id = $1 and name = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(name.as_str())
            .fetch_optional(self.tenant(user).await?.conn())
            .await?;
        row.as_ref().map_or(Err(Error::NotFound("hook")), hook)
    }

    /// A hook by the name in its address, with its secret opened; `None` when nobody has one of that name.
    ///
    /// # Errors
    /// When the database fails or the secret does not open.
    pub async fn hook_open(&self, vault: &Vault, name: &HookName) -> Result<Option<(Hook, String)>> {
        let sql = format!("select {COLUMNS}, secret, secret_key from hooks where name = $1");
        let row =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name.as_str()).fetch_optional(&self.pool).await?;
        row.map(|row| {
            let hook = hook(&row)?;
            let sealed = Sealed { key_id: row.try_get("secret_key")?, bytes: row.try_get("secret")? };
            let secret = vault.open_text(&place(hook.id), &sealed)?;
            Ok((hook, secret))
        })
        .transpose()
    }

    /// Gives a hook, as it was read, new contents; and a new secret if there is one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was changed or deleted meanwhile.
    pub async fn hook_update(
        &self,
        vault: &Vault,
        read: &Hook,
        spec: &HookSpec,
        secret: Option<&str>,
        actor: &Actor,
    ) -> Result<Hook> {
        let mut tenant = self.tenant(&read.user_id).await?;
        let sealed = secret.map(|secret| vault.seal_text(&place(read.id), secret)).transpose()?;
        let (bytes, key_id) = sealed.map_or((None, None), |sealed| (Some(sealed.bytes), Some(sealed.key_id)));
        let sql = format!(
            "update hooks set enabled = $4, auth = $5, agent_id = $6, channel = $7, recipient = $8, thread_id = $9,
                 text_template = $10, fields = $11::json, secret = coalesce($12, secret),
                 secret_key = coalesce($13, secret_key), updated_at = clock_timestamp()
             where id = $1 and user_id = $2 and name = $3 and updated_at = $14 returning {COLUMNS}"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        let row = bind(query, read.id, &read.user_id, &read.name, spec)?
            .bind(bytes)
            .bind(key_id)
            .bind(read.updated_at)
            .fetch_optional(tenant.conn())
            .await?;
        let saved = row.as_ref().map_or(Err(Error::Conflict), hook)?;
        let mut change = change("hook.changed", &saved);
        change.detail["new_secret"] = secret.is_some().into();
        change.detail["changed"] = changed(&read.spec, &saved.spec).into();
        tenant.audit(actor, &change).await?;
        tenant.commit().await?;
        Ok(saved)
    }

    /// Deletes a hook and what is noted of its calls; the messages that they became stay.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the user has none of that name.
    pub async fn hook_delete(&self, user: &UserId, name: &HookName, actor: &Actor) -> Result<Uuid> {
        let mut tenant = self.tenant(user).await?;
        let id: Option<Uuid> =
            sqlx::query_scalar("delete from hooks where user_id = $1 and name = $2 returning id")
                .bind(user.as_str())
                .bind(name.as_str())
                .fetch_optional(tenant.conn())
                .await?;
        let id = id.ok_or(Error::NotFound("hook"))?;
        let change = Change { action: "hook.deleted", subject: name.as_str(), detail: json!({"id": id}) };
        tenant.audit(actor, &change).await?;
        tenant.commit().await?;
        Ok(id)
    }
}

impl Tenant {
    async fn hook_by_id(&mut self, id: Uuid) -> Result<Hook> {
        let sql = format!("select {COLUMNS} from hooks where id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(self.conn()).await?;
        row.as_ref().map_or(Err(Error::NotFound("hook")), hook)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// $1 to $11.
fn bind<'q>(
    query: Query<'q>,
    id: Uuid,
    user: &'q UserId,
    name: &'q HookName,
    spec: &'q HookSpec,
) -> Result<Query<'q>> {
    Ok(query
        .bind(id)
        .bind(user.as_str())
        .bind(name.as_str())
        .bind(spec.enabled)
        .bind(spec.auth.as_str())
        .bind(&spec.agent_id)
        .bind(spec.channel.as_deref())
        .bind(spec.recipient.as_deref())
        .bind(spec.thread_id.as_deref())
        .bind(spec.text_template.as_deref())
        .bind(serde_json::to_string(&spec.fields)?))
}

/// What is not the same any more.
fn changed(before: &HookSpec, now: &HookSpec) -> Vec<&'static str> {
    let all = [
        ("enabled", before.enabled != now.enabled),
        ("auth", before.auth != now.auth),
        ("agent_id", before.agent_id != now.agent_id),
        ("channel", before.channel != now.channel),
        ("recipient", before.recipient != now.recipient),
        ("thread_id", before.thread_id != now.thread_id),
        ("text_template", before.text_template != now.text_template),
        ("fields", before.fields != now.fields),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn change<'a>(action: &'static str, hook: &'a Hook) -> Change<'a> {
    let spec = &hook.spec;
    let detail = json!({
        "id": hook.id, "enabled": spec.enabled, "auth": spec.auth.as_str(), "agent_id": spec.agent_id,
        "channel": spec.channel, "recipient": spec.recipient, "thread_id": spec.thread_id,
    });
    Change { action, subject: hook.name.as_str(), detail }
}

fn hook(row: &PgRow) -> Result<Hook> {
    let id: Uuid = row.try_get("id")?;
    let bad = |column, value: &str| Error::BadRow {
        table: "hooks",
        id: id.to_string(),
        column,
        value: value.to_owned(),
    };
    let (user, name, auth): (String, String, String) =
        (row.try_get("user_id")?, row.try_get("name")?, row.try_get("auth")?);
    Ok(Hook {
        id,
        user_id: user.parse().map_err(|_| bad("user_id", &user))?,
        name: name.parse().map_err(|_| bad("name", &name))?,
        spec: HookSpec {
            enabled: row.try_get("enabled")?,
            auth: HookAuth::parse(&auth).ok_or_else(|| bad("auth", &auth))?,
            agent_id: row.try_get("agent_id")?,
            channel: row.try_get("channel")?,
            recipient: row.try_get("recipient")?,
            thread_id: row.try_get("thread_id")?,
            text_template: row.try_get("text_template")?,
            fields: serde_json::from_str(row.try_get("fields")?)?,
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
