//! Facebook Pages on Messenger (<https://developers.facebook.com/documentation/business-messaging/messenger-platform>). What is the same on
//! Instagram is in [`crate::kit::graph::messaging`].

mod exam;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature::sha256;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};

use crate::exam::Examinee;
use crate::kit::graph::messaging::calls::Kind;
use crate::kit::graph::messaging::{Fields, Page};
use crate::kit::graph::{CLOUD, Platform};
use crate::{
    About, Adapter, ButtonCaps, Caps, Channel, ChannelError, Deps, Field, FieldKind, Limits, MediaStream,
    Part, Probe, Rate, RawRequest, Receipt, Reply, Reports, TextUnit,
};

/// A text has 2,000 characters (<https://developers.facebook.com/docs/messenger-platform/reference/send-api>, `message.text`). As what these are
/// counted it does not say; no way of counting gives more than UTF-16. Attachments have no captions.
static CAPS: Caps = Caps {
    max_text: 2000,
    unit: TextUnit::Utf16,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    reply_to: true,
    buttons: ButtonCaps::ALL,
    reactions: true,
    typing: true,
    // How long it is shown is not said; an agent that works on is shown to.
    typing_every: Some(Duration::from_secs(15)),
    reports: Reports { edits: true, deletions: false, reactions: true, replies: true, receipts: true },
    limits: Some(&LIMITS),
    ..Caps::TEXT_ONLY
};

/// 300 calls in a second for a Page, 10 with audio or video
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/overview/rate-limiting>); of single conversations it says
/// only that there is a limit.
static LIMITS: Limits = Limits { bot: PACE, chat: PACE, group: PACE };
const PACE: Rate = Rate { every: Duration::from_millis(5), burst: 100 };

static KIND: Kind = Kind {
    platform: Platform { name: "Messenger", window: "wait until they write again" },
    object: "page",
    caps: &CAPS,
    uploads: true,
};

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    page_token_env: String,
    verify_token: String,
    app_secret: String,
    page_id: Option<String>,
    api_url: Option<String>,
}

/// The Page itself (<https://developers.facebook.com/docs/graph-api/reference/page/>).
#[derive(Deserialize)]
struct Account {
    id: String,
    name: Option<String>,
}

/// A Facebook Page.
pub struct Messenger {
    page: Page,
}

impl Adapter for Messenger {
    const NAME: &'static str = "messenger";
    const ABOUT: About = About {
        display_name: "Messenger",
        category: "chat",
        description: "A Facebook Page, in conversations with one person on Messenger.",
        setup: &[
            "In Meta's App Dashboard, make an app with the product Messenger, add your Page and generate its token.",
            "Put the token and the app's secret (App settings, Basic) in here, and a verify token: any text that you choose.",
            "As the callback URL give the gateway's address and the channel's webhook_path, reachable by https, with the same verify token.",
            "Subscribe the Page to messages, messaging_postbacks, message_reactions, message_edits, message_deliveries, message_reads and message_echoes.",
        ],
        docs_url: "https://developers.facebook.com/documentation/business-messaging/messenger-platform/get-started",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "page_token_env",
            "Page access token",
            FieldKind::Secret,
            "the token of the Page, with which messages are sent.",
        )
        .required(),
        Field::new(
            "verify_token",
            "Verify token",
            FieldKind::Secret,
            "a text that you choose and give to the App Dashboard, too; Meta shows by it that it asks for your app.",
        )
        .required(),
        Field::new(
            "app_secret",
            "App secret",
            FieldKind::Secret,
            "the app's secret, with which Meta signs what it posts.",
        )
        .required(),
        Field::new(
            "page_id",
            "Page id",
            FieldKind::Text,
            "the Page's id, if the app has several Pages: what is posted of the others is left alone.",
        )
        .advanced()
        .like("102290129340398"),
        Field::new(
            "api_url",
            "Graph API",
            FieldKind::Url,
            "another server, or another version, in place of https://graph.facebook.com/v25.0.",
        )
        .advanced()
        .receives(&["page_token_env"])
        .like(CLOUD),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { page_token_env: token, verify_token, app_secret, page_id: account, api_url } = config;
        let fields = Fields { token, verify_token, app_secret, account, api_url };
        Ok(Self { page: Page::new(&KIND, fields, deps)? })
    }

    fn credential(config: &Config) -> Option<String> {
        // A hash of the token, because it is kept in the open; by the Page's id even a renewed token is known.
        let hash = || hex::encode(sha256(config.page_token_env.as_bytes()));
        Some(config.page_id.clone().unwrap_or_else(hash))
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

#[async_trait]
impl Channel for Messenger {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.page.decode(request)
    }

    fn handshake(&self, request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        self.page.handshake(request)
    }

    fn fuzz(&self, data: &[u8]) {
        self.page.fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        self.page.send(part).await
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let account: Account = self.page.api().get(&["me"], &[("fields", "id,name")]).await?;
        let details = Map::from_iter([("id".to_owned(), json!(account.id))]);
        Ok(Probe { account: account.name, details })
    }

    async fn typing(&self, recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        self.page.typing(recipient).await
    }

    async fn answering(
        &self,
        recipient: &str,
        _thread_id: Option<&str>,
        _question: &str,
    ) -> Result<(), ChannelError> {
        self.page.answering(recipient).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.page.open(&media.handle).await
    }
}
