//! Everything that is particular to a platform: the trait that the rest of the system sees, the adapters behind it,
//! and what adapters share. Nothing outside this crate names a platform.
//!
//! Adding one: a file in `adapters/`, a line in `adapters/mod.rs`, an entry in [`registry::ALL`].

pub mod adapters;
pub mod channel;
pub mod error;
pub mod fields;
pub mod hub;
pub mod kit;
pub mod registry;

pub use channel::{
    Adapter, Caps, Channel, Deps, Live, MediaStream, Part, RawRequest, Receipt, Sink, TextUnit,
};
pub use error::{ChannelError, SinkError};
pub use fields::{Field, FieldError, FieldKind};
pub use hub::{HistoryItem, Hosted, Hub, HubError, Stored};
pub use registry::{ALL, Entry};
