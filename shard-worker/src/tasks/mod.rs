//! What feeds the shards.

pub(crate) mod changes;
pub(crate) mod destinations;
pub(crate) mod disputes;
pub(crate) mod measure;
pub(crate) mod published;
pub mod sweep;
