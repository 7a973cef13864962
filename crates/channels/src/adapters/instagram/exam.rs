//! What this adapter brings to the exam: webhooks as Instagram posts them, and the Send API as it answers, with either login.

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
    otherwise: &[("login", "instagram")],
    no_groups: "Instagram lets accounts by its API into conversations with one person only",
    chat: "9087654321098765",
    message_id: "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3ODQxNDA1",
    offered: "/persistent_menu/0/call_to_actions/0/payload",
    // A Page's token can set no other.
    reaction: "❤️",
    platform: &PagePlatform {
        me: || {
            json!({
                "id": "682498302938465",
                "user_id": "17841405822304914",
                "username": "exam",
                "instagram_business_account": {"id": "17841405822304914", "username": "exam"},
            })
        },
        token_in_addresses: |fields| {
            (fields["login"] == "instagram").then_some(
                "with Instagram Login, Meta wants the token that is to be renewed in the query of the call that renews it \
                 (<https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token>)",
            )
        },
    },
};
