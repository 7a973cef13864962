//! What this adapter brings to the exam: webhooks as the Messenger Platform posts them, and the Send API as it answers.

use serde_json::{Value, json};

use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road, payloads};
use crate::kit::graph::exam::{VERSION, page_answer, page_texts, proven, refusal, sign};

const SECRET: &str = "1f6a2c7e9b3d4085a1c2e3f405162738";
const TOKEN: &str = "EAAGexamTokenOfThePage0123456789";

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "page_token_env": TOKEN, "verify_token": "chosen for the exam", "app_secret": SECRET,
            "page_id": "682498302938465", "api_url": format!("{server}{}", VERSION.trim_end_matches('/')),
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/messenger.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
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
        ]
    }

    fn addressed(&self) -> Case {
        Case::PlatformCant("a Page is in conversations with one person only")
    }

    fn unaddressed(&self) -> Case {
        self.addressed()
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("1254459154682919", None)
    }

    fn message_id(&self) -> &'static str {
        "m_1457764197618:41d102a3e1ae206a38"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        page_texts(body)
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        page_answer(asked, &json!({"id": "682498302938465", "name": "Exam"}))
    }

    fn refusal(&self, status: u16) -> Answer {
        refusal(status)
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        proven(asked)
    }

    fn described_by(&self) -> Option<&'static str> {
        None
    }

    fn knows_repeated_calls(&self) -> bool {
        false
    }
}
