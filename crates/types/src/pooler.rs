//! What may stand between a process and Postgres.

/// A connection pooler before the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// None: a connection is a session of Postgres.
    #[default]
    None,
    /// One like PgBouncer with `pool_mode = transaction`: each transaction may run in another session, which others
    /// have before and after.
    Transaction,
}
