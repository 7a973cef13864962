//! The vocabulary of ii-claw: ids, shards, placement and the messages that travel between its parts.
//!
//! No I/O, no clock and no randomness in here, so every other crate, and a simulation, can depend on it.

pub mod album;
pub mod bodies;
pub mod heartbeat;
pub mod ident;
pub mod ids;
pub mod inbound;
pub mod job;
pub mod limits;
pub mod outbound;
pub mod placement;
pub mod pooler;
pub mod preferences;
pub mod shard;
pub mod work;

pub use bodies::{Media, MediaKind, MediaRef, ReplyTo, Sender, WebhookBody};
pub use ident::Ident;
pub use ids::{ChannelId, HookName, IdError, InstanceId, MessageId, UserId};
pub use inbound::{Answered, Deed, Inbound, Named, Reaction, Receipts};
pub use job::{
    Action, ActionType, AgentWake, AssistantTask, ChannelMessage, Delivery, WakeMode, WebhookCall,
    WebhookPost,
};
pub use limits::Invalid;
pub use outbound::{Act, Button, ButtonAction, Format, Location, Outbound, Placeholder, Poll};
pub use placement::{Candidate, owner_of};
pub use pooler::Pooler;
pub use shard::{Epoch, ShardCount, ShardId};
pub use work::{Direction, MessageState, Work};
