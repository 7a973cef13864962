//! Jobs made, changed, switched and deleted.
//!
//! Scheduled times are computed here, in the transaction that stores them and by the database's clock: gateways' clocks
//! may disagree, and a job must neither skip its first time nor have it twice because of that. Must hold: `next_due_at`
//! is null or a time that the stored schedule has, and null for whatever is switched off. A time that has come stays until its
//! run begins, whatever else of the job is changed: jitter, an earlier run or a failover may hold it up.

use chrono::{DateTime, Utc};
use claw_runtime::Random;
use claw_schedule::Schedule;
use claw_types::{Action, UserId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::rows::{COLUMNS, find, job};
use super::{JOBS, Job, SaveJob};
use crate::due::{bounds, check_jitter, jitter_ms, next_due};
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
        check_jitter(&save.plan, &save.options, now)?;
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

    /// Replaces everything of a job. One whose schedule and bounds mean the same keeps its next time, even if that has come
    /// already.
    ///
    /// What is as it was is not checked again: the client writes whole jobs back, and must be able to rename one whose
    /// channel or whose time is gone.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Schedule`] when it has a new schedule, or is switched on, and would never run, or when its
    /// jitter is new and too long; [`Error::NoTarget`] and [`Error::ManyTargets`] when it names another channel, which is not
    /// clear. Then nothing was changed.
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
        let times = times(&mut tenant, &before, save).await?;
        let named = Action::read(&before.action).ok();
        if let Some(channel) = save.does.channel()
            && named.as_ref().and_then(Action::channel) != Some(channel)
        {
            target(&mut tenant, channel).await?;
        }
        // Who switches it on has seen why it was switched off.
        let sql = format!(
            "update cron_jobs set failures = case when $3 and not enabled then 0 else failures end,
                 paused = case when $3 then null else paused end, over = case when $18 then over end,
                 name = $1, label = $2, enabled = $3, schedule = $4::json, schedule_type = $5, action = $6::json,
                 action_type = $7, one_shot = $8, channel_type = $9::json, metadata = $10::json, options = $11::json,
                 jitter_ms = case when $17 then jitter_ms else $12 end, anchor_at = $13, next_due_at = $14, runs = $15,
                 updated_at = clock_timestamp()
             where id = $16 returning {COLUMNS}"
        );
        let row = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), save, times.enabled, random)?
            .bind(times.anchor)
            .bind(times.due)
            .bind(i64::try_from(times.runs).unwrap_or(i64::MAX))
            .bind(id)
            .bind(times.drawn)
            .bind(times.stays_over)
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
        let now = clock(&mut tenant).await?;
        let plan = before.plan()?;
        if enabled {
            bounds(&before.options).check(&plan, now, before.runs)?;
        }
        let next = || next_due(&plan, &before.options, now, before.anchor_at, before.runs);
        // Who switches it on again has seen why it was switched off.
        let sql = format!(
            "update cron_jobs set enabled = $2, next_due_at = $3, jitter_ms = $4, updated_at = clock_timestamp(),
                 failures = case when $2 then 0 else failures end, paused = case when $2 then null else paused end, over = null
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

/// When a job that is replaced runs from now on.
struct Times {
    enabled: bool,
    anchor: DateTime<Utc>,
    runs: u64,
    due: Option<DateTime<Utc>>,
    /// Whether the jitter of `due` was drawn already, or an earlier run has put it off.
    drawn: bool,
    /// Whether it has no further time still, if it had none.
    stays_over: bool,
}

/// Of a job whose row is locked.
async fn times(tenant: &mut Tenant, before: &Job, save: &SaveJob) -> Result<Times> {
    let now = clock(tenant).await?;
    // By its meaning: clients write "tz": null for what was absent, and times in other words.
    let unchanged = before.plan().ok().as_ref() == Some(&save.plan);
    if !unchanged {
        save.keeps_limits()?;
    }
    let enabled = match save.enabled {
        Some(said) => said,
        None => before.enabled || (!unchanged && is_over(tenant, before).await?),
    };
    // Another schedule begins anew.
    let (anchor, runs) = if unchanged { (before.anchor_at, before.runs) } else { (now, 0) };
    let window = bounds(&save.options);
    let as_before = unchanged && window == bounds(&before.options);
    if !as_before || (enabled && !before.enabled) {
        window.check(&save.plan, now, runs)?;
    }
    let jitter = save.options.jitter_secs == before.options.jitter_secs;
    if !unchanged || !jitter {
        check_jitter(&save.plan, &save.options, now)?;
    }
    // Were it computed anew, a time that has come and still waits for its run would never have one.
    let kept = as_before && enabled && before.enabled;
    let due = if kept {
        before.next_due_at
    } else {
        enabled.then(|| next_due(&save.plan, &save.options, now, anchor, runs)).flatten()
    };
    Ok(Times { enabled, anchor, runs, due, drawn: kept && jitter, stays_over: as_before && !enabled })
}

/// Whether a job is off because it has no further time, and by nobody's will.
async fn is_over(tenant: &mut Tenant, job: &Job) -> Result<bool> {
    Ok(job.over.is_some() || seems_over(tenant, job).await?)
}

/// The same of a job of which nobody noted it: a leader of the version before ended it. One that never had a run can't be told from one
/// that somebody switched off.
async fn seems_over(tenant: &mut Tenant, job: &Job) -> Result<bool> {
    if job.enabled || job.paused.is_some() || job.runs == 0 {
        return Ok(false);
    }
    let spent = job.options.max_runs.is_some_and(|most| job.runs >= u64::from(most));
    if spent || job.schedule_type == "at" {
        return Ok(true);
    }
    if !job.one_shot {
        return Ok(false);
    }
    // One that repeats may have been switched on again after its run, and then off: that changed it.
    let since = "select exists (select 1 from cron_runs where user_id = $1 and job_id = $2
                                and scheduled_for is not null and started_at >= $3)";
    let user = tenant.user().clone();
    let ran = sqlx::query_scalar(since).bind(user.as_str()).bind(job.id).bind(job.updated_at);
    Ok(ran.fetch_one(tenant.conn()).await?)
}

/// The transaction's time.
async fn now(tenant: &mut Tenant) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("select now()").fetch_one(tenant.conn()).await?)
}

/// The time by now: a transaction may have waited for the job's row, whose times have come meanwhile.
async fn clock(tenant: &mut Tenant) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("select clock_timestamp()").fetch_one(tenant.conn()).await?)
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
