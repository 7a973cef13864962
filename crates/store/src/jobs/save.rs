//! Jobs made, changed, switched and deleted.
//!
//! Scheduled times are computed here, in the transaction that stores them and by the database's clock: gateways' clocks
//! may disagree, and a job must neither skip its first time nor have it twice because of that. Must hold: `next_due_at`
//! is null or a time that the stored schedule has, and null for whatever is switched off.

use chrono::{DateTime, Utc};
use claw_runtime::Random;
use claw_schedule::Schedule;
use claw_types::{Action, UserId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::rows::{COLUMNS, find, job};
use super::{JOBS, Job, SaveJob};
use crate::due::{bounds, jitter_ms, next_due};
use crate::targets::target;
use crate::{Actor, Change, Error, Result, Store, Tenant};

impl Store {
    /// Makes a job. `idempotency` is the caller's key and the digest of the body; answers the job that was made under it
    /// before, if any, and whether it is new.
    ///
    /// # Errors
    /// [`Error::Schedule`] when it would never run, [`Error::NoTarget`] and [`Error::ManyTargets`] when its channel is
    /// not clear, [`Error::TooMany`], [`Error::KeyReused`], [`Error::NotFound`] when the job made under the key was
    /// deleted since; then nothing was stored.
    pub async fn job_create(
        &self,
        user: &UserId,
        id: Uuid,
        save: &SaveJob,
        actor: &Actor,
        random: &dyn Random,
        idempotency: Option<(&str, [u8; 32])>,
    ) -> Result<(Job, bool)> {
        let mut tenant = self.tenant(user).await?;
        if let Some((key, digest)) = idempotency
            && let Some(before) = tenant.once("job", key, digest, id).await?
        {
            return Ok((find(&mut tenant, before, false).await?, false));
        }
        tenant.room("cron_jobs", "jobs", JOBS).await?;
        let now = now(&mut tenant).await?;
        save.keeps_limits()?;
        bounds(&save.options).check(&save.plan, now, 0)?;
        if let Some(channel) = save.does.channel() {
            target(&mut tenant, channel).await?;
        }
        let enabled = save.enabled.unwrap_or(true);
        let due = enabled.then(|| next_due(&save.plan, &save.options, now, now, 0)).flatten();
        let sql = format!(
            "insert into cron_jobs (name, label, enabled, schedule, schedule_type, action, action_type, one_shot,
                 channel_type, metadata, options, jitter_ms, anchor_at, next_due_at, id, user_id)
             values ($1, $2, $3, $4::json, $5, $6::json, $7, $8, $9::json, $10::json, $11::json, $12, $13, $14, $15, $16)
             returning {COLUMNS}"
        );
        let row = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), save, enabled, random)?
            .bind(now)
            .bind(due)
            .bind(id)
            .bind(user.as_str())
            .fetch_one(tenant.conn())
            .await?;
        let made = job(&row)?;
        note(&mut tenant, actor, "job.created", &made).await?;
        tenant.commit().await?;
        Ok((made, true))
    }

    /// Whether a job was made under this key by the same call before.
    ///
    /// # Errors
    /// [`Error::KeyReused`], or when the database fails.
    pub async fn job_was_made(&self, user: &UserId, key: &str, digest: [u8; 32]) -> Result<bool> {
        Ok(self.tenant(user).await?.made_before("job", key, digest).await?.is_some())
    }

    /// Replaces everything of a job. The intervals of an unchanged `every` go on as they were.
    ///
    /// What is as it was is not checked again: the client writes whole jobs back, and must be able to rename one whose
    /// channel or whose time is gone.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Schedule`] when it has a new schedule, or is switched on, and would never run;
    /// [`Error::NoTarget`] and [`Error::ManyTargets`] when it names another channel, which is not clear. Then nothing was
    /// changed.
    pub async fn job_replace(
        &self,
        user: &UserId,
        id: Uuid,
        save: &SaveJob,
        actor: &Actor,
        random: &dyn Random,
    ) -> Result<Job> {
        let mut tenant = self.tenant(user).await?;
        let before = find(&mut tenant, id, true).await?;
        let now = now(&mut tenant).await?;
        let enabled = save.enabled.unwrap_or(before.enabled);
        let unchanged = before.schedule == save.schedule;
        if !unchanged {
            save.keeps_limits()?;
        }
        // Another schedule begins anew.
        let (anchor, runs) = if unchanged { (before.anchor_at, before.runs) } else { (now, 0) };
        let window = bounds(&save.options);
        if !unchanged || window != bounds(&before.options) || (enabled && !before.enabled) {
            window.check(&save.plan, now, runs)?;
        }
        let named = Action::read(&before.action).ok();
        if let Some(channel) = save.does.channel()
            && named.as_ref().and_then(Action::channel) != Some(channel)
        {
            target(&mut tenant, channel).await?;
        }
        let due = enabled.then(|| next_due(&save.plan, &save.options, now, anchor, runs)).flatten();
        // Who switches it on has seen why it was switched off.
        let sql = format!(
            "update cron_jobs set failures = case when $3 and not enabled then 0 else failures end,
                 paused = case when $3 then null else paused end,
                 name = $1, label = $2, enabled = $3, schedule = $4::json, schedule_type = $5, action = $6::json,
                 action_type = $7, one_shot = $8, channel_type = $9::json, metadata = $10::json, options = $11::json,
                 jitter_ms = $12, anchor_at = $13, next_due_at = $14, runs = $15, updated_at = now()
             where id = $16 returning {COLUMNS}"
        );
        let row = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), save, enabled, random)?
            .bind(anchor)
            .bind(due)
            .bind(i64::try_from(runs).unwrap_or(i64::MAX))
            .bind(id)
            .fetch_one(tenant.conn())
            .await?;
        let changed = job(&row)?;
        note(&mut tenant, actor, "job.changed", &changed).await?;
        tenant.commit().await?;
        Ok(changed)
    }

    /// Switches a job on or off. Times that passed while it was off are not made up for.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Schedule`] when it would never run again. Then nothing was changed.
    pub async fn job_enable(
        &self,
        user: &UserId,
        id: Uuid,
        enabled: bool,
        actor: &Actor,
        random: &dyn Random,
    ) -> Result<Job> {
        let mut tenant = self.tenant(user).await?;
        let before = find(&mut tenant, id, true).await?;
        if before.enabled == enabled {
            return Ok(before);
        }
        let now = now(&mut tenant).await?;
        let plan = before.plan()?;
        if enabled {
            bounds(&before.options).check(&plan, now, before.runs)?;
        }
        let next = || next_due(&plan, &before.options, now, before.anchor_at, before.runs);
        // Who switches it on again has seen why it was switched off.
        let sql = format!(
            "update cron_jobs set enabled = $2, next_due_at = $3, jitter_ms = $4, updated_at = now(),
                 failures = case when $2 then 0 else failures end, paused = case when $2 then null else paused end
             where id = $1 returning {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(enabled)
            .bind(enabled.then(next).flatten())
            .bind(jitter_ms(&before.options, random))
            .fetch_one(tenant.conn())
            .await?;
        let changed = job(&row)?;
        note(&mut tenant, actor, "job.changed", &changed).await?;
        tenant.commit().await?;
        Ok(changed)
    }

    /// Deletes a job; its runs stay known.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn job_delete(&self, user: &UserId, id: Uuid, actor: &Actor) -> Result<Job> {
        let mut tenant = self.tenant(user).await?;
        let sql = format!("delete from cron_jobs where id = $1 and user_id = $2 returning {COLUMNS}");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(user.as_str())
            .fetch_optional(tenant.conn())
            .await?;
        let gone = job(&row.ok_or(Error::NotFound("job"))?)?;
        note(&mut tenant, actor, "job.deleted", &gone).await?;
        tenant.commit().await?;
        Ok(gone)
    }
}

/// The transaction's time.
async fn now(tenant: &mut Tenant) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("select now()").fetch_one(tenant.conn()).await?)
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// The first twelve values of an insert and of an update.
fn bind<'q>(query: Query<'q>, save: &SaveJob, enabled: bool, random: &dyn Random) -> Result<Query<'q>> {
    let json = |map: &Option<Map<String, Value>>| map.as_ref().map(serde_json::to_string).transpose();
    let once = save.one_shot || matches!(save.plan, Schedule::At { .. });
    Ok(query
        .bind(save.name.clone())
        .bind(save.label.clone())
        .bind(enabled)
        .bind(serde_json::to_string(&save.schedule)?)
        .bind(save.plan.schedule_type())
        .bind(serde_json::to_string(&save.action)?)
        .bind(save.does.action_type().as_str())
        .bind(once)
        .bind(json(&save.channel_type)?)
        .bind(json(&save.metadata)?)
        .bind(serde_json::to_string(&save.options)?)
        .bind(jitter_ms(&save.options, random)))
}

async fn note(tenant: &mut Tenant, actor: &Actor, action: &'static str, job: &Job) -> Result<()> {
    let detail = json!({"name": job.name, "schedule": job.schedule, "action_type": job.action_type,
                        "enabled": job.enabled});
    tenant.audit(actor, &Change { action, subject: &job.id.to_string(), detail }).await
}
