//! What can go wrong with the database.

/// A failed query or a refused state of affairs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer or refused.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A migration could not be applied.
    #[error("migrating the database failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema is older than this binary.
    #[error("the database lacks migration {0}: run `ii-claw migrate` with this version first")]
    SchemaBehind(i64),
    /// The schema is newer than this binary.
    #[error(
        "the database has migration {0}, which this version does not know and can't run beside: run the newer version of ii-claw"
    )]
    SchemaAhead(i64),
    /// The cluster was created with another number of shards.
    #[error(
        "this cluster was created with {stored} shards but II_CLAW_SHARDS says {given}: unset it or set it to {stored}"
    )]
    ShardCount {
        /// In the database.
        stored: i32,
        /// In the settings.
        given: u16,
    },
    /// No cluster in this database yet.
    #[error("the database holds no ii-claw cluster: run `ii-claw migrate` first")]
    NoCluster,
    /// A connection that should lead to Postgres itself leads to a pooler.
    #[error(
        "there is a connection pooler before the database ({0}): set II_CLAW_DATABASE_POOLER=transaction, and \
         II_CLAW_LEASE_DATABASE_URL to an address of the same database without it"
    )]
    UnknownPooler(String),
    /// Somebody works with what is to be changed.
    #[error("the cluster is running: {0}: stop every gateway, worker and scheduler first")]
    Running(String),
    /// Something that takes a session of its own was asked of a pooler.
    #[error("this can't be done through a connection pooler: connect to the database itself")]
    NeedsSession,
    /// Another live process has this name.
    #[error("another process named {0:?} is connected: give this one another II_CLAW_NAME")]
    NameTaken(String),
    /// The credential is used by another channel.
    #[error(
        "the credential is in use by {0}: a platform delivers each update to one connection only, so use another one or delete that channel"
    )]
    CredentialInUse(String),
    /// Somebody else changed the row in between.
    #[error("the channel was changed by another request at the same moment: try again")]
    Conflict,
    /// The idempotency key came with another body before.
    #[error("this Idempotency-Key was used with another body: use a new key for a new request")]
    KeyReused,
    /// There is no such row of this tenant's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// There is no room for another one.
    #[error("there are {limit} {what} already, the most that a user may have: delete some first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: i64,
    },
    /// A schedule that has no time to come.
    #[error(transparent)]
    Schedule(#[from] claw_schedule::ScheduleError),
    /// A job names a channel that is not there.
    #[error("the user has no channel {0:?}: name one by its instance_name_id")]
    NoTarget(String),
    /// A job names a type of channel, of which there are several.
    #[error(
        "the user has several channels of type {channel_type:?}, such as {one:?} and {two:?}: name one of them"
    )]
    ManyTargets {
        /// The type.
        channel_type: String,
        /// One of them.
        one: String,
        /// Another one.
        two: String,
    },
    /// Nothing new is made for a user whose data is being removed.
    #[error(
        "this user's data is being removed: wait until GET /api/users/{{user}}/erasure says that it is complete"
    )]
    BeingErased,
    /// There is no such channel.
    #[error("there is no such channel")]
    NoChannel,
    /// A row that this version can't read.
    #[error("{table} row {id}: column {column} holds {value:?}, which this version does not understand")]
    BadRow {
        /// Which table.
        table: &'static str,
        /// Which row.
        id: String,
        /// Which column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
    /// A group commit did not happen.
    #[error("the write was not committed: {0}")]
    NotCommitted(String),
    /// A channel's secrets can't be sealed or opened.
    #[error("the channel's secrets can't be used")]
    Secrets(#[from] claw_secrets::SealError),
    /// A value that is not JSON after all.
    #[error("a stored value is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Whether what was asked may have been done all the same: the connection ended, or was given up, before the answer came.
    pub(crate) fn may_be_committed(&self) -> bool {
        // 57P: the server ended the connection (57014 undoes the statement).
        self.may_be_under_way() || self.has_code("57P")
    }

    /// Whether the server may not even know that nobody waits for its answer any more.
    pub(crate) fn may_be_under_way(&self) -> bool {
        // 08: the connection, as a pooler tells of it.
        matches!(self, Self::Database(sqlx::Error::Io(_) | sqlx::Error::Protocol(_))) || self.has_code("08")
    }

    /// Whether it is there already.
    pub(crate) fn is_taken(&self) -> bool {
        self.has_code("23505")
    }

    fn has_code(&self, begins: &str) -> bool {
        let Self::Database(sqlx::Error::Database(refused)) = self else { return false };
        refused.code().is_some_and(|code| code.starts_with(begins))
    }
}

impl claw_runtime::FlushError for Error {
    /// What the server itself said about the statement, unless it was stopping or had no time or room (classes 53, 57).
    fn may_be_one_item(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(refused)) => {
                !refused.code().is_some_and(|code| code.starts_with("53") || code.starts_with("57"))
            }
            Self::Database(_) | Self::NotCommitted(_) => false,
            _ => true,
        }
    }
}

impl From<claw_runtime::BatchError<Error>> for Error {
    fn from(error: claw_runtime::BatchError<Error>) -> Self {
        match error {
            claw_runtime::BatchError::Flush(source) => Self::NotCommitted(chain(&*source)),
            claw_runtime::BatchError::Stopped => Self::NotCommitted("the process is stopping".to_owned()),
        }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}

/// Longest reason that is kept, in characters.
const REASON_LIMIT: usize = 1_000;

/// Why something failed, as it is stored: it may quote a platform, and PostgreSQL's text can't hold NUL.
pub(crate) fn reason(text: &str) -> String {
    let kept = text.chars().filter(|c| *c != '\0').take(REASON_LIMIT);
    kept.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
