//! Which channel a job means.

use claw_types::UserId;

use crate::channels::{COLUMNS, channel};
use crate::{Channel, Error, Result, Store, Tenant};

impl Store {
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
    // No stored name has a control character, and PostgreSQL refuses NUL.
    if name.chars().any(char::is_control) {
        return Err(Error::NoTarget(name.to_owned()));
    }
    let sql = format!(
        "select {COLUMNS} from channels c
         where c.user_id = $1 and c.deleted_at is null and (c.instance = $2 or c.channel_type = $2)
         order by c.instance = $2 desc, c.created_at limit 2"
    );
    let user = tenant.user().clone();
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(user.as_str()).bind(name).fetch_all(tenant.conn()).await?;
    let first = channel(rows.first().ok_or_else(|| Error::NoTarget(name.to_owned()))?)?;
    if first.instance.as_str() != name
        && let Some(second) = rows.get(1)
    {
        let (one, two) = (first.instance.to_string(), channel(second)?.instance.to_string());
        return Err(Error::ManyTargets { channel_type: name.to_owned(), one, two });
    }
    Ok(first)
}
