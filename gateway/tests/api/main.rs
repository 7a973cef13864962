//! A whole gateway on a real Postgres and a real NATS, spoken to over HTTP as its clients do.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up must fail loudly")]

mod auth;
mod backends;
mod bad_input;
mod channels;
mod cluster;
mod common;
mod cron;
mod cron_completion;
mod cron_options;
mod cron_wakes;
mod cron_webhooks;
mod destinations;
mod erasure;
mod events;
mod feedback;
mod follow_up;
mod groups;
mod health;
mod hooks;
mod keys;
mod media;
mod messages;
mod pairing;
mod renewed_token;
mod rich;
mod send;
mod settings;
mod tenants;
mod wake;
mod web_tokens;
mod webhooks;
