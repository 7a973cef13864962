//! Indexes of what is over, for installations that were too large for migration 0024 to build them while everybody waits.
//!
//! Each partition's is built beside the traffic, and then all take the place of the old ones in one short transaction: an
//! index of the whole table adopts those of its partitions that are like it. Cut off anywhere, it is done again from the start,
//! and what is built already stays.

use sqlx::postgres::PgConnection;

use crate::schema::MIGRATING;
use crate::{Error, Result, Store};

/// Their names and what they are on; of `messages` itself as migration 0024 has them.
const OVER: [(&str, &str); 2] = [
    ("messages_user", "(user_id, accepted_at desc, seq desc) where finished_at is not null"),
    ("messages_conversation", "(channel_id, conversation, seq) where finished_at is not null"),
];

/// One of these indexes of one partition.
struct Part {
    partition: String,
    index: String,
    on: &'static str,
}

impl Store {
    /// Has the indexes of lists leave out what is pending, if they don't yet; tells whether there was anything to do. Messages go on
    /// meanwhile. It may take minutes, and as much room as the new indexes have.
    ///
    /// # Errors
    /// When the database fails, there is a pooler before it, or somebody holds the table for ten seconds: try again.
    pub async fn indexes_of_what_is_over(&self) -> Result<bool> {
        let mut conn = self.pool.sessions().ok_or(Error::NeedsSession)?.acquire().await?;
        sqlx::raw_sql("set statement_timeout = 0; set lock_timeout = '10s'; reset role")
            .execute(&mut *conn)
            .await?;
        // Not beside a migration, nor beside another one of this.
        sqlx::query("select pg_advisory_lock($1)").bind(MIGRATING).execute(&mut *conn).await?;
        let done = replace(&mut conn).await;
        // Not back into the pool with its time-out off; the lock ends with it.
        drop(conn.detach());
        done
    }
}

async fn replace(conn: &mut PgConnection) -> Result<bool> {
    let partial: i64 = sqlx::query_scalar(
        "select count(*) from pg_index where indexrelid = any ($1::regclass[]) and indpred is not null",
    )
    .bind(OVER.map(|(name, _)| name).as_slice())
    .fetch_one(&mut *conn)
    .await?;
    if usize::try_from(partial).is_ok_and(|found| found == OVER.len()) {
        return Ok(false);
    }
    for part in parts(conn).await? {
        build(conn, &part).await?;
    }
    let swap = OVER.map(|(name, on)| format!("drop index {name}; create index {name} on messages {on};"));
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("begin; {} commit", swap.join(" ")))).execute(conn).await?;
    Ok(true)
}

async fn parts(conn: &mut PgConnection) -> Result<Vec<Part>> {
    let partitions: Vec<String> = sqlx::query_scalar(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'messages'::regclass",
    )
    .fetch_all(conn)
    .await?;
    let part = |partition: &String, name: &str, on| Part {
        partition: partition.clone(),
        index: format!("{partition}_over_{}", name.trim_start_matches("messages_")),
        on,
    };
    Ok(partitions.iter().flat_map(|p| OVER.map(|(name, on)| part(p, name, on))).collect())
}

/// Builds an index without keeping anybody waiting. What was cut off leaves one behind that is not valid.
async fn build(conn: &mut PgConnection, part: &Part) -> Result<()> {
    let Part { partition, index, on } = part;
    let spoilt: bool = sqlx::query_scalar(
        "select exists (select 1 from pg_index where indexrelid = to_regclass($1) and not indisvalid)",
    )
    .bind(index)
    .fetch_one(&mut *conn)
    .await?;
    if spoilt {
        let drop = format!("drop index concurrently {index}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut *conn).await?;
    }
    let create = format!("create index concurrently if not exists {index} on {partition} {on}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn indexes(store: &Store) -> Vec<String> {
        let all = "select c.relname || ' ' || i.indisvalid || ' ' || (i.indpred is not null)
                   from pg_index i join pg_class c on c.oid = i.indexrelid
                   where i.indrelid in (select 'messages'::regclass union all
                                        select inhrelid from pg_inherits where inhparent = 'messages'::regclass)
                   order by 1";
        sqlx::query_scalar(all).fetch_all(&store.pool).await.unwrap()
    }

    /// A large installation, in which an earlier try was cut off.
    #[tokio::test]
    async fn old_indexes_are_replaced_and_what_was_built_is_adopted() {
        let db = claw_testkit::TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        assert!(!store.indexes_of_what_is_over().await.unwrap(), "a new database has them");
        let as_new = indexes(&store).await.len();
        let mut owner = db.connect().await;
        let old = "drop index messages_user; drop index messages_conversation;
                   create index messages_user on messages (user_id, accepted_at desc, seq desc);
                   create index messages_conversation on messages (channel_id, conversation, seq)";
        sqlx::raw_sql(old).execute(&mut owner).await.unwrap();
        let spoilt = "create index messages_default_over_user on messages_default (user_id, accepted_at desc, seq desc)
                          where finished_at is not null;
                      update pg_index set indisvalid = false where indexrelid = 'messages_default_over_user'::regclass";
        sqlx::raw_sql(spoilt).execute(&mut owner).await.unwrap();
        assert!(store.indexes_of_what_is_over().await.unwrap());
        let all = indexes(&store).await;
        for (name, valid) in [
            ("messages_user", "true true"),
            ("messages_conversation", "true true"),
            ("messages_initial_over_user", "true true"),
            ("messages_initial_over_conversation", "true true"),
            ("messages_default_over_user", "true true"),
        ] {
            assert!(all.contains(&format!("{name} {valid}")), "{name}: {all:#?}");
        }
        assert_eq!(all.len(), as_new, "adopted, not built again: {all:#?}");
        assert!(!store.indexes_of_what_is_over().await.unwrap(), "nothing is left to do");
    }
}
