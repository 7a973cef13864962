//! Which channel a job means.

use claw_types::UserId;

use crate::channels::{COLUMNS, channel};
use crate::{Channel, Error, Result, Store};

impl Store {
    /// The user's channel of this name; or the only one of this type, as older jobs name it.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::ManyTargets`].
    pub async fn channel_named(&self, user: &UserId, name: &str) -> Result<Channel> {
        let sql = format!(
            "select {COLUMNS} from channels c
             where c.user_id = $1 and c.deleted_at is null and (c.instance = $2 or c.channel_type = $2)
             order by c.instance = $2 desc, c.created_at limit 1000"
        );
        // No stored name has a control character, and PostgreSQL refuses NUL.
        if name.chars().any(char::is_control) {
            return Err(Error::NoTarget(name.to_owned()));
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(name)
            .fetch_all(self.tenant(user).await?.conn())
            .await?;
        let found = rows.iter().map(channel).collect::<Result<Vec<_>>>()?;
        let count = found.len();
        match found.into_iter().next() {
            None => Err(Error::NoTarget(name.to_owned())),
            Some(first) if first.instance.as_str() != name && count > 1 => {
                Err(Error::ManyTargets { channel_type: name.to_owned(), count })
            }
            Some(first) => Ok(first),
        }
    }
}
