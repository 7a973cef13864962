//! One adapter, one file (or folder).

pub mod email;
pub mod line;
pub mod sms;
pub mod telegram;
pub mod webchat;
pub mod webhook;
