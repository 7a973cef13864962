//! Where events are posted to. Each call is there twice: for a user's own destinations, and for the operator's.

pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod secret;
pub mod settings;
pub mod test;
mod view;
