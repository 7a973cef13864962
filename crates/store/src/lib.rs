//! Postgres, the one source of truth. One file per aggregate; nothing outside this crate writes SQL.
//!
//! Queries are checked by tests on a real server rather than by macros at compile time (docs/adr/0001).

pub mod audit;
pub mod channels;
pub mod error;
pub mod intake;
pub mod keys;
pub mod leaders;
pub mod lease;
pub mod messages;
pub mod pool;
pub mod schema;
pub mod sent;
pub mod shards;
pub mod tenant;
pub mod vault;

pub use audit::{AuditEntry, AuditFilter};
pub use channels::{Channel, ChannelStatus, Observation, SaveChannel, Sighting};
pub use error::{Error, chain};
pub use keys::{ApiKey, NewApiKey, Scope};
pub use leaders::Leader;
pub use lease::{Claimed, Lease, Member, Peer};
pub use messages::{Accepted, HistoryRow, MessageStatus, MessageWriter, NewMessage, Settlement};
pub use pool::Store;
pub use sent::OnPlatform;
pub use shards::Owner;
pub use tenant::{Actor, Change, Tenant};
pub use vault::Vault;

/// What every function here returns.
pub type Result<T> = std::result::Result<T, Error>;
