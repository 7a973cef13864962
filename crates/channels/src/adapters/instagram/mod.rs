//! Instagram professional accounts
//! (<https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message>). What is the same on Messenger
//! is in [`crate::kit::graph::messaging`].
//!
//! An account is reached by a Page's token (Facebook Login), or without a Page by the account's own (Instagram Login,
//! <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api>): another server, another secret, and a
//! token that ends and is renewed (`token.rs`).

mod commands;
mod exam;
mod lacks;
#[cfg(test)]
mod tests;
mod token;

use async_trait::async_trait;
use claw_types::{Ident, MediaKind};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

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
    About, Adapter, ButtonCaps, Caps, ChannelError, Deps, Field, FieldKind, Probe, Reports, Sink, TextUnit,
};

/// The server of Instagram Login (<https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api>).
const INSTAGRAM: &str = "https://graph.instagram.com/v25.0";

/// A text has 1,000 bytes of UTF-8. Attachments are fetched by Instagram, because pictures can't be uploaded everywhere; files other
/// than PDF it does not know, so they go as links (the page above).
static CAPS: Caps = Caps {
    max_text: 1000,
    unit: TextUnit::Bytes,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    albums: Some(&ALBUMS),
    reply_to: true,
    buttons: ButtonCaps { room: Some(&BUTTONS), ..ButtonCaps::ALL },
    reactions: true,
    typing: true,
    typing_every: Some(TYPING_EVERY),
    reports: Reports { edits: false, deletions: true, reactions: true, replies: true, receipts: true },
    commands: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

/// An account that is reached by a Page's token, with which Meta's page knows a heart only.
static BY_PAGE: Kind = kind(true);
/// An account that is reached by its own, with which any emoji may be a reaction.
static BY_ITSELF: Kind = kind(false);

const fn kind(only_hearts: bool) -> Kind {
    Kind {
        platform: Platform { name: "Instagram", window: WINDOW },
        object: "instagram",
        caps: &CAPS,
        uploads: false,
        only_pdf: true,
        only_hearts,
        profile: "name,username",
        offers: commands::OFFERS,
    }
}

/// The values of `login`, in the order of [`Login`].
const LOGINS: &[&str] = &["facebook", "instagram"];

/// Whose token it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// A Page's, to which the account is linked.
    #[default]
    Facebook,
    /// The account's own.
    Instagram,
}

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    page_token_env: String,
    verify_token: String,
    app_secret: String,
    #[serde(default)]
    login: Login,
    instagram_account_id: Option<String>,
    #[serde(default)]
    commands: Vec<String>,
    api_url: Option<String>,
}

/// The Page, and the account that is linked to it (<https://developers.facebook.com/docs/graph-api/reference/page/>).
#[derive(Deserialize)]
struct Linking {
    id: String,
    instagram_business_account: Option<Linked>,
}

#[derive(Deserialize)]
struct Linked {
    id: String,
    username: Option<String>,
}

/// The account itself. Meta's page has it in a list
/// (<https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/get-started>), as its other single objects are not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Own {
    Listed { data: [Account; 1] },
    Alone(Account),
}

#[derive(Deserialize)]
struct Account {
    user_id: Ident,
    username: Option<String>,
}

/// An Instagram account.
pub type Instagram = Conversations<Login>;

impl Adapter for Instagram {
    const NAME: &'static str = "instagram";
    const ABOUT: About = About {
        display_name: "Instagram",
        category: "chat",
        description: "An Instagram professional account, in conversations with one person.",
        setup: &[
            "Make the Instagram account a professional one, link it to a Facebook Page (not needed with Instagram login) and allow access to its messages.",
            "In Meta's App Dashboard, make an app with Instagram messaging (by Facebook Login), add the Page and generate its token. Without a Page: API setup with Instagram login, generate the account's token, and set login to instagram.",
            "Put the token and the app's secret (App settings, Basic; with Instagram login the Instagram app secret) in here, and a verify token: any text that you choose.",
            "As the callback URL of Instagram give the gateway's address and the channel's webhook_path, reachable by https, with the same verify token.",
            "Subscribe to messages, messaging_postbacks, message_reactions and messaging_seen, and the Page to the app.",
        ],
        docs_url: "https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            PAGE_TOKEN,
            "Access token",
            FieldKind::Secret,
            "the token of the Page that the account is linked to, with which messages are sent; by Instagram Login the account's own.",
        )
        .required(),
        VERIFY_TOKEN,
        Field {
            help: "the app's secret, with which Meta signs what it posts; by Instagram Login the Instagram app secret.",
            ..APP_SECRET
        },
        Field::new(
            "login",
            "Login",
            FieldKind::Choice(LOGINS),
            "whose token it is: the Page's (facebook) or the account's (instagram), which ends after 60 days and is renewed here; facebook if not set.",
        )
        .advanced(),
        Field::new(
            "instagram_account_id",
            "Instagram account id",
            FieldKind::Text,
            "the account's id, if the app has several accounts: what is posted of the others is left alone.",
        )
        .advanced()
        .like("17841405822304914"),
        Field {
            help: "entries of the menu that people have in the conversation, each as name: what it says; who chooses one sends /name. If not set, the menu is left as it is.",
            ..COMMANDS
        },
        Field {
            help: "another server, or another version, in place of https://graph.facebook.com/v25.0 or, by Instagram Login, https://graph.instagram.com/v25.0.",
            ..api_url(&[PAGE_TOKEN])
        },
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config {
            page_token_env: token,
            verify_token,
            app_secret,
            login,
            instagram_account_id: account,
            commands,
            api_url,
        } = config;
        let api_url = api_url.unwrap_or_else(|| login.server().to_owned());
        let tokens = login.tokens();
        let fields = Fields { token, verify_token, app_secret, account, commands, api_url, tokens };
        Ok(Conversations::of(Page::new(login.kind(), fields, deps)?, login))
    }

    fn credentials(config: &Config) -> Vec<String> {
        credentials(&config.page_token_env, config.instagram_account_id.as_deref())
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::EXAM
    }
}

impl Login {
    fn kind(self) -> &'static Kind {
        match self {
            Self::Facebook => &BY_PAGE,
            Self::Instagram => &BY_ITSELF,
        }
    }

    fn server(self) -> &'static str {
        match self {
            Self::Facebook => CLOUD,
            Self::Instagram => INSTAGRAM,
        }
    }

    /// A Page's token stays, as the App Dashboard gives it. Of the proof only the Graph API at Facebook's address says something.
    fn tokens(self) -> Tokens {
        match self {
            Self::Facebook => Tokens::Proven,
            Self::Instagram => Tokens::Renewed,
        }
    }
}

#[async_trait]
impl Product for Login {
    async fn account(&self, api: &Api) -> Result<Probe, ChannelError> {
        match self {
            Self::Facebook => linked(api).await,
            Self::Instagram => own(api).await,
        }
    }

    async fn watch(&self, api: &Api, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        match self {
            Self::Facebook => stop.cancelled().await,
            Self::Instagram => token::watch(api, sink, &stop).await?,
        }
        Ok(())
    }
}

async fn linked(api: &Api) -> Result<Probe, ChannelError> {
    let fields = [("fields", "id,instagram_business_account{id,username}")];
    let page: Linking = api.get(&["me"], &fields).await?;
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

async fn own(api: &Api) -> Result<Probe, ChannelError> {
    let (Own::Listed { data: [account] } | Own::Alone(account)) =
        api.get(&["me"], &[("fields", "user_id,username")]).await?;
    let details = Map::from_iter([("id".to_owned(), json!(account.user_id))]);
    Ok(Probe { account: account.username.map(|name| format!("@{name}")), details })
}
