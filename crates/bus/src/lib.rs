//! NATS, the road: what was committed is told to whoever acts on it. Nothing here is durable, and nothing has to be:
//! a lost publish costs latency, because owners sweep the database.

pub mod bus;
pub mod sequence;
pub mod subjects;

pub use bus::{
    Bus, Error, Frames, Subscription, changed_channel, changed_shard, context, first_span, media_message,
};
pub use sequence::{Gaps, Numbered};
