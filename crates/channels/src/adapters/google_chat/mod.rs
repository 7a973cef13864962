//! Google Chat apps (<https://developers.google.com/workspace/chat/overview>), by interaction events and the Chat API.
//!
//! Google posts events with a token, of one of three kinds by what the app's owner chose (`Signer`); `event` and `incoming` read them. Answers are
//! sent by the API, never in the answer to an event: an agent may need longer than an event is waited for, and a message by the API has a
//! request id, by which a call that is made again counts once.
//!
//! Must hold: nothing of a body is looked at before its token was checked; each part has one request id, whoever sends it and
//! however often; the service account's key leaves this process in signatures only.

mod account;
mod api;
mod calls;
mod event;
mod exam;
mod incoming;
mod lacks;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature::sha256;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::account::Account;
use self::api::Api;
use crate::exam::Examinee;
use crate::kit::jwt::{Expected, Verified};
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits,
    MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reply, Reports, TextUnit,
};

/// Who posts events. It signs by itself where the audience is the project's number; where it is an address, Google's sign-in signs for it
/// (<https://developers.google.com/workspace/chat/verify-requests-from-chat>).
const CHAT: &str = "chat@system.gserviceaccount.com";
/// Google's sign-in
/// (<https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken>).
const SIGN_IN: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// A message may have 32,000 bytes, cards and all
/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create>): 4,096 characters have 16,384 at most
/// and leave room for buttons. Google lets people upload files
/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/media/upload>) and react
/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages.reactions/create>), not apps by themselves, so
/// pictures are shown in a card by their address, several in one, and other files go as links. Of edits, deletions and people's reactions it tells only who
/// keeps a subscription for each space, which an administrator has approved
/// (<https://developers.google.com/workspace/events/reference/rest/v1/subscriptions/create>), by way of a Pub/Sub topic.
static CAPS: Caps = Caps {
    max_text: 4096,
    max_caption: 4096,
    unit: TextUnit::Chars,
    markdown: Dialect::GoogleChat,
    media: &[MediaKind::Image],
    // Widgets of one card. As many as a message may have; with a text and common addresses they are far below the 32,000 bytes.
    albums: Some(&Albums { max: 10, groups: &[&[MediaKind::Image]] }),
    threads: true,
    reply_to: true,
    buttons: ButtonCaps::ALL,
    edit: true,
    delete: true,
    reports: Reports { edits: false, deletions: false, reactions: false, replies: true, receipts: false },
    tells_programs: true,
    placeholders: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

/// 3,000 messages in a minute of one project, and 60 into one space, which all apps in it share
/// (<https://developers.google.com/workspace/chat/limits>).
static LIMITS: Limits = Limits {
    bot: Rate { every: Duration::from_millis(21), burst: 100 },
    chat: SPACE_PACE,
    group: SPACE_PACE,
};
const SPACE_PACE: Rate = Rate { every: Duration::from_millis(1200), burst: 10 };

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    service_account_env: String,
    audience: String,
    addon_account: Option<String>,
    #[serde(default)]
    space_ids: Vec<String>,
    api_url: Option<String>,
}

/// An app.
pub struct GoogleChat {
    audience: String,
    signer: Signer,
    spaces: Vec<String>,
    api: Api,
    deps: Deps,
}

impl Adapter for GoogleChat {
    const NAME: &'static str = "google_chat";
    const ABOUT: About = About {
        display_name: "Google Chat",
        category: "chat",
        description: "A Google Chat app, in direct messages and spaces of a Google Workspace.",
        setup: &[
            "In the Google Cloud console, enable the Google Chat API in a project and make a service account; add a key of the type JSON to it, which is downloaded.",
            "Put the content of that file in here, and the project number (Cloud overview) as the audience.",
            "In the Google Chat API's configuration, switch interactive features on and choose HTTP endpoint URL: the channel's webhook_path behind the gateway's address, which must be reachable by https.",
            "There, choose Project Number as the authentication audience, uncheck \"Build this Chat app as a Workspace add-on\", and say for whom the app is visible. An app that is an add-on already has the HTTP endpoint URL as its audience, and its connection settings show the service account's email that goes into the add-on account.",
            "For commands, add them under Commands; they reach the agent as messages.",
        ],
        docs_url: "https://developers.google.com/workspace/chat/configure-chat-api",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "service_account_env",
            "Service account key",
            FieldKind::Secret,
            "the content of the service account's key file, a JSON document.",
        )
        .required()
        .like("{\"type\": \"service_account\", ...}"),
        Field::new(
            "audience",
            "Authentication audience",
            FieldKind::Text,
            "what the Chat API's configuration has as the authentication audience: the project's number, or the HTTP endpoint URL.",
        )
        .required()
        .like("123456789012"),
        Field::new(
            "addon_account",
            "Add-on account",
            FieldKind::Text,
            "where the app is a Workspace add-on: the service account's email that the Chat API's connection settings show; the audience is \
             the HTTP endpoint URL then.",
        )
        .advanced()
        .like("service-123456789012@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"),
        Field::new(
            "space_ids",
            "Spaces",
            FieldKind::List,
            "the spaces and direct messages in which the app listens, as spaces/AAAA; empty means all.",
        )
        .advanced()
        .like("spaces/AAAABBBBccc"),
        Field::new(
            "api_url",
            "API server",
            FieldKind::Url,
            "another server in place of https://chat.googleapis.com, https://oauth2.googleapis.com and https://www.googleapis.com.",
        )
        .advanced()
        .receives(&["service_account_env"])
        .like("https://chat.example.org"),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { service_account_env: account, audience, addon_account, space_ids: spaces, api_url } =
            config;
        let account = Account::read(&account).map_err(ChannelError::Config)?;
        if !is_number(&audience) && !audience.starts_with("https://") {
            return Err(ChannelError::Config(
                "audience must be the project's number or the HTTP endpoint URL, whichever the Chat API's configuration has"
                    .to_owned(),
            ));
        }
        let signer = Signer::of(&audience, addon_account)?;
        let spaces = spaces.iter().map(|space| resource(space)).collect();
        let api = Api::new(api_url.as_deref(), account, signer != Signer::Chat, &deps)?;
        Ok(Self { audience, signer, spaces, api, deps })
    }

    /// A hash, because it is kept in the open, of the account and not of its key, of which there may be several; and the project, which has
    /// one app (<https://developers.google.com/workspace/chat/configure-chat-api>) and may have several accounts. Where the audience is an
    /// address it is the channel's own.
    fn credentials(config: &Config) -> Vec<String> {
        let account = Account::read(&config.service_account_env).ok();
        let account = account.map(|account| hex::encode(sha256(account.email().as_bytes())));
        account.into_iter().chain(is_number(&config.audience).then(|| config.audience.clone())).collect()
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

/// Who signs what Google posts.
#[derive(Debug, PartialEq, Eq)]
enum Signer {
    /// Google Chat itself, for a project's number.
    Chat,
    /// Google's sign-in, for an address: for this account of Google's. That of Chat serves all its apps. An add-on has one of its project's
    /// own: of another project's, anybody can make an add-on that posts to any address
    /// (<https://developers.google.com/workspace/chat/verify-requests-from-chat>).
    SignIn(String),
}

/// How the accounts end that Google has for add-ons, one for each project.
const ADDONS: &str = "@gcp-sa-gsuiteaddons.iam.gserviceaccount.com";

impl Signer {
    fn of(audience: &str, addon: Option<String>) -> Result<Self, ChannelError> {
        let refused = |why: &str| Err(ChannelError::Config(why.to_owned()));
        match addon {
            Some(account) if !(account.starts_with("service-") && account.ends_with(ADDONS)) => refused(
                "addon_account is not an email like service-123456789012@gcp-sa-gsuiteaddons.iam.gserviceaccount.com: the Chat API's \
                 connection settings show it",
            ),
            Some(_) if is_number(audience) => {
                refused("audience must be the HTTP endpoint URL where there is an addon_account")
            }
            Some(account) => Ok(Self::SignIn(account)),
            None if is_number(audience) => Ok(Self::Chat),
            None => Ok(Self::SignIn(CHAT.to_owned())),
        }
    }
}

/// Whether the audience is a project's number.
fn is_number(audience: &str) -> bool {
    !audience.is_empty() && audience.bytes().all(|byte| byte.is_ascii_digit())
}

/// A space's name, also where only its id was given.
fn resource(space: &str) -> String {
    if space.starts_with("spaces/") { space.to_owned() } else { format!("spaces/{space}") }
}

#[async_trait]
impl Channel for GoogleChat {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    async fn prepare(&self, request: &RawRequest) -> Result<(), ChannelError> {
        self.deps.http.keys().prepare_for(&self.deps, self.api.keys(), &request.headers).await
    }

    /// What is in the answer becomes the app's message; an empty object is none
    /// (<https://github.com/googleworkspace/google-chat-samples/issues/36>).
    fn taken(&self, _: &RawRequest) -> Option<Reply> {
        Some(Reply::empty_object())
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let issuers: &[&str] = if self.signer == Signer::Chat { &[CHAT] } else { &SIGN_IN };
        let (keys, expected) = (self.deps.http.keys(), Expected { issuers, audience: &self.audience });
        keys.genuine(&self.deps, self.api.keys(), &request.headers, expected, |token| match &self.signer {
            Signer::SignIn(account) if !is_of(token, account) => Err(ChannelError::BadSignature(format!(
                "the bearer token is Google's, but not for the account {account}"
            ))),
            _ => Ok(()),
        })?;
        let event = event::read(&request.body).map_err(ChannelError::BadRequest)?;
        let mut messages = incoming::understood(event);
        messages.retain(|message| self.listens_in(&message.recipient));
        Ok(messages)
    }

    fn fuzz(&self, data: &[u8]) {
        if let Ok(event) = event::read(data) {
            drop(incoming::understood(event));
        }
        api::fuzz(data);
        drop(Account::read(&String::from_utf8_lossy(data)));
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let call = calls::of_part(part, self.function())?;
        let answered = match part.piece.reply_to.as_deref() {
            Some(question) => self.answer(&call, question).await?,
            None => self.api.call(&call).await?,
        };
        let target = part.piece.content.target().map(str::to_owned);
        // It was taken. Asked again with the same request id, Google says the name once more.
        let name = target
            .or(answered.name)
            .ok_or_else(|| ChannelError::Retryable("Google's answer names no message".to_owned()))?;
        Ok(Receipt { platform_message_id: name })
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        self.api.try_credential().await?;
        let account = self.api.account();
        let details = Map::from_iter([("project_id".to_owned(), json!(account.project()))]);
        Ok(Probe { account: Some(account.email().to_owned()), details })
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}

impl GoogleChat {
    /// What a pressed button calls: of an app of its own by any name, of an add-on by its address
    /// (<https://developers.google.com/workspace/add-ons/guides/alternate-runtimes>).
    fn function(&self) -> &str {
        match &self.signer {
            Signer::SignIn(account) if account != CHAT => &self.audience,
            _ => calls::PRESSED,
        }
    }

    /// Sends what quotes a message. What is gone, or is in another thread, can't be quoted and does not keep the answer back: a call that
    /// was refused made no message, so the request id is still free.
    async fn answer(&self, call: &calls::Call, question: &str) -> Result<api::Message, ChannelError> {
        let version = match self.api.call(&calls::get(question)?).await {
            Ok(message) => message.version(),
            Err(ChannelError::Permanent(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(version) = version else { return self.api.call(call).await };
        match self.api.call(&call.quoting(question, &version)).await {
            Err(ChannelError::Permanent(_)) => self.api.call(call).await,
            answered => answered,
        }
    }

    fn listens_in(&self, space: &str) -> bool {
        self.spaces.is_empty() || self.spaces.iter().any(|allowed| allowed == space)
    }
}

/// Whether Google's sign-in vouches for this account, and not for anybody else who got a token for the same address.
fn is_of(verified: &Verified<'_>, account: &str) -> bool {
    verified.text("email") == Some(account)
        && verified.claims.get("email_verified") == Some(&Value::Bool(true))
}
