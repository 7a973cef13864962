//! One endpoint, one file.

pub mod channels;
pub mod health;
pub mod media;
pub mod webhooks;
