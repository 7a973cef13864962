//! Streams of events: what the database has, in its order, as it becomes visible.
//!
//! - `feed` reads new events once for the whole gateway, while anybody listens.
//! - `stream` is one connection: the past from the database, the present from the feed.
//! - `filter` reads what a caller wants; `slots` bounds how many listen.

pub mod feed;
pub mod filter;
pub mod slots;
pub mod stream;
