//! One adapter, one file (or folder).

pub mod line;
pub mod matrix;
pub mod telegram;
pub mod webchat;
pub mod webhook;
