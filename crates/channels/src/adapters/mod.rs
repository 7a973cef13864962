//! One adapter, one file (or folder).

pub mod discord;
pub mod line;
pub mod slack;
pub mod instagram;
pub mod line;
pub mod messenger;
pub mod email;
pub mod line;
pub mod sms;
pub mod google_chat;
pub mod line;
pub mod teams;
pub mod matrix;
pub mod telegram;
pub mod webchat;
pub mod webhook;
pub mod whatsapp;
