//! Postgres, the one source of truth. One file per aggregate; nothing outside this crate writes SQL.
//!
//! Queries are checked by tests on a real server rather than by macros at compile time (docs/adr/0001).

pub mod albums;
pub mod audit;
pub mod backends;
pub mod backlog;
pub mod channel_memory;
pub mod channels;
pub mod checkup;
pub mod cluster;
pub mod completion;
pub mod cron;
pub mod dead_letters;
pub mod destinations;
pub mod due;
pub mod erasure;
pub mod error;
pub mod events;
pub mod feedback;
pub mod group_context;
pub mod heartbeats;
pub mod hook_deliveries;
mod hooks;
mod indexes;
pub mod intake;
pub mod jobs;
pub mod keys;
pub mod leaders;
pub mod lease;
mod members;
pub mod message_log;
pub mod messages;
pub mod pairing;
pub mod partitions;
pub mod placeholders;
pub mod pool;
pub mod receipts;
pub mod reseal;
pub mod reshard;
pub mod runs;
pub mod schema;
pub mod sealed;
pub mod sent;
pub mod settings;
pub mod shards;
pub mod targets;
pub mod tenant;
pub mod timers;
pub mod vault;
pub mod wakes;

pub use audit::{AuditEntry, AuditFilter};
pub use backends::{BackendPlace, LoadedBackend, OwnBackend, SaveBackend};
pub use backlog::{Look, Pending, Whose};
pub use channel_memory::{Memo, MemoChange, MemoOwner, Remembering};
pub use channels::{
    Channel, ChannelName, ChannelStatus, Loaded, Observation, Observed, SaveChannel, Sighting,
};
pub use checkup::{Checkup, InTrouble, ToAsk};
pub use cluster::{Census, ClusterFacts, Lag, MemberStatus, ShardClaim};
pub use completion::Completed;
pub use cron::{
    Aftermath, DueJob, DuePage, DueRetry, EarlierAttempt, EndedJob, EndedRun, Fired, Firing, Followed,
    JobAfter, NewRun, Retry, RunOf, RunsWaiting, Waiting,
};
pub use dead_letters::{Revived, Selection, Unchanged};
pub use destinations::{Destination, DestinationSettings, Due, NewDestination, Refusal, Served};
pub use erasure::{Erasure, Next, Step};
pub use error::{Error, chain};
pub use events::{Event, EventChannel, EventFilter, EventPage, News, Place};
pub use feedback::{Feedback, FirstSeen};
pub use group_context::{GroupContext, Overheard, Stretch};
pub use heartbeats::{DueHeartbeat, Heartbeat};
pub use hook_deliveries::{HookDelivery, HookOutcome, NewHookDelivery};
pub use hooks::{HOOKS, Hook, HookAuth, HookSpec};
pub use intake::{AgentEvent, Chat};
pub use jobs::{Job, JobFilter, Over, SaveJob};
pub use keys::{ApiKey, NewApiKey, Scope};
pub use leaders::Leader;
pub use lease::{Claimed, Former, Lease, Member, Peer};
pub use message_log::{AttemptRow, MessageDetail, MessageFilter, MessagePlace, MessageRow};
pub use messages::{Accepted, Announce, HistoryRow, MessageStatus, MessageWriter, NewMessage, Settlement};
pub use pairing::{Pairing, PairingBook, PairingState, Person};
pub use partitions::{Partition, Span};
pub use placeholders::{Note, Placeholder, SentSince, Taken};
pub use pool::{PoolUsage, Store};
pub use receipts::Seen;
pub use reseal::Reseal;
pub use reshard::Resharded;
pub use runs::{Begun, Run, RunStatus};
pub use sealed::{SealedByKey, SealedCount, SealedKind};
pub use sent::OnPlatform;
pub use settings::{Preferences, UserSettings};
pub use shards::Owner;
pub use tenant::{Actor, Change, Tenant};
pub use timers::PutOff;
pub use vault::Vault;
pub use wakes::{Once, When, Woken};

/// What every function here returns.
pub type Result<T> = std::result::Result<T, Error>;
