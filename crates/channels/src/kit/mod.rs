//! What adapters share; each thing once.

pub mod access_token;
pub mod answer;
pub mod attachments;
pub mod bearer;
pub mod commands;
pub mod fence;
pub mod fetch;
pub mod file;
pub mod filename;
pub mod graph;
pub mod guard;
pub mod http;
pub mod jwt;
pub mod label;
pub mod length;
pub mod markdown;
pub mod media_link;
pub mod names;
pub mod newest;
pub mod plan;
pub mod public;
pub mod session;
pub mod signed_post;
pub mod socket;
pub mod split;
pub mod tcp;
#[cfg(test)]
pub(crate) mod testing;
pub mod transfer;
pub mod upload;
