//! Chats and people, as they stand in updates that are read by hand (<https://core.telegram.org/bots/api#chat>,
//! <https://core.telegram.org/bots/api#user>). What may be missing may be left out: it is no reason to take nothing of an update.

use claw_types::Sender;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    #[serde(default)]
    r#type: String,
    pub(super) title: Option<String>,
}

impl Chat {
    pub(super) fn is_group(&self) -> bool {
        self.r#type != "private"
    }
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) is_bot: bool,
    #[serde(default)]
    first_name: String,
    last_name: Option<String>,
    pub(super) username: Option<String>,
}

impl User {
    /// By both names.
    pub(super) fn sender(&self) -> Sender {
        let names = std::iter::once(self.first_name.as_str()).chain(self.last_name.as_deref());
        Sender {
            platform_id: self.id.to_string(),
            display_name: names.collect::<Vec<_>>().join(" "),
            internal_user: None,
        }
    }
}
