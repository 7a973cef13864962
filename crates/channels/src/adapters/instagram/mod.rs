//! Instagram accounts that are linked to a Facebook Page
//! (<https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message>). What is the same on Messenger
//! is in [`crate::kit::graph::messaging`].
//!
//! By a Page's token and not by Instagram Login, whose tokens end after 60 days unless somebody renews them; a Page's need not.

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

/// A text has 1,000 bytes of UTF-8. Attachments are fetched by Instagram, because pictures can't be uploaded everywhere; files other
/// than PDF it does not know, so they go as links (the page above). There is one reaction only, so ours are not offered.
static CAPS: Caps = Caps {
    max_text: 1000,
    unit: TextUnit::Bytes,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice],
    reply_to: true,
    buttons: ButtonCaps::ALL,
    typing: true,
    // How long it is shown is not said; an agent that works on is shown to.
    typing_every: Some(Duration::from_secs(15)),
    reports: Reports { edits: true, deletions: true, reactions: true, replies: true, receipts: true },
    limits: Some(&LIMITS),
    ..Caps::TEXT_ONLY
};

/// 300 calls in a second for an account, 10 with audio or video
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/overview/rate-limiting>).
static LIMITS: Limits = Limits { bot: PACE, chat: PACE, group: PACE };
const PACE: Rate = Rate { every: Duration::from_millis(5), burst: 100 };

static KIND: Kind = Kind {
    platform: Platform { name: "Instagram", window: "wait until they write again" },
    object: "instagram",
    caps: &CAPS,
    uploads: false,
};

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    page_token_env: String,
    verify_token: String,
    app_secret: String,
    instagram_account_id: Option<String>,
    api_url: Option<String>,
}

/// The Page, and the account that is linked to it (<https://developers.facebook.com/docs/graph-api/reference/page/>).
#[derive(Deserialize)]
struct Account {
    id: String,
    instagram_business_account: Option<Linked>,
}

#[derive(Deserialize)]
struct Linked {
    id: String,
    username: Option<String>,
}

/// An Instagram account.
pub struct Instagram {
    page: Page,
}

impl Adapter for Instagram {
    const NAME: &'static str = "instagram";
    const ABOUT: About = About {
        display_name: "Instagram",
        category: "chat",
        description: "An Instagram professional account that is linked to a Facebook Page, in conversations with one person.",
        setup: &[
            "Make the Instagram account a professional one, link it to a Facebook Page and allow access to its messages.",
            "In Meta's App Dashboard, make an app with Instagram messaging (by Facebook Login), add the Page and generate its token.",
            "Put the token and the app's secret (App settings, Basic) in here, and a verify token: any text that you choose.",
            "As the callback URL of Instagram give the gateway's address and the channel's webhook_path, reachable by https, with the same verify token.",
            "Subscribe to messages, messaging_postbacks, message_reactions and messaging_seen, and the Page to the app.",
        ],
        docs_url: "https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "page_token_env",
            "Page access token",
            FieldKind::Secret,
            "the token of the Page that the account is linked to, with which messages are sent.",
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
            "instagram_account_id",
            "Instagram account id",
            FieldKind::Text,
            "the account's id, if the app has several accounts: what is posted of the others is left alone.",
        )
        .advanced()
        .like("17841405822304914"),
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
        let Config {
            page_token_env: token,
            verify_token,
            app_secret,
            instagram_account_id: account,
            api_url,
        } = config;
        let fields = Fields { token, verify_token, app_secret, account, api_url };
        Ok(Self { page: Page::new(&KIND, fields, deps)? })
    }

    fn credential(config: &Config) -> Option<String> {
        // A hash of the token, because it is kept in the open; by the account's id even a renewed token is known.
        let hash = || hex::encode(sha256(config.page_token_env.as_bytes()));
        Some(config.instagram_account_id.clone().unwrap_or_else(hash))
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

#[async_trait]
impl Channel for Instagram {
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
        let fields = [("fields", "id,instagram_business_account{id,username}")];
        let page: Account = self.page.api().get(&["me"], &fields).await?;
        let Some(account) = page.instagram_business_account else {
            return Err(ChannelError::Permanent(
                "the token is that of a Page with no Instagram account, or lacks instagram_basic: link a professional \
                 account to the Page and generate its token anew"
                    .to_owned(),
            ));
        };
        let details =
            Map::from_iter([("id".to_owned(), json!(account.id)), ("page_id".to_owned(), json!(page.id))]);
        Ok(Probe { account: account.username.map(|name| format!("@{name}")), details })
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
