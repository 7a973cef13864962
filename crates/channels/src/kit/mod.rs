//! What adapters share; each thing once.

pub mod guard;
pub mod http;
pub mod media_link;
pub mod signed_post;
pub mod split;
