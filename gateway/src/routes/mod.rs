//! One endpoint, one file.

pub mod audit;
pub mod channels;
pub mod cron;
pub mod dead_letters;
pub mod document;
pub mod health;
pub mod hooks;
pub mod keys;
pub mod media;
pub mod messages;
pub mod problems;
pub mod settings;
pub mod webhooks;
