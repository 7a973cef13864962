//! Facebook Pages on Messenger (<https://developers.facebook.com/documentation/business-messaging/messenger-platform>). What is the same on
//! Instagram is in [`crate::kit::graph::messaging`].

mod commands;
mod exam;
mod lacks;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use claw_types::MediaKind;
use serde::Deserialize;
use serde_json::{Map, json};

use crate::exam::Examinee;
use crate::kit::commands::COMMANDS;
use crate::kit::graph::api::{Api, Tokens};
use crate::kit::graph::fields::{APP_SECRET, PAGE_TOKEN, VERIFY_TOKEN, api_url};
use crate::kit::graph::messaging::calls::{ALBUMS, BUTTONS, Kind};
use crate::kit::graph::messaging::{
    Conversations, Fields, LIMITS, Page, Product, TYPING_EVERY, WINDOW, credentials,
};
use crate::kit::graph::{CLOUD, Platform};
use crate::{
    About, Adapter, ButtonCaps, Caps, ChannelError, Deps, Field, FieldKind, Probe, Reports, TextUnit,
};

/// A text has 2,000 characters (<https://developers.facebook.com/docs/messenger-platform/reference/send-api>, `message.text`). As what these are
/// counted it does not say; no way of counting gives more than UTF-16. Attachments have no captions.
static CAPS: Caps = Caps {
    max_text: 2000,
    unit: TextUnit::Utf16,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    albums: Some(&ALBUMS),
    reply_to: true,
    buttons: ButtonCaps { room: Some(&BUTTONS), ..ButtonCaps::ALL },
    reactions: true,
    typing: true,
    typing_every: Some(TYPING_EVERY),
    reports: Reports { edits: true, deletions: false, reactions: true, replies: true, receipts: true },
    commands: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

static KIND: Kind = Kind {
    platform: Platform { name: "Messenger", window: WINDOW },
    object: "page",
    caps: &CAPS,
    uploads: true,
    only_pdf: false,
    only_hearts: false,
    profile: "name",
    offers: commands::OFFERS,
};

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    page_token_env: String,
    verify_token: String,
    app_secret: String,
    page_id: Option<String>,
    #[serde(default)]
    commands: Vec<String>,
    api_url: Option<String>,
}

/// The Page itself (<https://developers.facebook.com/docs/graph-api/reference/page/>).
#[derive(Deserialize)]
struct Account {
    id: String,
    name: Option<String>,
}

/// A Facebook Page.
pub type Messenger = Conversations<Facebook>;

/// What only Messenger has.
pub struct Facebook;

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
            PAGE_TOKEN,
            "Page access token",
            FieldKind::Secret,
            "the token of the Page, with which messages are sent.",
        )
        .required(),
        VERIFY_TOKEN,
        APP_SECRET,
        Field::new(
            "page_id",
            "Page id",
            FieldKind::Text,
            "the Page's id, if the app has several Pages: what is posted of the others is left alone.",
        )
        .advanced()
        .like("102290129340398"),
        COMMANDS,
        api_url(&[PAGE_TOKEN]),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { page_token_env: token, verify_token, app_secret, page_id: account, commands, api_url } =
            config;
        let api_url = api_url.unwrap_or_else(|| CLOUD.to_owned());
        let tokens = Tokens::Proven;
        let fields = Fields { token, verify_token, app_secret, account, commands, api_url, tokens };
        Ok(Conversations::of(Page::new(&KIND, fields, deps)?, Facebook))
    }

    fn credentials(config: &Config) -> Vec<String> {
        credentials(&config.page_token_env, config.page_id.as_deref())
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::EXAM
    }
}

#[async_trait]
impl Product for Facebook {
    async fn account(&self, api: &Api) -> Result<Probe, ChannelError> {
        let account: Account = api.get(&["me"], &[("fields", "id,name")]).await?;
        let details = Map::from_iter([("id".to_owned(), json!(account.id))]);
        Ok(Probe { account: account.name, details })
    }
}
