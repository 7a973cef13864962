//! One endpoint, one file.

pub mod audit;
pub mod backends;
pub mod channels;
pub mod cluster;
pub mod cron;
pub mod dead_letters;
pub mod destinations;
pub mod document;
pub mod events;
pub mod health;
pub mod hooks;
pub mod keys;
pub mod media;
pub mod messages;
pub mod metrics;
pub mod problems;
pub mod settings;
pub mod users;
pub mod webhooks;
