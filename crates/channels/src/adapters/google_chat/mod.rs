//! Google Chat apps (<https://developers.google.com/workspace/chat/overview>), by interaction events and the Chat API.
//!
//! Google posts events with a token, of one of two kinds by what the app's owner chose as its audience; `incoming` reads them. Answers are
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
use crate::kit::jwt::{self, Expected, NotGenuine, Verified};
use crate::{
    About, Adapter, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits,
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
/// and leave room for buttons. Uploads and reactions are for people only, not for apps
/// (<https://developers.google.com/workspace/chat/authenticate-authorize#asynchronous-chat-calls>), so pictures are shown in a card by
/// their address and other files go as links.
static CAPS: Caps = Caps {
    max_text: 4096,
    max_caption: 4096,
    unit: TextUnit::Chars,
    markdown: Dialect::GoogleChat,
    media: &[MediaKind::Image],
    threads: true,
    buttons: ButtonCaps::ALL,
    edit: true,
    delete: true,
    reports: Reports { edits: false, deletions: false, reactions: false, replies: true, receipts: false },
    placeholders: true,
    limits: Some(&LIMITS),
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
    #[serde(default)]
    space_ids: Vec<String>,
    api_url: Option<String>,
}

/// An app.
pub struct GoogleChat {
    audience: String,
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
            "There, choose Project Number as the authentication audience, uncheck \"Build this Chat app as a Workspace add-on\", and say for whom the app is visible.",
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
        let Config { service_account_env: account, audience, space_ids: spaces, api_url } = config;
        let account = Account::read(&account).map_err(ChannelError::Config)?;
        if !is_number(&audience) && !audience.starts_with("https://") {
            return Err(ChannelError::Config(
                "audience must be the project's number or the HTTP endpoint URL, whichever the Chat API's configuration has"
                    .to_owned(),
            ));
        }
        let spaces = spaces.iter().map(|space| resource(space)).collect();
        let api = Api::new(api_url.as_deref(), account, !is_number(&audience), &deps)?;
        Ok(Self { audience, spaces, api, deps })
    }

    /// A hash, because it is kept in the open, of the account and not of its key, of which there may be several.
    fn credential(config: &Config) -> Option<String> {
        let account = Account::read(&config.service_account_env).ok()?;
        Some(hex::encode(sha256(account.email().as_bytes())))
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
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
        // What can't be genuine is refused without keys, too.
        let Ok(key) = jwt::bearer(&request.headers).and_then(jwt::key_of) else { return Ok(()) };
        self.deps.http.keys().prepare(&self.deps, self.api.keys(), &key).await
    }

    /// What is in the answer becomes the app's message; an empty object is none
    /// (<https://github.com/googleworkspace/google-chat-samples/issues/36>).
    fn taken(&self, _: &RawRequest) -> Option<Reply> {
        Some(Reply::empty_object())
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let now = self.deps.clock.now().timestamp();
        let forged = |why: NotGenuine| ChannelError::BadSignature(why.to_string());
        let token = jwt::bearer(&request.headers).map_err(forged)?;
        let keys =
            self.deps.http.keys().known(self.api.keys(), now).ok_or_else(|| forged(NotGenuine::Key))?;
        let is_project = is_number(&self.audience);
        let issuers: &[&str] = if is_project { &[CHAT] } else { &SIGN_IN };
        let verified =
            keys.verify(token, Expected { issuers, audience: &self.audience }, now).map_err(forged)?;
        if !is_project && !is_of_chat(&verified) {
            return Err(ChannelError::BadSignature(
                "the bearer token is Google's, but not for Google Chat's account".to_owned(),
            ));
        }
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
        let call = calls::of_part(part)?;
        let answered = self.api.call(&call).await?;
        let target = part.piece.content.target().map(str::to_owned);
        // It was taken. Asked again with the same request id, Google says the name once more.
        let name = target
            .or(answered)
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
    fn listens_in(&self, space: &str) -> bool {
        self.spaces.is_empty() || self.spaces.iter().any(|allowed| allowed == space)
    }
}

/// Whether Google's sign-in vouches for Google Chat, and not for anybody else who got a token for the same address.
fn is_of_chat(verified: &Verified<'_>) -> bool {
    verified.text("email") == Some(CHAT) && verified.claims.get("email_verified") == Some(&Value::Bool(true))
}
