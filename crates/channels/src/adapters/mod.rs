//! One adapter, one file (or folder), and one line here: it declares the module and registers what is in it.
//!
//! A macro, because without one an adapter would need two lines that say the same. What it costs: `cargo fmt` does not find modules
//! that a macro declares, so `make fmt` names their files.

use crate::registry::{Entry, entry};

macro_rules! adapters {
    ($($(#[$only:meta])? $module:ident::$adapter:ident,)+) => {
        $($(#[$only])? pub mod $module;)+

        /// Every adapter.
        pub static ALL: &[Entry] = &[$($(#[$only])? entry::<$module::$adapter>(),)+];
    };
}

adapters! {
    telegram::Telegram,
    webchat::Webchat,
    webhook::Webhook,
    line::Line,
    discord::Discord,
    slack::Slack,
    whatsapp::WhatsApp,
    messenger::Messenger,
    instagram::Instagram,
    sms::Sms,
    email::Email,
    teams::Teams,
    google_chat::GoogleChat,
    matrix::Matrix,
    #[cfg(test)] acme::Acme,
}
