//! `/api/users/{user}/channels`: a user's connections to platforms.

pub mod configure;
pub mod delete;
pub mod list;
pub mod reload;
pub mod send;
pub mod update;
