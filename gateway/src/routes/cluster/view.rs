//! The cluster as the API shows it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The cluster at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cluster {
    /// What tells this cluster from others.
    pub id: Uuid,
    /// The version of the gateway that answers.
    pub version: &'static str,
    /// The database's time, by which all others here are.
    pub time: DateTime<Utc>,
    pub schema: Schema,
    /// By role and name.
    pub members: Vec<Member>,
    pub shards: Shards,
    pub adapters: Adapters,
    /// The leading scheduler; null when nobody leads.
    pub leader: Option<Leader>,
    pub lag: Lag,
    /// Of the table of messages, the oldest first: those that there are, and the last three that were dropped.
    pub partitions: Vec<Partition>,
}

/// What the database's tables look like.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterSchema)]
pub struct Schema {
    /// The newest migration.
    pub version: i64,
    /// A program whose newest migration is older than this refuses to start.
    pub oldest: i64,
}

/// A process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterMember)]
pub struct Member {
    pub name: String,
    /// `worker`, `scheduler` or `gateway`.
    #[schema(example = "worker")]
    pub role: String,
    pub version: String,
    /// Where its RPC listens.
    pub rpc_address: String,
    pub started_at: DateTime<Utc>,
    /// Milliseconds since it was last heard of.
    pub heartbeat_age_ms: u64,
    /// Whether that is less than 6 s.
    pub live: bool,
    /// Whether it is on its way out, or was told to own nothing.
    pub draining: bool,
    /// A worker's share of the shards relative to the others.
    pub weight: f64,
    /// Shards that it owns.
    pub shards: u32,
    /// A worker's channels, working or not; null when it did not answer.
    pub channels: Option<u32>,
    /// Of those, the ones that do not work; null when it did not say.
    pub failed_channels: Option<u32>,
    /// A worker's backends that do not answer it, so that it posts nothing to them; null when it did not answer itself.
    pub away_backends: Option<Vec<AwayBackend>>,
    /// A gateway's open event streams.
    pub streams: Option<u32>,
    /// A gateway's open sockets of web chats.
    pub sockets: Option<u32>,
    /// Why it could not be asked; null when it answered, or is not alive and was not asked.
    pub unreachable: Option<String>,
}

/// A backend that does not answer a worker.
#[derive(Debug, Serialize, ToSchema)]
pub struct AwayBackend {
    /// Whose it is; null for the operator's.
    pub user_id: Option<String>,
    #[schema(example = "https://agent.example.org")]
    pub origin: String,
    /// For how long, in milliseconds.
    pub away_ms: u64,
    /// `open`: nothing is posted. `half_open`: the next attempt, or one under way, is to find out whether it answers again.
    #[schema(example = "open")]
    pub state: &'static str,
}

/// Who owns what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterShards)]
pub struct Shards {
    /// How many there are; fixed when the cluster was made.
    pub count: usize,
    /// How many a live worker owns.
    pub owned: usize,
    /// How many nobody does: their messages wait.
    pub unowned: usize,
    /// Each one, with `?shards=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<Claim>>,
}

/// A shard's claim.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShardClaim)]
pub struct Claim {
    pub shard: u16,
    /// Who owns it; null between two owners.
    pub owner: Option<String>,
    /// How often it was claimed.
    pub epoch: i64,
}

/// The channels that live workers run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterAdapters)]
pub struct Adapters {
    /// Connected, or trying to.
    pub running: u32,
    /// Not working.
    pub failed: u32,
    /// Live workers that did not say.
    pub unknown_workers: Vec<String>,
}

/// Who leads.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterLeader)]
pub struct Leader {
    pub name: String,
    /// How many were elected up to this one.
    pub term: i64,
    pub elected_at: DateTime<Utc>,
    /// Whether it has renewed its term within the last 6 s.
    pub live: bool,
}

/// What is accepted and not yet at its destination, in either direction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterLag)]
pub struct Lag {
    /// How many messages, or `counted_up_to`, from where on they are not counted.
    pub pending: i64,
    pub counted_up_to: i64,
    /// For how long the oldest one has waited, in milliseconds; those that wait for another attempt count, too.
    pub oldest_ms: u64,
}

/// The messages of some time, or what became of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessagePartition)]
pub struct Partition {
    #[schema(example = "messages_20270101")]
    pub name: String,
    /// Messages from then on, by their ids; null for the first one, which has those of any time before.
    pub from: Option<DateTime<Utc>>,
    /// Up to then.
    pub until: DateTime<Utc>,
    /// Since when it is out of use: its messages are older than they are kept.
    pub detached_at: Option<DateTime<Utc>>,
    /// When it was dropped.
    pub dropped_at: Option<DateTime<Utc>>,
    /// Messages that were in it and are kept nevertheless: pending ones, dead letters, and young ones with old ids.
    pub kept: i64,
    /// How many were forgotten with it, about; null before.
    pub forgotten: Option<i64>,
}

impl From<claw_store::Partition> for Partition {
    fn from(partition: claw_store::Partition) -> Self {
        let claw_store::Partition { name, from, until, detached_at, dropped_at, kept, forgotten } = partition;
        Self { name, from, until, detached_at, dropped_at, kept, forgotten }
    }
}
