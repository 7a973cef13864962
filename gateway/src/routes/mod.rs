//! One endpoint, one file.

pub mod audit;
pub mod channels;
pub mod dead_letters;
pub mod document;
pub mod health;
pub mod keys;
pub mod media;
pub mod messages;
pub mod problems;
pub mod webhooks;
