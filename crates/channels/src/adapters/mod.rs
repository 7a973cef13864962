//! One adapter, one file (or folder).

pub mod google_chat;
pub mod line;
pub mod teams;
pub mod telegram;
pub mod webchat;
pub mod webhook;
