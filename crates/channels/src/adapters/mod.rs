//! One adapter, one file (or folder).

pub mod discord;
pub mod line;
pub mod slack;
pub mod telegram;
pub mod webchat;
pub mod webhook;
