//! Everything that is particular to a platform: the trait that the rest of the system sees, the adapters behind it,
//! and what adapters share. Nothing outside this crate names a platform.
//!
//! Adding one: a file (or folder) in `adapters/` and a line in `adapters/mod.rs`. What it must do is in
//! `CONTRACT.md`, and [`exam`] tries it; `docs/write-an-adapter.md` goes through it step by step.

pub mod adapters;
pub mod caps;
pub mod catalogue;
pub mod channel;
pub mod common;
pub mod error;
pub mod exam;
pub mod fields;
pub mod hub;
pub mod kit;
pub mod lacks;
pub mod limits;
pub mod memory;
pub mod registry;
pub mod send_body;

pub use caps::{Albums, ButtonCaps, Caps, Dialect, Reports, TextUnit};
pub use catalogue::{About, TypeInfo};
pub use channel::{
    Adapter, Channel, Deps, Draft, Live, MediaStream, Part, Probe, RawRequest, Receipt, Reply, Sink,
};
pub use error::{ChannelError, SinkError};
pub use fields::{Field, FieldError, FieldKind};
pub use hub::{HistoryItem, Hosted, Hub, HubError, Stored, Upload, UploadError};
pub use kit::plan::{Degraded, PartOutcome, Plan, Unsupported, plan};
pub use lacks::{Feature, Lack, Whose};
pub use limits::{Limits, Rate};
pub use memory::{Change, Memory, NoMemory, Remembered};
pub use registry::{ALL, Entry};
