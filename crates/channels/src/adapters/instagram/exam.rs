//! What this adapter brings to the exam: webhooks as Instagram posts them, and the Send API as it answers.

use serde_json::json;

use crate::exam::payloads;
use crate::kit::graph::exam::{PageExam, PagePlatform};

pub(super) static EXAM: PageExam = PageExam {
    page: include_str!("../../../../../docs/channels/instagram.md"),
    payloads: payloads![
        "text",
        "text-again",
        "other-chat",
        "reply",
        "story-reply",
        "story-mention",
        "quick-reply",
        "postback",
        "image",
        "share",
        "unsupported",
        "reaction",
        "unsent",
        "seen",
        "own",
        "other-account",
    ],
    account: ("instagram_account_id", "17841405822304914"),
    more: &[("login", "facebook")],
    no_groups: "Instagram lets accounts by its API into conversations with one person only",
    chat: "9087654321098765",
    message_id: "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQxNDA1",
    // A Page's token can set no other.
    reaction: "❤️",
    platform: &PagePlatform {
        me: || {
            json!({
                "id": "682498302938465",
                "instagram_business_account": {"id": "17841405822304914", "username": "exam"},
            })
        },
    },
};
