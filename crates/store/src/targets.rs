//! Which channel a job means.

use std::collections::{HashMap, HashSet};

use claw_types::UserId;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::channels::{COLUMNS, channel};
use crate::{Channel, Error, Result, Store, Tenant};

/// A channel as a job names it: whose, and by which name.
pub type Target = (UserId, String);

/// Of a user's channels `c` those that a name may mean: the one of that name, or the first two of that type.
fn meant(user: &str, name: &str) -> String {
    format!(
        "from channels c
         where c.user_id = {user} and c.deleted_at is null and (c.instance = {name} or c.channel_type = {name})
         order by c.instance = {name} desc, c.created_at limit 2"
    )
}

impl Store {
    /// What [`Store::channel_named`] says of each of these, in one look; only for our own roles. A channel may be switched off.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_meant(&self, targets: HashSet<Target>) -> Result<HashMap<Target, Result<Channel>>> {
        if targets.is_empty() {
            return Ok(HashMap::new());
        }
        let (nameless, targets): (Vec<Target>, Vec<Target>) =
            targets.into_iter().partition(|(_, name)| unstorable(name));
        let sql = format!(
            "select {COLUMNS}, i.n
             from unnest($1::text[], $2::text[]) with ordinality i (user_id, name, n)
             cross join lateral (select c.* {}) c
             order by i.n, c.instance = i.name desc, c.created_at",
            meant("i.user_id", "i.name")
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(targets.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>())
            .bind(targets.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        let mut found: HashMap<i64, Vec<&PgRow>> = HashMap::with_capacity(targets.len());
        for row in &rows {
            found.entry(row.try_get("n")?).or_default().push(row);
        }
        let meant = (1..).zip(targets).map(|(n, target)| {
            let channel = the_one(&found.remove(&n).unwrap_or_default(), &target.1);
            (target, channel)
        });
        let nobody = nameless.into_iter().map(|target| {
            let none = Err(Error::NoTarget(target.1.clone()));
            (target, none)
        });
        Ok(meant.chain(nobody).collect())
    }

    /// The user's channel of this name; or the only one of this type, as older jobs name it.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::ManyTargets`].
    pub async fn channel_named(&self, user: &UserId, name: &str) -> Result<Channel> {
        target(&mut self.tenant(user).await?, name).await
    }
}

/// [`Store::channel_named`] within a transaction.
pub(crate) async fn target(tenant: &mut Tenant, name: &str) -> Result<Channel> {
    if unstorable(name) {
        return Err(Error::NoTarget(name.to_owned()));
    }
    let sql = format!("select {COLUMNS} {}", meant("$1", "$2"));
    let user = tenant.user().clone();
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(user.as_str()).bind(name).fetch_all(tenant.conn()).await?;
    the_one(&rows.iter().collect::<Vec<_>>(), name)
}

/// No stored name has a control character, and PostgreSQL refuses NUL.
fn unstorable(name: &str) -> bool {
    name.chars().any(char::is_control)
}

/// Of the rows that may be meant by a name the one that is.
fn the_one(rows: &[&PgRow], name: &str) -> Result<Channel> {
    let first = channel(rows.first().ok_or_else(|| Error::NoTarget(name.to_owned()))?)?;
    if first.instance.as_str() != name
        && let Some(second) = rows.get(1)
    {
        let (one, two) = (first.instance.to_string(), channel(second)?.instance.to_string());
        return Err(Error::ManyTargets { channel_type: name.to_owned(), one, two });
    }
    Ok(first)
}
