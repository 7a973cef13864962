//! Keys to the API.

pub mod create;
pub mod get;
pub mod list;
pub mod revoke;
mod view;
