//! What this adapter brings to the exam: webhooks as the Messenger Platform posts them, and the Send API as it answers.

use serde_json::json;

use crate::exam::payloads;
use crate::kit::graph::exam::{PageExam, PagePlatform};

pub(super) static EXAM: PageExam = PageExam {
    page: include_str!("../../../../../docs/channels/messenger.md"),
    payloads: payloads![
        "text",
        "text-again",
        "other-chat",
        "reply",
        "quick-reply",
        "postback",
        "image",
        "two-images",
        "sticker",
        "location",
        "link",
        "reaction",
        "unreact",
        "edit",
        "delivered",
        "read",
        "own",
        "standby",
        "other-page",
    ],
    account: ("page_id", "682498302938465"),
    more: &[],
    otherwise: &[],
    no_groups: "a Page is in conversations with one person only",
    chat: "1254459154682919",
    message_id: "m_1457764197618:41d102a3e1ae206a38",
    offered: "/commands/0/commands/0/name",
    reaction: "👍",
    platform: &PagePlatform {
        me: || json!({"id": "682498302938465", "name": "Exam"}),
        token_in_addresses: |_| None,
    },
};
