//! What a user has set.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use claw_schedule::ActiveHours;
use claw_types::preferences::{Beat, ChatRef, Hours};
use claw_types::{UserId, heartbeat};
use serde::de::DeserializeOwned;
use serde_json::json;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::{Actor, Change, Error, Result, Store, Tenant, heartbeats, timers};

/// All that a user can set. What is `None` is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Seconds between heartbeats.
    pub heartbeat_secs: Option<u32>,
    /// After how many failures of a job in a row its owner is told; 0 for never.
    pub alert_after: Option<u32>,
    /// After how many it is paused; 0 for never.
    pub pause_after: Option<u32>,
    /// Where the owner is told; by default nowhere.
    pub alerts: Option<ChatRef>,
    /// When heartbeats may be; by default always.
    pub active_hours: Option<Hours>,
    /// What the agent is told at each heartbeat; by default nothing but what waits for it.
    pub heartbeat: Option<Beat>,
}

/// A user's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// What was set.
    pub set: Preferences,
    /// The next heartbeat, by the database's clock.
    pub next_heartbeat_at: DateTime<Utc>,
}

/// The columns of [`Preferences`], of `user_settings s`.
pub(crate) const COLUMNS: &str = "s.heartbeat_secs, s.alert_after, s.pause_after, s.alerts::text as alerts, \
     s.active_hours::text as active_hours, s.heartbeat::text as heartbeat";

impl UserSettings {
    fn of(user: &UserId, row: &PgRow) -> Result<Self> {
        let set = Preferences::read(user, row)?;
        let next_heartbeat_at = set.next_heartbeat(user, row.try_get("now")?)?;
        Ok(Self { set, next_heartbeat_at })
    }
}

impl Preferences {
    /// The user's first heartbeat after `now`: for all who ask for it, the same one.
    ///
    /// # Errors
    /// [`Error::BadRow`] when this version can't read the hours.
    pub fn next_heartbeat(&self, user: &UserId, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
        let every = self.heartbeat_secs.unwrap_or(heartbeat::DEFAULT_SECS);
        let beat = |now| heartbeat::next(user, every, now);
        Ok(self.active(user)?.map_or_else(|| beat(now), |hours| hours.first_beat(now, beat)))
    }

    /// The hours in which heartbeats may be; `None` for always.
    ///
    /// # Errors
    /// [`Error::BadRow`] when this version can't read them.
    pub fn active(&self, user: &UserId) -> Result<Option<ActiveHours>> {
        let read = |hours: &Hours| {
            let read = ActiveHours::new(&hours.from, &hours.to, &hours.tz, hours.days.as_deref());
            read.map_err(|why| bad(user, "active_hours", why.to_string()))
        };
        self.active_hours.as_ref().map(read).transpose()
    }

    pub(crate) fn read(user: &UserId, row: &PgRow) -> Result<Self> {
        Ok(Self {
            heartbeat_secs: number(user, row, "heartbeat_secs")?,
            alert_after: number(user, row, "alert_after")?,
            pause_after: number(user, row, "pause_after")?,
            alerts: object(user, row, "alerts")?,
            active_hours: object(user, row, "active_hours")?,
            heartbeat: object(user, row, "heartbeat")?,
        })
    }
}

impl Store {
    /// A user's settings; those of a user who never set any are the defaults.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings_of(&self, user: &UserId) -> Result<UserSettings> {
        let sql = format!(
            "select {COLUMNS}, now() as now from (select) one left join user_settings s on s.user_id = $1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .fetch_one(self.tenant(user).await?.conn())
            .await?;
        UserSettings::of(user, &row)
    }

    /// [`Store::settings_of`] each of these users, in one look; only for our own roles. What this version can't read of one
    /// user is that user's matter.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings_of_each(
        &self,
        users: HashSet<UserId>,
    ) -> Result<HashMap<UserId, Result<UserSettings>>> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let users: Vec<UserId> = users.into_iter().collect();
        let sql = format!(
            "select {COLUMNS}, now() as now
             from unnest($1::text[]) with ordinality i (id, n)
             left join user_settings s on s.user_id = i.id
             order by i.n"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(users.iter().map(UserId::as_str).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        let each = users.into_iter().zip(&rows).map(|(user, row)| {
            let settings = UserSettings::of(&user, row);
            (user, settings)
        });
        Ok(each.collect())
    }

    /// Replaces them. What waits for the user's heartbeat now waits for the new one, as does the heartbeat that comes by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings_save(
        &self,
        user: &UserId,
        set: &Preferences,
        actor: &Actor,
    ) -> Result<UserSettings> {
        let mut tenant = self.tenant(user).await?;
        let sql = format!(
            "insert into user_settings as s
                 (user_id, heartbeat_secs, alert_after, pause_after, alerts, active_hours, heartbeat)
             values ($1, $2, $3, $4, $5::json, $6::json, $7::json)
             on conflict (user_id) do update set heartbeat_secs = $2, alert_after = $3, pause_after = $4, alerts = $5::json,
                 active_hours = $6::json, heartbeat = $7::json, updated_at = now()
             returning {COLUMNS}, clock_timestamp() as now"
        );
        let int = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(int(set.heartbeat_secs))
            .bind(int(set.alert_after))
            .bind(int(set.pause_after))
            .bind(set.alerts.as_ref().map(serde_json::to_string).transpose()?)
            .bind(set.active_hours.as_ref().map(serde_json::to_string).transpose()?)
            .bind(set.heartbeat.as_ref().map(serde_json::to_string).transpose()?)
            .fetch_one(tenant.conn())
            .await?;
        let settings = UserSettings::of(user, &row)?;
        timers::move_wakes(&mut tenant, settings.next_heartbeat_at).await?;
        let beats = set.heartbeat.is_some().then_some(settings.next_heartbeat_at);
        heartbeats::arm(&mut tenant, beats).await?;
        let mut detail = json!({
            "heartbeat_every_secs": set.heartbeat_secs, "alert_after": set.alert_after, "pause_after": set.pause_after,
            "alerts": set.alerts, "active_hours": set.active_hours, "heartbeat": set.heartbeat.is_some().then_some(true),
        });
        if let Some(detail) = detail.as_object_mut() {
            detail.retain(|_, value| !value.is_null());
        }
        let change = Change { action: "settings.changed", subject: user.as_str(), detail };
        tenant.audit(actor, &change).await?;
        tenant.commit().await?;
        Ok(settings)
    }
}

impl Tenant {
    /// The user's settings, which stay as they are until this transaction ends.
    pub(crate) async fn settings_hold(&mut self) -> Result<UserSettings> {
        let user = self.user().clone();
        // There must be a row to hold.
        sqlx::query("insert into user_settings (user_id) values ($1) on conflict do nothing")
            .bind(user.as_str())
            .execute(self.conn())
            .await?;
        let sql = format!(
            "select {COLUMNS}, clock_timestamp() as now from user_settings s where s.user_id = $1 for share"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(user.as_str()).fetch_one(self.conn()).await?;
        UserSettings::of(&user, &row)
    }
}

fn number(user: &UserId, row: &PgRow, column: &'static str) -> Result<Option<u32>> {
    let stored: Option<i32> = row.try_get(column)?;
    let read = |number: i32| u32::try_from(number).map_err(|_| bad(user, column, number.to_string()));
    stored.map(read).transpose()
}

fn object<T: DeserializeOwned>(user: &UserId, row: &PgRow, column: &'static str) -> Result<Option<T>> {
    let stored: Option<String> = row.try_get(column)?;
    let read = |text: String| serde_json::from_str(&text).map_err(|_| bad(user, column, text));
    stored.map(read).transpose()
}

fn bad(user: &UserId, column: &'static str, value: String) -> Error {
    Error::BadRow { table: "user_settings", id: user.to_string(), column, value }
}
