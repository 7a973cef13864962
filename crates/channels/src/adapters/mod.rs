//! One adapter, one file (or folder).

pub mod discord;
pub mod email;
pub mod google_chat;
pub mod instagram;
pub mod line;
pub mod matrix;
pub mod messenger;
pub mod slack;
pub mod sms;
pub mod teams;
pub mod telegram;
pub mod webchat;
pub mod webhook;
pub mod whatsapp;
