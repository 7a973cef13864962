//! One endpoint, one file.

pub mod audit;
pub mod channels;
pub mod destinations;
pub mod document;
pub mod events;
pub mod health;
pub mod keys;
pub mod media;
pub mod problems;
pub mod webhooks;
