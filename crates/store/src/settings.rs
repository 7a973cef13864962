//! What a user has set.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use claw_types::{UserId, heartbeat};
use serde_json::json;
use sqlx::Row as _;

use crate::{Actor, Change, Error, Result, Store, Tenant, timers};

/// A user's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// Seconds between heartbeats; `None` for the default.
    pub heartbeat_secs: Option<u32>,
    /// The next heartbeat, by the database's clock.
    pub next_heartbeat_at: DateTime<Utc>,
}

impl UserSettings {
    fn new(user: &UserId, heartbeat_secs: Option<i32>, now: DateTime<Utc>) -> Result<Self> {
        let read = |secs: i32| {
            u32::try_from(secs).map_err(|_| Error::BadRow {
                table: "user_settings",
                id: user.to_string(),
                column: "heartbeat_secs",
                value: secs.to_string(),
            })
        };
        let heartbeat_secs = heartbeat_secs.map(read).transpose()?;
        let every = heartbeat_secs.unwrap_or(heartbeat::DEFAULT_SECS);
        Ok(Self { heartbeat_secs, next_heartbeat_at: heartbeat::next(user, every, now) })
    }
}

impl Store {
    /// A user's settings; those of a user who never set any are the defaults.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings_of(&self, user: &UserId) -> Result<UserSettings> {
        let (secs, now): (Option<i32>, DateTime<Utc>) = sqlx::query_as(
            "select s.heartbeat_secs, now() from (select) one left join user_settings s on s.user_id = $1",
        )
        .bind(user.as_str())
        .fetch_one(self.tenant(user).await?.conn())
        .await?;
        UserSettings::new(user, secs, now)
    }

    /// [`Store::settings_of`] each of these users, in one look; only for our own roles.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings_of_each(&self, users: HashSet<UserId>) -> Result<HashMap<UserId, UserSettings>> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let users: Vec<UserId> = users.into_iter().collect();
        let rows = sqlx::query(
            "select i.n, s.heartbeat_secs, now() as now
             from unnest($1::text[]) with ordinality i (user_id, n)
             left join user_settings s on s.user_id = i.user_id
             order by i.n",
        )
        .bind(users.iter().map(UserId::as_str).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        let each = users.into_iter().zip(&rows).map(|(user, row)| {
            let settings = UserSettings::new(&user, row.try_get("heartbeat_secs")?, row.try_get("now")?)?;
            Ok((user, settings))
        });
        each.collect()
    }

    /// Sets them. What waits for the user's heartbeat now waits for the new one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings_save(
        &self,
        user: &UserId,
        heartbeat_secs: Option<u32>,
        actor: &Actor,
    ) -> Result<UserSettings> {
        let mut tenant = self.tenant(user).await?;
        let (secs, now): (Option<i32>, DateTime<Utc>) = sqlx::query_as(
            "insert into user_settings (user_id, heartbeat_secs) values ($1, $2)
             on conflict (user_id) do update set heartbeat_secs = $2, updated_at = now()
             returning heartbeat_secs, clock_timestamp()",
        )
        .bind(user.as_str())
        .bind(heartbeat_secs.map(|secs| i32::try_from(secs).unwrap_or(i32::MAX)))
        .fetch_one(tenant.conn())
        .await?;
        let settings = UserSettings::new(user, secs, now)?;
        timers::move_wakes(&mut tenant, settings.next_heartbeat_at).await?;
        let detail = json!({"heartbeat_every_secs": heartbeat_secs});
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
        let (secs, now): (Option<i32>, DateTime<Utc>) = sqlx::query_as(
            "select heartbeat_secs, clock_timestamp() from user_settings where user_id = $1 for share",
        )
        .bind(user.as_str())
        .fetch_one(self.conn())
        .await?;
        UserSettings::new(&user, secs, now)
    }
}
